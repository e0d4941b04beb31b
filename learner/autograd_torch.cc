#include "learner/autograd_torch.h"

#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "learner/forward_torch.h"
#include "learner/guarded_torch.h"
#include "learner/torch_models.h"

namespace dure {
namespace {

constexpr float kNotComputed = std::numeric_limits<float>::quiet_NaN();

class BuiltInModel final : public AutogradModel {
 public:
  explicit BuiltInModel(Architecture architecture)
      : AutogradModel(architecture.manifest, architecture.loss, architecture.shape,
                      architecture.classes),
        architecture_(std::move(architecture)) {}

  std::unique_ptr<ModelWorkspace> MakeWorkspace() const override {
    return std::make_unique<AutogradWorkspace>();
  }

 private:
  at::Tensor Run(const at::Tensor& batch, AutogradWorkspace& workspace) const override {
    return Forward(architecture_, workspace.params, batch);
  }

  Architecture architecture_;
};

}  // namespace

std::unique_ptr<TrainableModel> MakeTorchModel(Architecture architecture) {
  return std::make_unique<BuiltInModel>(std::move(architecture));
}

std::vector<int64_t> ShapeOfOutputs(Loss loss, size_t count, size_t record_size, uint32_t classes) {
  if (loss != ModelSection::NEXT_TOKEN) {
    return {static_cast<int64_t>(count), static_cast<int64_t>(classes)};
  }
  return {static_cast<int64_t>(count), static_cast<int64_t>(record_size) - 1,
          static_cast<int64_t>(classes)};
}

AutogradModel::AutogradModel(ParamManifest manifest, Loss loss, std::vector<uint32_t> shape,
                             uint32_t classes)
    : manifest_(std::move(manifest)),
      dim_(manifest_.dim()),
      loss_(loss),
      shape_(std::move(shape)),
      classes_(classes),
      params_(dim_) {}

void AutogradModel::SetParams(std::span<const float> params) {
  DURE_CHECK(params.size() == dim_);
  params_.assign(params.begin(), params.end());
  ++version_;
}

void AutogradModel::Refresh(AutogradWorkspace& workspace) const {
  if (workspace.params.empty()) {
    workspace.params = Leaves(manifest_, params_);
  } else if (workspace.version != version_) {
    CopyInto(params_, workspace.params);
  }
  workspace.version = version_;
}

void AutogradModel::Note(const std::string& trouble) const {
  std::lock_guard lock(mutex_);
  if (!trouble_.empty()) return;
  trouble_ = trouble;
}

std::string AutogradModel::trouble() const {
  std::lock_guard lock(mutex_);
  return trouble_;
}

at::Tensor AutogradModel::RunChecked(size_t count, AutogradWorkspace& workspace) const {
  Refresh(workspace);
  const size_t size = workspace.records.size() / count;
  const at::Tensor outputs = Run(BatchOf(loss_, workspace.records, size, shape_), workspace);
  const std::vector<int64_t> wanted = ShapeOfOutputs(loss_, count, size, classes_);
  if (!outputs.defined() || outputs.sizes() != at::IntArrayRef(wanted)) {
    C10_THROW_ERROR(
        Error,
        absl::StrCat("it gives [", outputs.defined() ? absl::StrJoin(outputs.sizes(), ", ") : "",
                     "] where [", absl::StrJoin(wanted, ", "), "] is needed"));
  }
  return outputs;
}

void AutogradModel::Add(std::span<float> sum, AutogradWorkspace& workspace) const {
  UseOneThread();
  const absl::Status done =
      Guarded(absl::StatusCode::kInternal, "a gradient cannot be computed", [&] {
        at::AutoGradMode with_gradients(true);
        const at::Tensor outputs = RunChecked(workspace.labels.size(), workspace);
        const at::Tensor loss = SumOfLosses(loss_, outputs, workspace.records, workspace.labels);
        // A model that does not use a parameter, for this record, has no gradient by it.
        const auto gradients =
            loss.requires_grad()
                ? torch::autograd::grad({loss}, workspace.params, {}, c10::nullopt, false, true)
                : std::vector<at::Tensor>(workspace.params.size());
        SubtractGradients(gradients, workspace.params, sum);
        return absl::OkStatus();
      });
  if (done.ok()) return;
  Note(std::string(done.message()));
  std::fill(sum.begin(), sum.end(), kNotComputed);
}

std::span<const float> AutogradModel::Direction(FeatureView record, float label,
                                                ModelWorkspace& workspace) const {
  auto& own = static_cast<AutogradWorkspace&>(workspace);
  own.records = record.ToFloats();
  own.labels.assign(1, label);
  own.direction.assign(dim_, 0.0f);
  Add(own.direction, own);
  return own.direction;
}

void AutogradModel::AddDirections(const Dataset& data, std::span<const uint32_t> records,
                                  std::span<float> sum, ModelWorkspace& workspace) const {
  if (block_records_ == 1) return TrainableModel::AddDirections(data, records, sum, workspace);
  auto& own = static_cast<AutogradWorkspace&>(workspace);
  own.records.clear();
  own.labels.clear();
  for (uint32_t index : records) {
    const FeatureView record = data.Record(index);
    for (size_t i = 0; i < record.size(); ++i) own.records.push_back(record[i]);
    own.labels.push_back(data.labels[index]);
  }
  Add(sum, own);
}

std::span<const float> AutogradModel::Outputs(FeatureView record, ModelWorkspace& workspace) const {
  auto& own = static_cast<AutogradWorkspace&>(workspace);
  UseOneThread();
  own.records = record.ToFloats();
  const absl::Status done = Guarded(absl::StatusCode::kInternal, "a record cannot be judged", [&] {
    c10::NoGradGuard no_grad;
    own.direction = ToVector(RunChecked(1, own));
    return absl::OkStatus();
  });
  if (!done.ok()) {
    Note(std::string(done.message()));
    const size_t rows = loss_ == ModelSection::NEXT_TOKEN ? record.size() - 1 : 1;
    own.direction.assign(rows * classes_, kNotComputed);
  }
  return own.direction;
}

}  // namespace dure
