// A built-in network on mini-batches: forward and backward passes of a few records at once by the
// kernels of learner/tile_kernels.h, with everything they need allocated once. No autograd, and no
// code made at run time, which the trainer's sandbox forbids. What one call gives depends on its
// records and their order, on the weights and on the instruction set only.
//
// Everything const is thread-safe with a scratch a thread.
#ifndef DURE_LEARNER_BATCH_NETWORK_H_
#define DURE_LEARNER_BATCH_NETWORK_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "learner/aligned_floats.h"
#include "learner/architecture.h"
#include "learner/batch_layout.h"
#include "learner/data/dataset.h"
#include "learner/tile_kernels.h"

namespace dure {

// Most records that go through at once, and the memory that they may take between the layers: of
// large pictures fewer go.
inline constexpr size_t kBatchChunk = 32;
inline constexpr size_t kBatchFloats = size_t{1} << 24;

// One thread's buffers; grows to the largest chunk that it has seen.
struct BatchScratch {
  struct PerOp {
    AlignedFloats value;            // what the layer gives
    AlignedFloats gradient;         // direction to add to it; empty where the layer below's serves
    AlignedFloats padded;           // convolution with padding: its input with zeros around it
    std::vector<int32_t> chosen;    // max-pooling
    AlignedFloats weight_gradient;  // convolution
    AlignedFloats swapped;          // convolution: weights by inputs, for its input gradient
    AlignedFloats windows, spread;  // convolution: gradients of windows, and of a padded input
    AlignedFloats across, across_out;  // linear: gradients with the records side by side
    AlignedFloats bias_gradient;
  };
  size_t records = 0;
  AlignedFloats input;
  std::vector<PerOp> ops;
};

class BatchNetwork {
 public:
  // A list of layers (Architecture::has_kernels) with any loss but next_token.
  BatchNetwork(const Architecture& architecture, const kernels::TileKernels& kernels);

  const BatchLayout& layout() const { return layout_; }
  const kernels::TileKernels& kernels() const { return kernels_; }

  // What becomes of the sum of the records' directions, in the order of the packed parameters.
  struct Sink {
    kernels::Then then = kernels::Then::kStore;
    float factor = 0;
    float* to = nullptr;  // with kStep it may be the weights themselves
  };
  // How many records go through at once: 1 to kBatchChunk, a property of the network.
  size_t most_records() const { return most_records_; }
  // `weights` are packed; `records` are numbers in `data`, 1 to most_records().
  void Backpropagate(const float* weights, const Dataset& data, std::span<const uint32_t> records,
                     const Sink& sink, BatchScratch& scratch) const;

  // What the network gives for record i of them is at [i * output_stride()], in `scratch`.
  const float* Outputs(const float* weights, const Dataset& data, std::span<const uint32_t> records,
                       BatchScratch& scratch) const;
  size_t output_stride() const { return layout_.ops().back().out_stride; }

 private:
  void Prepare(size_t records, BatchScratch& scratch) const;
  void PrepareOp(size_t i, size_t records, BatchScratch& scratch) const;
  void ReadRecords(const Dataset& data, std::span<const uint32_t> records,
                   BatchScratch& scratch) const;

  Loss loss_;
  uint32_t classes_;
  Extent input_;
  BatchLayout layout_;
  size_t most_records_;
  const kernels::TileKernels& kernels_;
};

}  // namespace dure

#endif  // DURE_LEARNER_BATCH_NETWORK_H_
