#include "learner/model_torch.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/version.h>

#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "base/file.h"
#include "learner/forward_torch.h"
#include "learner/guarded_torch.h"

namespace dure {
namespace {

std::vector<uint32_t> ShapeOf(const Architecture& architecture) {
  const Extent& in = architecture.input();
  return {in.channels, in.height, in.width};
}

}  // namespace

void SetTorchThreads(int threads) {
  at::set_num_threads(threads);
  // oneDNN compiles code as it runs, which the trainer's sandbox does not allow.
  at::globalContext().setUserEnabledMkldnn(false);
}

void WarmUpTorch() {
  TorchModel model(MakeArchitecture("cnn", {1, 14, 14}, 2).value());
  model.SetParams(std::vector<float>(ManifestOf(model.architecture()).dim()));
  model.Direction(std::vector<float>(14 * 14), 1).IgnoreError();
}

std::string TorchVersion() { return TORCH_VERSION; }

struct TorchModel::State {
  Architecture architecture;
  ParamManifest manifest;
  std::vector<at::Tensor> params;  // manifest order
};

TorchModel::TorchModel(Architecture architecture) : state_(std::make_unique<State>()) {
  state_->manifest = ManifestOf(architecture);
  state_->architecture = std::move(architecture);
}
TorchModel::~TorchModel() = default;
TorchModel::TorchModel(TorchModel&&) noexcept = default;
TorchModel& TorchModel::operator=(TorchModel&&) noexcept = default;

const Architecture& TorchModel::architecture() const { return state_->architecture; }

void TorchModel::SetParams(std::span<const float> params) {
  DURE_CHECK(params.size() == state_->manifest.dim());
  state_->params = Leaves(state_->manifest, params);
}

absl::StatusOr<std::vector<float>> TorchModel::Logits(std::span<const float> records,
                                                      uint64_t count) const {
  return Guarded(absl::StatusCode::kInternal, "LibTorch cannot run the model",
                 [&]() -> absl::StatusOr<std::vector<float>> {
                   c10::NoGradGuard no_grad;
                   const Architecture& architecture = state_->architecture;
                   return ToVector(Forward(architecture, state_->params,
                                           BatchOf(architecture.loss, records,
                                                   records.size() / count,
                                                   ShapeOf(architecture))));
                 });
}

absl::StatusOr<std::vector<float>> TorchModel::Direction(std::span<const float> record,
                                                         float label) const {
  return Guarded(
      absl::StatusCode::kInternal, "LibTorch cannot differentiate the model",
      [&]() -> absl::StatusOr<std::vector<float>> {
        const Architecture& architecture = state_->architecture;
        const at::Tensor outputs =
            Forward(architecture, state_->params,
                    BatchOf(architecture.loss, record, record.size(), ShapeOf(architecture)));
        const at::Tensor loss = SumOfLosses(architecture.loss, outputs, record, {{label}});
        std::vector<float> direction(state_->manifest.dim());
        SubtractGradients(torch::autograd::grad({loss}, state_->params), state_->params, direction);
        return direction;
      });
}

absl::Status TorchModel::SaveTorchScript(const std::string& path,
                                         const std::map<std::string, std::string>& metadata) const {
  return Guarded(absl::StatusCode::kInternal, absl::StrCat("LibTorch cannot write ", path), [&] {
    torch::jit::Module module("DureModel");
    std::map<std::string, torch::jit::Module> layers;
    for (size_t i = 0; i < state_->manifest.params.size(); ++i) {
      const std::vector<std::string> name =
          absl::StrSplit(state_->manifest.params[i].name, absl::MaxSplits('.', 1));
      auto [layer, added] =
          layers.try_emplace(name[0], torch::jit::Module(absl::StrCat("DureLayer_", name[0])));
      layer->second.register_parameter(name[1], state_->params[i], /*is_buffer=*/false);
    }
    for (const auto& [name, layer] : layers) module.register_module(name, layer);
    module.define(ForwardSource(state_->architecture));
    module.eval();
    std::ostringstream bytes;
    module.save(bytes, {metadata.begin(), metadata.end()});
    return WriteFileAtomic(path, bytes.str());
  });
}

}  // namespace dure
