// Gradients one record at a time, without autograd: the forward and backward pass of a built-in
// network by the kernels of learner/kernels.h. Each record runs alone through the same instructions
// on the same shapes, so its gradient is a function of (model, record) only: no batch mate, no
// thread and no earlier record can change a bit of it (docs/secure-aggregation.md section 2.4).
//
// Inside, pictures are [height][width][channels], so that a convolution is a product of matrices
// with long rows; weights are reordered to match once per model, and sums of gradients are put back
// into the manifest's order once per round.
#ifndef DURE_LEARNER_PER_EXAMPLE_H_
#define DURE_LEARNER_PER_EXAMPLE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "learner/architecture.h"
#include "learner/data/dataset.h"
#include "learner/trainable_model.h"

namespace dure {

// One thread's buffers for a Network. Holds one record's values: nothing in it is shared.
struct NetworkWorkspace final : ModelWorkspace {
  struct PerLayer {
    std::vector<float> value;     // what the layer gives, [height][width][channels]
    std::vector<float> gradient;  // direction to add to `value`
    std::vector<float> padded;    // convolution: its input with zeros around it
    std::vector<float> rows;      // convolution: one window a row
    std::vector<float> row_gradient;
    std::vector<int32_t> chosen;  // max-pooling
  };
  std::vector<float> input;  // the record, channels last
  std::vector<PerLayer> layers;
  std::vector<float> direction;  // dim() values, in the network's own order
};

// Reading (everything const) is thread-safe with a workspace a thread; SetParams is not.
class Network final : public TrainableModel {
 public:
  explicit Network(Architecture architecture);

  const Architecture& architecture() const { return architecture_; }
  const ParamManifest& manifest() const override { return manifest_; }
  size_t dim() const override { return dim_; }
  Loss loss() const override { return architecture_.loss; }
  uint32_t classes() const override { return architecture_.classes; }
  std::unique_ptr<ModelWorkspace> MakeWorkspace() const override;
  void SetParams(std::span<const float> params) override;
  // The loss is the architecture's, any but next_token.
  std::span<const float> Direction(FeatureView record, float label,
                                   ModelWorkspace& workspace) const override;
  std::span<const float> Outputs(FeatureView record, ModelWorkspace& workspace) const override;
  std::unique_ptr<BatchSteps> MakeBatchSteps(int threads) const override;
  std::unique_ptr<BatchOutputs> MakeBatchOutputs() const override;

 private:
  struct Weights {
    size_t offset = 0;  // of the weight in the flattened parameters; the bias follows it
    size_t out = 0, in = 0;
    std::vector<float> rows;        // [out][in], own order
    std::vector<float> transposed;  // [in][padded out]
    std::vector<float> bias;        // padded out
  };

  std::span<const uint32_t> own_index() const override { return own_index_; }
  void Forward(FeatureView record, NetworkWorkspace* workspace) const;
  void Backward(size_t layer, NetworkWorkspace* workspace) const;
  void BackwardConv(size_t layer, const Conv2dLayer& conv, NetworkWorkspace* workspace) const;
  void BackwardLinear(size_t layer, NetworkWorkspace* workspace) const;

  Architecture architecture_;
  ParamManifest manifest_;
  size_t dim_ = 0;
  std::vector<Weights> weights_;     // one per layer; empty for those without parameters
  std::vector<uint32_t> own_index_;  // of each parameter of the manifest
};

}  // namespace dure

#endif  // DURE_LEARNER_PER_EXAMPLE_H_
