#include "learner/batch_layout.h"

#include <algorithm>

#include "base/check.h"

namespace dure {
namespace {

using kernels::kLanes;
using kernels::Padded;

// Records a multiple of 4 KiB apart would all fall on the same lines of the nearest cache.
size_t Apart(size_t floats) {
  const size_t padded = Padded(floats);
  return padded % 1024 == 0 ? padded + kLanes : padded;
}

BatchOp OpOf(const Layer& layer) {
  BatchOp op;
  if (const auto* conv = std::get_if<Conv2dLayer>(&layer)) {
    op.kind = BatchOp::Kind::kConv;
    op.kernel = conv->kernel;
    op.stride = conv->stride;
    op.padding = conv->padding;
  } else if (const auto* pool = std::get_if<MaxPoolLayer>(&layer)) {
    op.kind = BatchOp::Kind::kPool;
    op.kernel = pool->kernel;
    op.stride = pool->stride;
  } else if (std::holds_alternative<TanhLayer>(layer)) {
    op.kind = BatchOp::Kind::kTanh;
  } else if (std::holds_alternative<ReluLayer>(layer)) {
    op.kind = BatchOp::Kind::kRelu;
  }
  return op;
}

// Calls visit(packed, flat, outputs): `packed` is where a row of a panel is, `flat` where the same
// input's weight of the panel's first output is, each output's `distance` after the one before it.
// Of a row without a weight, `outputs` is 0.
template <typename Visit>
void ForEachRow(const BatchOp& op, Visit visit) {
  const size_t channels = op.in.channels, distance = channels * op.taps;
  for (size_t panel = 0; panel < op.panels; ++panel) {
    const size_t outputs = std::min(kLanes, op.out.channels - panel * kLanes);
    const size_t packed = op.weight + panel * op.rows * kLanes;
    const size_t flat = op.manifest + panel * kLanes * distance;
    for (size_t channel = 0; channel < op.in_lanes; ++channel) {
      for (size_t tap = 0; tap < op.taps; ++tap) {
        visit(packed + (tap * op.in_lanes + channel) * kLanes, flat + channel * op.taps + tap,
              channel < channels ? outputs : 0);
      }
    }
  }
}

size_t FlatBias(const BatchOp& op) {
  return op.manifest + size_t{op.out.channels} * op.in.channels * op.taps;
}

}  // namespace

BatchLayout::BatchLayout(const Architecture& architecture) {
  DURE_CHECK(architecture.has_kernels());
  size_t lanes = architecture.input().channels;
  size_t stride = Apart(architecture.input().size());
  size_t manifest = 0;
  for (size_t i = 0; i < architecture.layers.size(); ++i) {
    BatchOp op = OpOf(architecture.layers[i]);
    if (op.kind == BatchOp::Kind::kRelu && !ops_.empty() && ops_.back().has_params() &&
        !ops_.back().relu) {
      ops_.back().relu = true;
      continue;
    }
    op.in = architecture.extents[i];
    op.out = architecture.extents[i + 1];
    op.in_lanes = op.out_lanes = lanes;
    op.in_stride = stride;
    if (op.has_params()) {
      op.taps = op.kind == BatchOp::Kind::kConv ? op.kernel * op.kernel : op.in_places();
      op.rows = op.taps * lanes;
      op.panels = Padded(op.out.channels) / kLanes;
      op.out_lanes = op.out_width();
      op.weight = size_;
      op.bias = size_ + op.weight_size();
      size_ = op.bias + op.out_width();
      op.manifest = manifest;
      manifest = FlatBias(op) + op.out.channels;
    }
    op.out_stride = Apart(op.out_places() * op.out_lanes);
    lanes = op.out_lanes;
    stride = op.out_stride;
    ops_.push_back(op);
  }
  first_trained_ = static_cast<size_t>(
      std::find_if(ops_.begin(), ops_.end(), [](const BatchOp& op) { return op.has_params(); }) -
      ops_.begin());
}

void BatchLayout::Pack(std::span<const float> params, float* packed) const {
  for (const BatchOp& op : ops_) {
    if (!op.has_params()) continue;
    const size_t distance = op.in.channels * op.taps;
    ForEachRow(op, [&](size_t to, size_t from, size_t outputs) {
      for (size_t j = 0; j < outputs; ++j) packed[to + j] = params[from + j * distance];
      for (size_t j = outputs; j < kLanes; ++j) packed[to + j] = 0;
    });
    const std::span<const float> bias = params.subspan(FlatBias(op), op.out.channels);
    std::fill_n(std::copy(bias.begin(), bias.end(), packed + op.bias), op.out_width() - bias.size(),
                0.0f);
  }
}

void BatchLayout::Unpack(const float* packed, std::span<float> params) const {
  for (const BatchOp& op : ops_) {
    if (!op.has_params()) continue;
    const size_t distance = op.in.channels * op.taps;
    ForEachRow(op, [&](size_t from, size_t to, size_t outputs) {
      for (size_t j = 0; j < outputs; ++j) params[to + j * distance] = packed[from + j];
    });
    std::copy_n(packed + op.bias, op.out.channels, params.data() + FlatBias(op));
  }
}

}  // namespace dure
