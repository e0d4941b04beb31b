// Directions by LibTorch's autograd, for whatever can be run on a batch: one record at a time for
// a Direction, a few at once for the sums of local epochs. Each workspace has parameters of its own
// and runs on the thread that uses it, so the number of threads changes no bit. What LibTorch
// throws ends here: a direction that cannot be computed is not a number, in every place.
#ifndef DURE_LEARNER_AUTOGRAD_TORCH_H_
#define DURE_LEARNER_AUTOGRAD_TORCH_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "learner/trainable_model.h"

namespace dure {

struct AutogradWorkspace : ModelWorkspace {
  std::vector<at::Tensor> params;  // manifest order; ask for gradients
  uint64_t version = 0;            // of the model's parameters that are in `params`
  std::vector<float> direction;    // and what Outputs gives
  std::vector<float> records;
  std::vector<float> labels;
};

class AutogradModel : public TrainableModel {
 public:
  const ParamManifest& manifest() const override { return manifest_; }
  size_t dim() const override { return dim_; }
  Loss loss() const override { return loss_; }
  uint32_t classes() const override { return classes_; }
  void SetParams(std::span<const float> params) override;
  std::span<const float> Direction(FeatureView record, float label,
                                   ModelWorkspace& workspace) const override;
  void AddDirections(const Dataset& data, std::span<const uint32_t> records, std::span<float> sum,
                     ModelWorkspace& workspace) const override;
  size_t block_records() const override { return block_records_; }
  std::span<const float> Outputs(FeatureView record, ModelWorkspace& workspace) const override;
  std::string trouble() const override;

 protected:
  // `shape` and `classes` of a record and of what is given for it.
  AutogradModel(ParamManifest manifest, Loss loss, std::vector<uint32_t> shape, uint32_t classes);
  // 1: every record by itself.
  void set_block_records(size_t records) { block_records_ = records; }
  // Copies the model's parameters into `workspace`; may throw.
  virtual void Refresh(AutogradWorkspace& workspace) const;
  void ForgetTrouble() { trouble_.clear(); }

 private:
  // What the model gives for a batch with the parameters in `workspace`; may throw.
  virtual at::Tensor Run(const at::Tensor& batch, AutogradWorkspace& workspace) const = 0;
  // Runs and checks the shape of what comes out.
  at::Tensor RunChecked(size_t count, AutogradWorkspace& workspace) const;
  // Adds the directions of what is in workspace.records and .labels to `sum`.
  void Add(std::span<float> sum, AutogradWorkspace& workspace) const;
  void Note(const std::string& trouble) const;

  ParamManifest manifest_;
  size_t dim_ = 0;
  Loss loss_;
  std::vector<uint32_t> shape_;
  uint32_t classes_ = 0;
  size_t block_records_ = 32;
  std::vector<float> params_;
  uint64_t version_ = 0;
  mutable std::mutex mutex_;
  mutable std::string trouble_;  // guarded by mutex_
};

// [N, classes], or for tokens [N, L, classes].
std::vector<int64_t> ShapeOfOutputs(Loss loss, size_t count, size_t record_size, uint32_t classes);

}  // namespace dure

#endif  // DURE_LEARNER_AUTOGRAD_TORCH_H_
