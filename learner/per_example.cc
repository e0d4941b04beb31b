#include "learner/per_example.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "learner/batch_sgd.h"
#include "learner/data/dataset.h"
#include "learner/kernels.h"
#include "learner/loss.h"
#include "learner/packed_outputs.h"

namespace dure {
namespace {

using kernels::Padded;

// Place in the network's order of the value at `i` in the manifest's: [channels][height][width] to
// [height][width][channels].
size_t ChannelsLast(size_t i, size_t channels, size_t area) {
  return i % area * channels + i / area;
}

void CopyFloats(const float* from, float* to, size_t n) {
  for (; n >= 8; n -= 8, from += 8, to += 8) std::memcpy(to, from, 8 * sizeof(float));
  for (; n > 0; --n) *to++ = *from++;
}

void AddFloats(const float* from, float* to, size_t n) {
  for (size_t i = 0; i < n; ++i) to[i] += from[i];
}

// Calls visit(start of a kernel row in the padded picture, start of its copy among `rows`).
template <typename Visit>
void ForEachKernelRow(const Conv2dLayer& conv, const Extent& in, const Extent& out, Visit visit) {
  const size_t width = in.width + 2 * size_t{conv.padding};
  const size_t length = size_t{conv.kernel} * in.channels;
  size_t row = 0;
  for (size_t y = 0; y < out.height; ++y) {
    for (size_t x = 0; x < out.width; ++x) {
      for (size_t ky = 0; ky < conv.kernel; ++ky, row += length) {
        visit(((y * conv.stride + ky) * width + x * conv.stride) * in.channels, row);
      }
    }
  }
}

// Calls visit(place in the picture, place in the padded one, floats) for each row of the picture.
template <typename Visit>
void ForEachPaddedRow(const Conv2dLayer& conv, const Extent& in, Visit visit) {
  const size_t length = size_t{in.width} * in.channels;
  const size_t padded_length = (in.width + 2 * size_t{conv.padding}) * in.channels;
  for (size_t y = 0; y < in.height; ++y) {
    visit(y * length, (y + conv.padding) * padded_length + conv.padding * in.channels, length);
  }
}

kernels::Pool PoolOf(const MaxPoolLayer& pool, const Extent& in, const Extent& out) {
  return {.channels = in.channels,
          .in_width = in.width,
          .out_height = out.height,
          .out_width = out.width,
          .kernel = pool.kernel,
          .stride = pool.stride};
}

}  // namespace

Network::Network(Architecture architecture)
    : architecture_(std::move(architecture)), manifest_(ManifestOf(architecture_)) {
  dim_ = manifest_.dim();
  weights_.resize(architecture_.layers.size());
  own_index_.reserve(dim_);
  size_t offset = 0;
  for (size_t i = 0; i < weights_.size(); ++i) {
    const Extent& in = architecture_.extents[i];
    Weights& w = weights_[i];
    size_t area = 0;
    if (const auto* conv = std::get_if<Conv2dLayer>(&architecture_.layers[i])) {
      area = size_t{conv->kernel} * conv->kernel;
      w.out = conv->out;
      w.in = area * in.channels;
    } else if (const auto* linear = std::get_if<LinearLayer>(&architecture_.layers[i])) {
      area = size_t{in.height} * in.width;
      w.out = linear->out;
      w.in = in.size();
    } else {
      continue;
    }
    w.offset = offset;
    w.rows.resize(w.out * w.in);
    w.transposed.resize(w.in * Padded(w.out));
    w.bias.resize(Padded(w.out));
    for (size_t row = 0; row < w.out; ++row) {
      for (size_t k = 0; k < w.in; ++k) {
        own_index_.push_back(
            static_cast<uint32_t>(offset + row * w.in + ChannelsLast(k, in.channels, area)));
      }
    }
    offset += w.out * w.in;
    for (size_t row = 0; row < w.out; ++row) own_index_.push_back(static_cast<uint32_t>(offset++));
  }
  DURE_CHECK(offset == dim_);
}

std::unique_ptr<ModelWorkspace> Network::MakeWorkspace() const {
  auto made = std::make_unique<NetworkWorkspace>();
  NetworkWorkspace& workspace = *made;
  workspace.input.resize(architecture_.input().size());
  workspace.direction.resize(dim_);
  workspace.layers.resize(architecture_.layers.size());
  for (size_t i = 0; i < workspace.layers.size(); ++i) {
    const Extent& in = architecture_.extents[i];
    const Extent& out = architecture_.extents[i + 1];
    NetworkWorkspace::PerLayer& layer = workspace.layers[i];
    layer.value.resize(Padded(out.size()));
    layer.gradient.resize(Padded(out.size()));
    if (const auto* conv = std::get_if<Conv2dLayer>(&architecture_.layers[i])) {
      layer.padded.resize((in.height + 2 * size_t{conv->padding}) *
                          (in.width + 2 * size_t{conv->padding}) * in.channels);
      layer.rows.resize(size_t{out.height} * out.width * weights_[i].in);
      if (i > 0) layer.row_gradient.resize(layer.rows.size());
    } else if (std::holds_alternative<MaxPoolLayer>(architecture_.layers[i])) {
      layer.chosen.resize(out.size());
    }
  }
  return made;
}

void Network::SetParams(std::span<const float> params) {
  DURE_CHECK(params.size() == dim_);
  for (Weights& w : weights_) {
    if (w.out == 0) continue;
    for (size_t i = 0; i < w.rows.size(); ++i) {
      w.rows[own_index_[w.offset + i] - w.offset] = params[w.offset + i];
    }
    for (size_t row = 0; row < w.out; ++row) {
      w.bias[row] = params[w.offset + w.rows.size() + row];
      for (size_t k = 0; k < w.in; ++k) {
        w.transposed[k * Padded(w.out) + row] = w.rows[row * w.in + k];
      }
    }
  }
}

void Network::Forward(FeatureView record, NetworkWorkspace* workspace) const {
  const Extent& input = architecture_.input();
  DURE_CHECK(record.size() == input.size());
  const size_t area = size_t{input.height} * input.width;
  for (size_t channel = 0, i = 0; channel < input.channels; ++channel) {
    for (size_t place = 0; place < area; ++place, ++i) {
      workspace->input[place * input.channels + channel] = record[i];
    }
  }
  const float* in = workspace->input.data();
  for (size_t i = 0; i < architecture_.layers.size(); ++i) {
    const Extent& from = architecture_.extents[i];
    const Extent& to = architecture_.extents[i + 1];
    NetworkWorkspace::PerLayer& layer = workspace->layers[i];
    const Weights& w = weights_[i];
    float* out = layer.value.data();
    if (const auto* conv = std::get_if<Conv2dLayer>(&architecture_.layers[i])) {
      ForEachPaddedRow(*conv, from, [&](size_t plain, size_t padded, size_t length) {
        CopyFloats(in + plain, layer.padded.data() + padded, length);
      });
      const size_t length = size_t{conv->kernel} * from.channels;
      ForEachKernelRow(*conv, from, to, [&](size_t padded, size_t row) {
        CopyFloats(layer.padded.data() + padded, layer.rows.data() + row, length);
      });
      kernels::Multiply({.m = size_t{to.height} * to.width,
                         .n = w.out,
                         .k = w.in,
                         .a = layer.rows.data(),
                         .a_row = w.in,
                         .a_col = 1,
                         .b = w.transposed.data(),
                         .ldb = Padded(w.out),
                         .c = out,
                         .ldc = w.out,
                         .start = w.bias.data()});
    } else if (std::holds_alternative<LinearLayer>(architecture_.layers[i])) {
      kernels::Multiply({.m = 1,
                         .n = Padded(w.out),
                         .k = w.in,
                         .a = in,
                         .a_row = w.in,
                         .a_col = 1,
                         .b = w.transposed.data(),
                         .ldb = Padded(w.out),
                         .c = out,
                         .ldc = Padded(w.out),
                         .start = w.bias.data()});
    } else if (const auto* pool = std::get_if<MaxPoolLayer>(&architecture_.layers[i])) {
      kernels::MaxPool(PoolOf(*pool, from, to), in, out, layer.chosen.data());
    } else if (std::holds_alternative<TanhLayer>(architecture_.layers[i])) {
      kernels::Tanh(in, out, to.size());
    } else {
      // Written so that a value that is not a number stays one.
      for (size_t j = 0; j < to.size(); ++j) out[j] = in[j] < 0 ? 0 : in[j];
    }
    in = out;
  }
}

std::span<const float> Network::Outputs(FeatureView record, ModelWorkspace& workspace) const {
  auto& own = static_cast<NetworkWorkspace&>(workspace);
  Forward(record, &own);
  return std::span(own.layers.back().value).first(architecture_.classes);
}

std::unique_ptr<BatchSteps> Network::MakeBatchSteps(int threads) const {
  return std::make_unique<BatchSgd>(architecture_, threads);
}

std::unique_ptr<BatchOutputs> Network::MakeBatchOutputs() const {
  std::vector<float> params(dim_);
  for (const Weights& w : weights_) {
    for (size_t i = 0; i < w.rows.size(); ++i) {
      params[w.offset + i] = w.rows[own_index_[w.offset + i] - w.offset];
    }
    std::copy_n(w.bias.begin(), w.out,
                params.begin() + static_cast<std::ptrdiff_t>(w.offset + w.rows.size()));
  }
  return std::make_unique<PackedOutputs>(architecture_, params);
}

std::span<const float> Network::Direction(FeatureView record, float label,
                                          ModelWorkspace& workspace) const {
  auto& own = static_cast<NetworkWorkspace&>(workspace);
  const std::span<const float> outputs = Outputs(record, workspace);
  OutputDirection(architecture_.loss, outputs, label,
                  std::span(own.layers.back().gradient).first(outputs.size()));
  for (size_t i = architecture_.layers.size(); i-- > 0;) Backward(i, &own);
  return own.direction;
}

void Network::Backward(size_t i, NetworkWorkspace* workspace) const {
  const Extent& from = architecture_.extents[i];
  const Extent& to = architecture_.extents[i + 1];
  const NetworkWorkspace::PerLayer& layer = workspace->layers[i];
  if (const auto* conv = std::get_if<Conv2dLayer>(&architecture_.layers[i])) {
    BackwardConv(i, *conv, workspace);
    return;
  }
  if (std::holds_alternative<LinearLayer>(architecture_.layers[i])) {
    BackwardLinear(i, workspace);
    return;
  }
  if (i == 0) return;
  std::vector<float>& below = workspace->layers[i - 1].gradient;
  if (const auto* pool = std::get_if<MaxPoolLayer>(&architecture_.layers[i])) {
    std::fill(below.begin(), below.end(), 0.0f);
    kernels::MaxPoolBackward(PoolOf(*pool, from, to), layer.gradient.data(), layer.chosen.data(),
                             below.data());
  } else if (std::holds_alternative<TanhLayer>(architecture_.layers[i])) {
    CopyFloats(layer.gradient.data(), below.data(), to.size());
    kernels::TanhBackward(layer.value.data(), below.data(), to.size());
  } else {
    for (size_t j = 0; j < to.size(); ++j) below[j] = layer.value[j] > 0 ? layer.gradient[j] : 0;
  }
}

void Network::BackwardConv(size_t i, const Conv2dLayer& conv, NetworkWorkspace* workspace) const {
  const Extent& from = architecture_.extents[i];
  const Extent& to = architecture_.extents[i + 1];
  const Weights& w = weights_[i];
  NetworkWorkspace::PerLayer& layer = workspace->layers[i];
  const size_t places = size_t{to.height} * to.width;
  float* weight = workspace->direction.data() + w.offset;
  kernels::Multiply({.m = w.out,
                     .n = w.in,
                     .k = places,
                     .a = layer.gradient.data(),
                     .a_row = 1,
                     .a_col = w.out,
                     .b = layer.rows.data(),
                     .ldb = w.in,
                     .c = weight,
                     .ldc = w.in});
  float* bias = weight + w.out * w.in;
  std::fill(bias, bias + w.out, 0.0f);
  for (size_t p = 0; p < places; ++p) AddFloats(&layer.gradient[p * w.out], bias, w.out);
  if (i == 0) return;
  kernels::Multiply({.m = places,
                     .n = w.in,
                     .k = w.out,
                     .a = layer.gradient.data(),
                     .a_row = w.out,
                     .a_col = 1,
                     .b = w.rows.data(),
                     .ldb = w.in,
                     .c = layer.row_gradient.data(),
                     .ldc = w.in});
  // `padded` has served its turn in this pass; its border is set back to zeros afterwards.
  std::fill(layer.padded.begin(), layer.padded.end(), 0.0f);
  const size_t length = size_t{conv.kernel} * from.channels;
  ForEachKernelRow(conv, from, to, [&](size_t padded, size_t row) {
    AddFloats(layer.row_gradient.data() + row, layer.padded.data() + padded, length);
  });
  std::vector<float>& below = workspace->layers[i - 1].gradient;
  ForEachPaddedRow(conv, from, [&](size_t plain, size_t padded, size_t row_length) {
    CopyFloats(layer.padded.data() + padded, below.data() + plain, row_length);
  });
  if (conv.padding > 0) std::fill(layer.padded.begin(), layer.padded.end(), 0.0f);
}

void Network::BackwardLinear(size_t i, NetworkWorkspace* workspace) const {
  const Weights& w = weights_[i];
  const std::vector<float>& gradient = workspace->layers[i].gradient;
  const float* in = i == 0 ? workspace->input.data() : workspace->layers[i - 1].value.data();
  float* weight = workspace->direction.data() + w.offset;
  kernels::Multiply({.m = w.out,
                     .n = w.in,
                     .k = 1,
                     .a = gradient.data(),
                     .a_row = 1,
                     .a_col = 1,
                     .b = in,
                     .ldb = w.in,
                     .c = weight,
                     .ldc = w.in});
  CopyFloats(gradient.data(), weight + w.out * w.in, w.out);
  if (i == 0) return;
  kernels::Multiply({.m = 1,
                     .n = w.in,
                     .k = w.out,
                     .a = gradient.data(),
                     .a_row = w.out,
                     .a_col = 1,
                     .b = w.rows.data(),
                     .ldb = w.in,
                     .c = workspace->layers[i - 1].gradient.data(),
                     .ldc = w.in});
}

}  // namespace dure
