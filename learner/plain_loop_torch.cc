#include "learner/plain_loop_torch.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/index_select.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "learner/forward_torch.h"
#include "learner/guarded_torch.h"

namespace dure {

struct PlainLoop::State {
  Architecture architecture;
  at::Tensor records;  // [N, shape...]
  std::vector<float> labels;
};

PlainLoop::PlainLoop(const Architecture& architecture, const Dataset& data)
    : state_(std::make_unique<State>()) {
  const std::vector<float> floats = data.All().ToFloats();
  state_->architecture = architecture;
  state_->records =
      BatchOf(architecture.loss, floats, data.record_size(), architecture.shape).contiguous();
  state_->labels = data.labels;
}

PlainLoop::~PlainLoop() = default;

absl::Status PlainLoop::Train(std::span<const uint32_t> order, size_t batch_size,
                              double learning_rate, std::span<const float> params,
                              std::span<float> change) const {
  const Architecture& architecture = state_->architecture;
  DURE_CHECK(batch_size >= 1 && change.size() == params.size());
  UseOneThread();
  return Guarded(absl::StatusCode::kInternal, "LibTorch cannot train", [&] {
    at::AutoGradMode with_gradients(true);
    const std::vector<at::Tensor> model = Leaves(architecture.manifest, params);
    for (size_t first = 0; first < order.size(); first += batch_size) {
      const auto batch = order.subspan(first, std::min(batch_size, order.size() - first));
      std::vector<int64_t> places(batch.begin(), batch.end());
      std::vector<float> labels;
      for (const uint32_t record : batch) labels.push_back(state_->labels[record]);
      const at::Tensor x = at::index_select(
          state_->records, 0,
          at::from_blob(places.data(), {static_cast<int64_t>(places.size())}, at::kLong));
      const at::Tensor loss =
          SumOfLosses(architecture.loss, Forward(architecture, model, x), {}, labels);
      const auto gradients = torch::autograd::grad({loss}, model);
      c10::NoGradGuard no_grad;
      for (size_t i = 0; i < model.size(); ++i) {
        model[i].sub_(gradients[i], learning_rate / static_cast<double>(batch.size()));
      }
    }
    float* to = change.data();
    const float* from = params.data();
    for (const at::Tensor& param : model) {
      const at::Tensor flat = param.detach().contiguous();
      const float* trained = flat.data_ptr<float>();
      for (int64_t i = 0; i < flat.numel(); ++i) *to++ = trained[i] - *from++;
    }
    return absl::OkStatus();
  });
}

}  // namespace dure
