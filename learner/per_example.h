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
#include <span>
#include <vector>

#include "learner/architecture.h"
#include "learner/data/dataset.h"

namespace dure {

// One thread's buffers for a Network. Holds one record's values: nothing in it is shared.
struct NetworkWorkspace {
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
class Network {
 public:
  explicit Network(Architecture architecture);

  const Architecture& architecture() const { return architecture_; }
  const ParamManifest& manifest() const { return manifest_; }
  size_t dim() const { return dim_; }
  NetworkWorkspace MakeWorkspace() const;

  // Precondition (DURE_CHECK): params.size() == dim(), in the manifest's order.
  void SetParams(std::span<const float> params);

  // The direction to add: minus the gradient of one record's cross-entropy. dim() floats in the
  // network's own order, inside `workspace`. Not finite if the model is not.
  // Precondition (DURE_CHECK): record.size() is the input's size, label < classes.
  std::span<const float> Direction(FeatureView record, uint32_t label,
                                   NetworkWorkspace* workspace) const;

  // `classes` logits, inside `workspace`.
  std::span<const float> Logits(FeatureView record, NetworkWorkspace* workspace) const;

  // The manifest's order of what is in the network's own; T is float or int64_t. Both have dim()
  // values and do not overlap.
  template <typename T>
  void ToManifestOrder(std::span<const T> own, std::span<T> out) const {
    for (size_t i = 0; i < dim_; ++i) out[i] = own[own_index_[i]];
  }

 private:
  struct Weights {
    size_t offset = 0;  // of the weight in the flattened parameters; the bias follows it
    size_t out = 0, in = 0;
    std::vector<float> rows;        // [out][in], own order
    std::vector<float> transposed;  // [in][padded out]
    std::vector<float> bias;        // padded out
  };

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

// Cross-entropy of `logits` against `label`, and the most likely class (the first of equals).
struct Outcome {
  double loss = 0;
  uint32_t predicted = 0;
};
Outcome Judge(std::span<const float> logits, uint32_t label);

}  // namespace dure

#endif  // DURE_LEARNER_PER_EXAMPLE_H_
