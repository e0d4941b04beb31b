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

// Weights of one input channel, or of all where there is one tap, that lie together in the
// manifest's order for each output: `count` of them, which in a panel are rows `apart` floats
// apart.
struct Run {
  size_t packed = 0;  // where the first one's row begins
  size_t flat = 0;    // where the first is, of the panel's first output
  size_t count = 0, apart = 0;
  size_t outputs = 0;  // of this panel
};

template <typename Visit>
void ForEachRun(const BatchOp& op, Visit visit) {
  const size_t channels = op.in.channels, distance = channels * op.taps;
  for (size_t panel = 0; panel < op.panels; ++panel) {
    Run run = {.packed = op.weight + panel * op.rows * kLanes,
               .flat = op.manifest + panel * kLanes * distance,
               .count = op.taps == 1 ? channels : op.taps,
               .apart = op.taps == 1 ? kLanes : op.in_lanes * kLanes,
               .outputs = std::min(kLanes, op.out.channels - panel * kLanes)};
    for (size_t done = 0; done < distance; done += run.count) {
      visit(run);
      run.packed += kLanes;
      run.flat += run.count;
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

size_t BatchLayout::record_floats() const {
  size_t floats = ops_[0].in_stride;
  for (const BatchOp& op : ops_) {
    floats += op.out_stride * (op.elementwise() ? 1 : 2);
    if (op.kind == BatchOp::Kind::kPool) floats += op.out_stride;
    if (op.kind == BatchOp::Kind::kConv && op.padding > 0) floats += op.padded_size();
  }
  return floats;
}

void BatchLayout::Pack(const kernels::TileKernels& tile_kernels, std::span<const float> params,
                       float* packed) const {
  for (const BatchOp& op : ops_) {
    if (!op.has_params()) continue;
    const bool full = op.in_lanes == op.in.channels && op.out_width() == op.out.channels;
    if (!full) std::fill_n(packed + op.weight, op.weight_size() + op.out_width(), 0.0f);
    const size_t distance = op.in.channels * op.taps;
    ForEachRun(op, [&](const Run& run) {
      tile_kernels.transpose(params.data() + run.flat, run.outputs, run.count, distance,
                             packed + run.packed, run.apart);
    });
    std::copy_n(params.data() + FlatBias(op), op.out.channels, packed + op.bias);
  }
}

void BatchLayout::Unpack(const kernels::TileKernels& tile_kernels, const float* packed,
                         std::span<float> params) const {
  for (const BatchOp& op : ops_) {
    if (!op.has_params()) continue;
    const size_t distance = op.in.channels * op.taps;
    ForEachRun(op, [&](const Run& run) {
      tile_kernels.transpose(packed + run.packed, run.count, run.outputs, run.apart,
                             params.data() + run.flat, distance);
    });
    std::copy_n(packed + op.bias, op.out.channels, params.data() + FlatBias(op));
  }
}

}  // namespace dure
