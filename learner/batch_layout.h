// How a network of layers lies in memory while whole mini-batches go through it
// (learner/batch_network.h).
//
// Between layers, pictures are [height][width][lanes]: channels last, and after the first layer
// with parameters padded to whole vectors with channels that are always zero. Weights are packed:
// panels of kLanes outputs, in each of them a row for every input, so that forward passes, input
// gradients and weight gradients all read and write them as they lie. What a panel or a row has too
// much is zero and stays so. Thread-safe: values and const functions.
#ifndef DURE_LEARNER_BATCH_LAYOUT_H_
#define DURE_LEARNER_BATCH_LAYOUT_H_

#include <cstddef>
#include <span>
#include <vector>

#include "learner/architecture.h"
#include "learner/kernels.h"
#include "learner/tile_kernels.h"

namespace dure {

// One layer.
struct BatchOp {
  enum class Kind { kConv, kLinear, kPool, kTanh, kRelu };
  Kind kind = Kind::kLinear;
  bool relu = false;  // kConv, kLinear: a ReLU follows and is done at once
  Extent in, out;
  size_t in_lanes = 0, out_lanes = 0;    // floats of a place
  size_t in_stride = 0, out_stride = 0;  // floats of a record
  size_t kernel = 0, stride = 0, padding = 0;

  // kConv, kLinear.
  size_t taps = 0;      // places of a window
  size_t rows = 0;      // taps * in_lanes: of a panel
  size_t panels = 0;    // of kLanes outputs
  size_t weight = 0;    // where they begin in the packed parameters
  size_t bias = 0;      // panels * kLanes
  size_t manifest = 0;  // where the weight begins in the flattened ones; the bias follows it

  bool has_params() const { return kind == Kind::kConv || kind == Kind::kLinear; }
  bool elementwise() const { return kind == Kind::kTanh || kind == Kind::kRelu; }
  size_t weight_size() const { return panels * rows * kernels::kLanes; }
  size_t out_width() const { return panels * kernels::kLanes; }
  size_t in_places() const { return size_t{in.height} * in.width; }
  size_t out_places() const { return size_t{out.height} * out.width; }
  size_t padded_height() const { return in.height + 2 * padding; }
  size_t padded_width() const { return in.width + 2 * padding; }
  size_t padded_size() const { return padded_height() * padded_width() * in_lanes; }
};

class BatchLayout {
 public:
  // A list of layers (Architecture::has_kernels).
  explicit BatchLayout(const Architecture& architecture);

  const std::vector<BatchOp>& ops() const { return ops_; }
  // The first with parameters: nothing below it needs a gradient. ops().size() if none has any.
  size_t first_trained() const { return first_trained_; }
  // Floats of the packed parameters.
  size_t size() const { return size_; }
  // About as many floats as one record takes between the layers, forwards and backwards.
  size_t record_floats() const;

  // From the manifest's order and back. `packed` has size() floats, `params` the manifest's dim().
  void Pack(const kernels::TileKernels& kernels, std::span<const float> params,
            float* packed) const;
  void Unpack(const kernels::TileKernels& kernels, const float* packed,
              std::span<float> params) const;

 private:
  std::vector<BatchOp> ops_;
  size_t first_trained_ = 0;
  size_t size_ = 0;
};

}  // namespace dure

#endif  // DURE_LEARNER_BATCH_LAYOUT_H_
