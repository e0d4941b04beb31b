// The convolutions of learner/batch_network.h. Nothing but the input, with zeros around it, is
// copied: windows are read where they lie.
#include <algorithm>
#include <cstring>

#include "learner/batch_pass.h"

namespace dure {
namespace {

using kernels::kLanes;
using kernels::Then;

// Whether the input gradient of a convolution is a convolution of its output's gradient.
bool TurnsRound(const BatchOp& op) { return op.stride == 1 && op.padding < op.kernel; }
// Of that one: zeros around the gradient, and its size with them.
size_t TurnedPadding(const BatchOp& op) { return op.kernel - 1 - op.padding; }
size_t TurnedWidth(const BatchOp& op) { return op.out.width + 2 * TurnedPadding(op); }
size_t TurnedSize(const BatchOp& op) {
  return (op.out.height + 2 * TurnedPadding(op)) * TurnedWidth(op) * op.out_lanes;
}

}  // namespace

void PrepareConvolution(const BatchOp& op, size_t records, bool passes_down,
                        BatchScratch::PerOp* own) {
  if (op.padding > 0) own->padded.Reserve(records * op.padded_size());
  own->weight_gradient.Reserve(op.weight_size());
  if (!passes_down) return;
  own->swapped.Reserve(op.rows * op.out_width());
  if (TurnsRound(op)) {
    own->spread.Reserve(TurnedSize(op));
  } else {
    own->spread.Reserve(op.padded_size());
    own->windows.Reserve(op.out.width * op.rows);
  }
}

void BatchPass::ForwardConv(size_t i) {
  const BatchOp& op = ops[i];
  const size_t width = op.padded_width() * op.in_lanes;
  const size_t inner = op.kernel * op.in_lanes;
  for (size_t record = 0; record < count; ++record) {
    if (op.padding > 0) {
      const float* from = In(i) + record * op.in_stride;
      float* to = scratch.ops[i].padded.data() + record * op.padded_size() +
                  op.padding * (width + op.in_lanes);
      const size_t length = op.in.width * op.in_lanes;
      for (size_t y = 0; y < op.in.height; ++y, from += length, to += width) {
        std::memcpy(to, from, length * sizeof(float));
      }
    }
    const float* windows = Windows(i) + record * WindowsApart(i);
    float* out = scratch.ops[i].value.data() + record * op.out_stride;
    for (size_t y = 0; y < op.out.height; ++y) {
      kernels.multiply({.rows = op.out.width,
                        .panels = op.panels,
                        .inner = inner,
                        .outer = op.kernel,
                        .a = windows + y * op.stride * width,
                        .a_row = op.stride * op.in_lanes,
                        .a_step = 1,
                        .a_outer = width,
                        .b = weights + op.weight,
                        .b_panel = op.rows * kLanes,
                        .b_step = kLanes,
                        .b_outer = inner * kLanes,
                        .c = out + y * op.out.width * op.out_lanes,
                        .c_row = op.out_lanes,
                        .c_panel = kLanes,
                        .start = weights + op.bias,
                        .relu = op.relu});
    }
  }
}

void BatchPass::BackwardConv(size_t i, const Sink& sink) {
  const BatchOp& op = ops[i];
  BatchScratch::PerOp& own = scratch.ops[i];
  if (i > network.layout().first_trained()) ConvInputGradient(i);
  ConvWeightGradient(i);
  kernels.apply(sink.then, sink.factor, own.weight_gradient.data(), sink.to + op.weight,
                op.weight_size());
  float* bias = own.bias_gradient.data();
  float* one = bias + op.out_width();
  for (size_t record = 0; record < count; ++record) {
    kernels.sum_rows(Gradient(i) + record * op.out_stride, op.out_places(), op.out_width(),
                     op.out_lanes, one);
    kernels.apply(record == 0 ? Then::kStore : Then::kAdd, 0, one, bias, op.out_width());
  }
  kernels.apply(sink.then, sink.factor, bias, sink.to + op.bias, op.out_width());
}

void BatchPass::ConvWeightGradient(size_t i) {
  const BatchOp& op = ops[i];
  const size_t width = op.padded_width() * op.in_lanes;
  const size_t inner = op.kernel * op.in_lanes;
  for (size_t record = 0; record < count; ++record) {
    for (size_t ky = 0; ky < op.kernel; ++ky) {
      kernels.multiply({.rows = inner,
                        .panels = op.panels,
                        .inner = op.out.width,
                        .outer = op.out.height,
                        .a = Windows(i) + record * WindowsApart(i) + ky * width,
                        .a_row = 1,
                        .a_step = op.stride * op.in_lanes,
                        .a_outer = op.stride * width,
                        .b = Gradient(i) + record * op.out_stride,
                        .b_panel = kLanes,
                        .b_step = op.out_lanes,
                        .b_outer = op.out.width * op.out_lanes,
                        .c = scratch.ops[i].weight_gradient.data() + ky * inner * kLanes,
                        .c_row = kLanes,
                        .c_panel = op.rows * kLanes,
                        .then = record == 0 ? Then::kStore : Then::kAdd});
    }
  }
}

// Weights in panels of kLanes inputs with a row for each output: of a tap after the other from the
// last to the first where the convolution turns round, otherwise panels of the taps in their order.
void BatchPass::SwapWeights(size_t i) {
  const BatchOp& op = ops[i];
  const size_t in_panels = op.in_lanes / kLanes, outputs = op.out_width();
  for (size_t panel = 0; panel < op.panels; ++panel) {
    for (size_t tap = 0; tap < op.taps; ++tap) {
      for (size_t in = 0; in < in_panels; ++in) {
        const size_t place =
            TurnsRound(op) ? in * op.taps + (op.taps - 1 - tap) : tap * in_panels + in;
        kernels.transpose(
            weights + op.weight + (panel * op.rows + tap * op.in_lanes + in * kLanes) * kLanes,
            kLanes, kLanes, kLanes,
            scratch.ops[i].swapped.data() + (place * outputs + panel * kLanes) * kLanes, kLanes);
      }
    }
  }
}

void BatchPass::ConvInputGradient(size_t i) {
  SwapWeights(i);
  for (size_t record = 0; record < count; ++record) {
    if (TurnsRound(ops[i])) {
      TurnedInputGradient(i, record);
    } else {
      SpreadInputGradient(i, record);
    }
  }
}

// With stride 1 the input's gradient is the convolution of the output's gradient, with zeros around
// it, with the kernel turned round.
void BatchPass::TurnedInputGradient(size_t i, size_t record) {
  const BatchOp& op = ops[i];
  const size_t width = TurnedWidth(op) * op.out_lanes, length = op.out.width * op.out_lanes;
  float* spread = scratch.ops[i].spread.data();
  const float* from = Gradient(i) + record * op.out_stride;
  for (size_t y = 0; y < op.out.height; ++y) {
    std::memcpy(spread + (y + TurnedPadding(op)) * width + TurnedPadding(op) * op.out_lanes,
                from + y * length, length * sizeof(float));
  }
  const size_t inner = op.kernel * op.out_lanes;
  float* below = Gradient(i - 1) + record * op.in_stride;
  for (size_t y = 0; y < op.in.height; ++y) {
    kernels.multiply({.rows = op.in.width,
                      .panels = op.in_lanes / kLanes,
                      .inner = inner,
                      .outer = op.kernel,
                      .a = spread + y * width,
                      .a_row = op.out_lanes,
                      .a_step = 1,
                      .a_outer = width,
                      .b = scratch.ops[i].swapped.data(),
                      .b_panel = op.taps * op.out_lanes * kLanes,
                      .b_step = kLanes,
                      .b_outer = inner * kLanes,
                      .c = below + y * op.in.width * op.in_lanes,
                      .c_row = op.in_lanes,
                      .c_panel = kLanes});
  }
}

// Otherwise: gradients of whole windows, a row of them at a time, each added where it came from.
void BatchPass::SpreadInputGradient(size_t i, size_t record) {
  const BatchOp& op = ops[i];
  float* spread = scratch.ops[i].spread.data();
  float* windows = scratch.ops[i].windows.data();
  std::fill_n(spread, op.padded_size(), 0.0f);
  const size_t width = op.padded_width() * op.in_lanes, inner = op.kernel * op.in_lanes;
  for (size_t y = 0; y < op.out.height; ++y) {
    kernels.multiply({.rows = op.out.width,
                      .panels = op.rows / kLanes,
                      .inner = op.out_lanes,
                      .a = Gradient(i) + record * op.out_stride + y * op.out.width * op.out_lanes,
                      .a_row = op.out_lanes,
                      .a_step = 1,
                      .b = scratch.ops[i].swapped.data(),
                      .b_panel = op.out_lanes * kLanes,
                      .b_step = kLanes,
                      .c = windows,
                      .c_row = op.rows,
                      .c_panel = kLanes});
    for (size_t x = 0; x < op.out.width; ++x) {
      for (size_t ky = 0; ky < op.kernel; ++ky) {
        kernels.apply(Then::kAdd, 0, windows + x * op.rows + ky * inner,
                      spread + (y * op.stride + ky) * width + x * op.stride * op.in_lanes, inner);
      }
    }
  }
  float* below = Gradient(i - 1) + record * op.in_stride;
  const size_t length = op.in.width * op.in_lanes;
  for (size_t y = 0; y < op.in.height; ++y) {
    std::memcpy(below + y * length, spread + (y + op.padding) * width + op.padding * op.in_lanes,
                length * sizeof(float));
  }
}

}  // namespace dure
