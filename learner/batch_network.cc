#include "learner/batch_network.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "learner/batch_pass.h"
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

}  // namespace

BatchNetwork::BatchNetwork(const Architecture& architecture,
                           const kernels::TileKernels& tile_kernels)
    : loss_(architecture.loss),
      classes_(architecture.classes),
      input_(architecture.input()),
      layout_(architecture),
      most_records_(std::clamp<size_t>(kBatchFloats / layout_.record_floats(), 1, kBatchChunk)),
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
  if (op.kind == Kind::kConv) PrepareConvolution(op, records, passes_down, &own);
}

void BatchNetwork::Prepare(size_t records, BatchScratch& scratch) const {
  DURE_CHECK(records >= 1 && records <= most_records_);
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
  BatchPass{*this, kernels_, layout_.ops(), weights, records.size(), scratch}.Forward();
  return scratch.ops.back().value.data();
}

void BatchNetwork::Backpropagate(const float* weights, const Dataset& data,
                                 std::span<const uint32_t> records, const Sink& sink,
                                 BatchScratch& scratch) const {
  const float* outputs = Outputs(weights, data, records, scratch);
  BatchPass pass{*this, kernels_, layout_.ops(), weights, records.size(), scratch};
  const BatchOp& last = layout_.ops().back();
  float* gradient = pass.Gradient(layout_.ops().size() - 1);
  for (size_t i = 0; i < records.size(); ++i) {
    OutputDirection(loss_, {outputs + i * last.out_stride, classes_}, data.labels[records[i]],
                    {gradient + i * last.out_stride, classes_});
  }
  pass.Backward(sink);
}

void BatchPass::Forward() {
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

void BatchPass::ForwardLinear(size_t i) {
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

void BatchPass::Backward(const Sink& sink) {
  const size_t first = network.layout().first_trained();
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
void BatchPass::BackwardLinear(size_t i, const Sink& sink) {
  const BatchOp& op = ops[i];
  BatchScratch::PerOp& own = scratch.ops[i];
  const float* gradient = Gradient(i);
  if (i > network.layout().first_trained()) {
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

}  // namespace dure
