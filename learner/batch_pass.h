// One chunk of records on its way through the layers of a network: what learner/batch_network.cc
// and learner/batch_convolution.cc share. Not thread-safe: it belongs to the thread whose scratch
// it has.
#ifndef DURE_LEARNER_BATCH_PASS_H_
#define DURE_LEARNER_BATCH_PASS_H_

#include <cstddef>
#include <vector>

#include "learner/batch_layout.h"
#include "learner/batch_network.h"
#include "learner/tile_kernels.h"

namespace dure {

struct BatchPass {
  using Sink = BatchNetwork::Sink;

  const BatchNetwork& network;
  const kernels::TileKernels& kernels;
  const std::vector<BatchOp>& ops;
  const float* weights;
  size_t count;  // records
  BatchScratch& scratch;

  // What goes into ops[i].
  const float* In(size_t i) const {
    return i == 0 ? scratch.input.data() : scratch.ops[i - 1].value.data();
  }
  // The gradient of what ops[i] gives; elementwise layers change that of the layer below in place.
  float* Gradient(size_t i) const {
    while (ops[i].elementwise() && i > network.layout().first_trained()) --i;
    return scratch.ops[i].gradient.data();
  }
  // What a convolution's windows are rows of, and how far apart records are there.
  const float* Windows(size_t i) const {
    return ops[i].padding == 0 ? In(i) : scratch.ops[i].padded.data();
  }
  size_t WindowsApart(size_t i) const {
    return ops[i].padding == 0 ? ops[i].in_stride : ops[i].padded_size();
  }

  void Forward();
  void ForwardConv(size_t i);
  void ForwardLinear(size_t i);
  void Backward(const Sink& sink);
  void BackwardLinear(size_t i, const Sink& sink);
  void BackwardConv(size_t i, const Sink& sink);
  void ConvWeightGradient(size_t i);
  void ConvInputGradient(size_t i);
  void SwapWeights(size_t i);
  void TurnedInputGradient(size_t i, size_t record);
  void SpreadInputGradient(size_t i, size_t record);
};

// The buffers of a convolution for that many records; whether the layer below needs a gradient.
void PrepareConvolution(const BatchOp& op, size_t records, bool passes_down,
                        BatchScratch::PerOp* own);

}  // namespace dure

#endif  // DURE_LEARNER_BATCH_PASS_H_
