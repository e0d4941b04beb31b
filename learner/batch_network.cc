#include "learner/batch_network.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "learner/loss.h"

namespace dure {
namespace {

using kernels::kLanes;
using kernels::Padded;
using kernels::Then;
using Kind = BatchOp::Kind;

kernels::Pool PoolOf(const BatchOp& op) {
  return {.channels = op.in_lanes,
          .in_width = op.in.width,
          .out_height = op.out.height,
          .out_width = op.out.width,
          .kernel = op.kernel,
          .stride = op.stride};
}

size_t PaddedSize(const BatchOp& op) {
  return op.padded_height() * op.padded_width() * op.in_lanes;
}

// Whether the input gradient of a convolution is a convolution of its output's gradient.
bool TurnsRound(const BatchOp& op) { return op.stride == 1 && op.padding < op.kernel; }
// Of that one: zeros around the gradient, and its size with them.
size_t TurnedPadding(const BatchOp& op) { return op.kernel - 1 - op.padding; }
size_t TurnedWidth(const BatchOp& op) { return op.out.width + 2 * TurnedPadding(op); }
size_t TurnedSize(const BatchOp& op) {
  return (op.out.height + 2 * TurnedPadding(op)) * TurnedWidth(op) * op.out_lanes;
}

}  // namespace

// One chunk of records on its way through the layers.
struct BatchNetwork::Pass {
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
    while (ops[i].elementwise() && i > network.layout_.first_trained()) --i;
    return scratch.ops[i].gradient.data();
  }
  // What a convolution's windows are rows of, and how far apart records are there.
  const float* Windows(size_t i) const {
    return ops[i].padding == 0 ? In(i) : scratch.ops[i].padded.data();
  }
  size_t WindowsApart(size_t i) const {
    return ops[i].padding == 0 ? ops[i].in_stride : PaddedSize(ops[i]);
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

BatchNetwork::BatchNetwork(const Architecture& architecture,
                           const kernels::TileKernels& tile_kernels)
    : loss_(architecture.loss),
      classes_(architecture.classes),
      input_(architecture.input()),
      layout_(architecture),
      kernels_(tile_kernels) {}

void BatchNetwork::PrepareOp(size_t i, size_t records, BatchScratch& scratch) const {
  const BatchOp& op = layout_.ops()[i];
  BatchScratch::PerOp& own = scratch.ops[i];
  own.value.Reserve(records * op.out_stride);
  if (op.kind == Kind::kPool) own.chosen.resize(records * op.out_stride);
  if (i < layout_.first_trained()) return;
  const bool shares = op.elementwise() && i > layout_.first_trained();
  if (!shares) own.gradient.Reserve(records * op.out_stride);
  own.bias_gradient.Reserve(2 * op.out_width());
  const bool passes_down = i > layout_.first_trained();
  if (op.kind == Kind::kLinear && passes_down) {
    own.across.Reserve(op.out_width() * Padded(kBatchChunk));
    own.across_out.Reserve(op.rows * Padded(kBatchChunk));
  }
  if (op.kind != Kind::kConv) return;
  if (op.padding > 0) own.padded.Reserve(records * PaddedSize(op));
  own.weight_gradient.Reserve(op.weight_size());
  if (!passes_down) return;
  own.swapped.Reserve(op.rows * op.out_width());
  if (TurnsRound(op)) {
    own.spread.Reserve(TurnedSize(op));
  } else {
    own.spread.Reserve(PaddedSize(op));
    own.windows.Reserve(op.out.width * op.rows);
  }
}

void BatchNetwork::Prepare(size_t records, BatchScratch& scratch) const {
  DURE_CHECK(records >= 1 && records <= kBatchChunk);
  if (records <= scratch.records) return;
  scratch.records = records;
  scratch.ops.resize(layout_.ops().size());
  scratch.input.Reserve(records * layout_.ops()[0].in_stride);
  for (size_t i = 0; i < scratch.ops.size(); ++i) PrepareOp(i, records, scratch);
}

void BatchNetwork::ReadRecords(const Dataset& data, std::span<const uint32_t> records,
                               BatchScratch& scratch) const {
  const size_t size = input_.size(), area = size_t{input_.height} * input_.width;
  DURE_CHECK(data.record_size() == size);
  float* to = scratch.input.data();
  for (const uint32_t record : records) {
    if (input_.channels > 1 && area > 1) {
      const FeatureView features = data.Record(record);
      for (size_t channel = 0, i = 0; channel < input_.channels; ++channel) {
        for (size_t place = 0; place < area; ++place, ++i) {
          to[place * input_.channels + channel] = features[i];
        }
      }
    } else if (data.numbers.empty()) {
      kernels_.bytes_to_floats(data.features.data() + record * size, to, size);
    } else {
      std::memcpy(to, data.numbers.data() + record * size, size * sizeof(float));
    }
    to += layout_.ops()[0].in_stride;
  }
}

const float* BatchNetwork::Outputs(const float* weights, const Dataset& data,
                                   std::span<const uint32_t> records, BatchScratch& scratch) const {
  Prepare(records.size(), scratch);
  ReadRecords(data, records, scratch);
  Pass{*this, kernels_, layout_.ops(), weights, records.size(), scratch}.Forward();
  return scratch.ops.back().value.data();
}

void BatchNetwork::Backpropagate(const float* weights, const Dataset& data,
                                 std::span<const uint32_t> records, const Sink& sink,
                                 BatchScratch& scratch) const {
  const float* outputs = Outputs(weights, data, records, scratch);
  Pass pass{*this, kernels_, layout_.ops(), weights, records.size(), scratch};
  const BatchOp& last = layout_.ops().back();
  float* gradient = pass.Gradient(layout_.ops().size() - 1);
  for (size_t i = 0; i < records.size(); ++i) {
    OutputDirection(loss_, {outputs + i * last.out_stride, classes_}, data.labels[records[i]],
                    {gradient + i * last.out_stride, classes_});
  }
  pass.Backward(sink);
}

void BatchNetwork::Pass::Forward() {
  for (size_t i = 0; i < ops.size(); ++i) {
    const BatchOp& op = ops[i];
    float* value = scratch.ops[i].value.data();
    switch (op.kind) {
      case Kind::kConv:
        ForwardConv(i);
        break;
      case Kind::kLinear:
        ForwardLinear(i);
        break;
      case Kind::kTanh:
        kernels::Tanh(In(i), value, count * op.out_stride);
        break;
      case Kind::kRelu:
        kernels.relu(In(i), value, count * op.out_stride);
        break;
      case Kind::kPool:
        for (size_t record = 0; record < count; ++record) {
          kernels::MaxPool(PoolOf(op), In(i) + record * op.in_stride,
                           value + record * op.out_stride,
                           scratch.ops[i].chosen.data() + record * op.out_stride);
        }
    }
  }
}

void BatchNetwork::Pass::ForwardConv(size_t i) {
  const BatchOp& op = ops[i];
  const size_t width = op.padded_width() * op.in_lanes;
  const size_t inner = op.kernel * op.in_lanes;
  for (size_t record = 0; record < count; ++record) {
    if (op.padding > 0) {
      const float* from = In(i) + record * op.in_stride;
      float* to = scratch.ops[i].padded.data() + record * PaddedSize(op) +
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

void BatchNetwork::Pass::ForwardLinear(size_t i) {
  const BatchOp& op = ops[i];
  kernels.multiply({.rows = count,
                    .panels = op.panels,
                    .inner = op.rows,
                    .a = In(i),
                    .a_row = op.in_stride,
                    .a_step = 1,
                    .b = weights + op.weight,
                    .b_panel = op.rows * kLanes,
                    .b_step = kLanes,
                    .c = scratch.ops[i].value.data(),
                    .c_row = op.out_stride,
                    .c_panel = kLanes,
                    .start = weights + op.bias,
                    .relu = op.relu});
}

void BatchNetwork::Pass::Backward(const Sink& sink) {
  const size_t first = network.layout_.first_trained();
  for (size_t i = ops.size(); i-- > first;) {
    const BatchOp& op = ops[i];
    const float* value = scratch.ops[i].value.data();
    float* gradient = Gradient(i);
    switch (op.kind) {
      case Kind::kTanh:
        kernels::TanhBackward(value, gradient, count * op.out_stride);
        break;
      case Kind::kRelu:
        kernels.relu_backward(value, gradient, count * op.out_stride);
        break;
      case Kind::kPool: {
        float* below = Gradient(i - 1);
        std::fill_n(below, count * op.in_stride, 0.0f);
        for (size_t record = 0; record < count; ++record) {
          kernels::MaxPoolBackward(PoolOf(op), gradient + record * op.out_stride,
                                   scratch.ops[i].chosen.data() + record * op.out_stride,
                                   below + record * op.in_stride);
        }
        break;
      }
      case Kind::kLinear:
      case Kind::kConv:
        if (op.relu) kernels.relu_backward(value, gradient, count * op.out_stride);
        if (op.kind == Kind::kLinear) {
          BackwardLinear(i, sink);
        } else {
          BackwardConv(i, sink);
        }
    }
  }
}

// The input's gradient has the records side by side, because the weights are read one by one then
// and in the order in which they lie.
void BatchNetwork::Pass::BackwardLinear(size_t i, const Sink& sink) {
  const BatchOp& op = ops[i];
  BatchScratch::PerOp& own = scratch.ops[i];
  const float* gradient = Gradient(i);
  if (i > network.layout_.first_trained()) {
    const size_t width = Padded(count);
    kernels.transpose(gradient, count, op.out_width(), op.out_stride, own.across.data(), width);
    kernels.multiply({.rows = op.rows,
                      .panels = width / kLanes,
                      .inner = kLanes,
                      .outer = op.panels,
                      .a = weights + op.weight,
                      .a_row = kLanes,
                      .a_step = 1,
                      .a_outer = op.rows * kLanes,
                      .b = own.across.data(),
                      .b_panel = kLanes,
                      .b_step = width,
                      .b_outer = kLanes * width,
                      .c = own.across_out.data(),
                      .c_row = width,
                      .c_panel = kLanes});
    kernels.transpose(own.across_out.data(), op.rows, count, width, Gradient(i - 1), op.in_stride);
  }
  kernels.multiply({.rows = op.rows,
                    .panels = op.panels,
                    .inner = count,
                    .a = In(i),
                    .a_row = 1,
                    .a_step = op.in_stride,
                    .b = gradient,
                    .b_panel = kLanes,
                    .b_step = op.out_stride,
                    .c = sink.to + op.weight,
                    .c_row = kLanes,
                    .c_panel = op.rows * kLanes,
                    .then = sink.then,
                    .factor = sink.factor});
  kernels.sum_rows(gradient, count, op.out_width(), op.out_stride, own.bias_gradient.data());
  kernels.apply(sink.then, sink.factor, own.bias_gradient.data(), sink.to + op.bias,
                op.out_width());
}

void BatchNetwork::Pass::BackwardConv(size_t i, const Sink& sink) {
  const BatchOp& op = ops[i];
  BatchScratch::PerOp& own = scratch.ops[i];
  if (i > network.layout_.first_trained()) ConvInputGradient(i);
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

void BatchNetwork::Pass::ConvWeightGradient(size_t i) {
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
void BatchNetwork::Pass::SwapWeights(size_t i) {
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

void BatchNetwork::Pass::ConvInputGradient(size_t i) {
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
void BatchNetwork::Pass::TurnedInputGradient(size_t i, size_t record) {
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
void BatchNetwork::Pass::SpreadInputGradient(size_t i, size_t record) {
  const BatchOp& op = ops[i];
  float* spread = scratch.ops[i].spread.data();
  float* windows = scratch.ops[i].windows.data();
  std::fill_n(spread, PaddedSize(op), 0.0f);
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
