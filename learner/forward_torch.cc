#include "learner/forward_torch.h"

#include <ATen/Parallel.h>
#include <ATen/ops/add.h>
#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/group_norm.h>
#include <ATen/ops/gru.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/lstm.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/mse_loss.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "learner/guarded_torch.h"

namespace dure {
namespace {

constexpr int64_t kSum = 2;  // at::Reduction::Sum

at::Tensor ForwardLayers(const Architecture& architecture, const at::Tensor* param, at::Tensor x) {
  for (const Layer& layer : architecture.layers) {
    if (const auto* conv = std::get_if<Conv2dLayer>(&layer)) {
      x = at::conv2d(x, param[0], param[1], conv->stride, conv->padding);
      param += 2;
    } else if (std::holds_alternative<LinearLayer>(layer)) {
      x = at::linear(x.flatten(1), param[0], param[1]);
      param += 2;
    } else if (const auto* pool = std::get_if<MaxPoolLayer>(&layer)) {
      x = at::max_pool2d(x, pool->kernel, pool->stride);
    } else if (std::holds_alternative<TanhLayer>(layer)) {
      x = at::tanh(x);
    } else {
      x = at::relu(x);
    }
  }
  return x;
}

// A convolution without bias and the normalisation after it.
at::Tensor ConvNorm(const at::Tensor& x, const at::Tensor*& param, int64_t stride,
                    int64_t padding) {
  const at::Tensor y = at::conv2d(x, param[0], {}, stride, padding);
  param += 3;
  return at::group_norm(y, kNormGroups, param[-2], param[-1]);
}

bool SmallStem(const Architecture& architecture) {
  return std::min(architecture.input().height, architecture.input().width) < kSmallStemBelow;
}

// He et al. 2016, section 4.1, with projections where the shape changes.
at::Tensor ForwardResNet18(const Architecture& architecture, const at::Tensor* param,
                           at::Tensor x) {
  if (SmallStem(architecture)) {
    x = at::relu(ConvNorm(x, param, 1, 1));
  } else {
    x = at::max_pool2d(at::relu(ConvNorm(x, param, 2, 3)), 3, 2, 1);
  }
  for (int stage = 1; stage <= 4; ++stage) {
    for (int block = 0; block < 2; ++block) {
      const bool projects = stage > 1 && block == 0;
      at::Tensor y = at::relu(ConvNorm(x, param, projects ? 2 : 1, 1));
      y = ConvNorm(y, param, 1, 1);
      x = at::relu(at::add(y, projects ? ConvNorm(x, param, 2, 0) : x));
    }
  }
  return at::linear(x.flatten(2).mean(2), param[0], param[1]);
}

at::Tensor ForwardRecurrent(const Architecture& architecture, std::span<const at::Tensor> params,
                            const at::Tensor& tokens) {
  const RecurrentSizes& sizes = architecture.recurrent;
  const at::Tensor embedded = at::embedding(params[0], tokens);
  const std::vector<at::Tensor> weights(params.begin() + 1, params.end() - 2);
  const at::Tensor start =
      at::zeros({sizes.layers, tokens.size(0), sizes.units}, embedded.options());
  at::Tensor y;
  if (architecture.name == "gru") {
    y = std::get<0>(at::gru(embedded, start, weights, true, sizes.layers, 0, false, false, true));
  } else {
    y = std::get<0>(
        at::lstm(embedded, {start, start}, weights, true, sizes.layers, 0, false, false, true));
  }
  return at::linear(y, params[params.size() - 2], params[params.size() - 1]);
}

std::string SourceOfLayers(const Architecture& architecture) {
  std::string source;
  // A batch of any shape of records, as the first layer takes it.
  const Extent& in = architecture.input();
  if (std::holds_alternative<Conv2dLayer>(architecture.layers[0])) {
    absl::StrAppend(&source, "    x = x.reshape([-1, ", in.channels, ", ", in.height, ", ",
                    in.width, "])\n");
  }
  for (const Layer& layer : architecture.layers) {
    if (const auto* conv = std::get_if<Conv2dLayer>(&layer)) {
      absl::StrAppend(&source, "    x = torch.conv2d(x, self.", conv->name, ".weight, self.",
                      conv->name, ".bias, [", conv->stride, ", ", conv->stride, "], [",
                      conv->padding, ", ", conv->padding, "])\n");
    } else if (const auto* linear = std::get_if<LinearLayer>(&layer)) {
      absl::StrAppend(&source, "    x = torch.linear(torch.flatten(x, 1), self.", linear->name,
                      ".weight, self.", linear->name, ".bias)\n");
    } else if (const auto* pool = std::get_if<MaxPoolLayer>(&layer)) {
      absl::StrAppend(&source, "    x = torch.max_pool2d(x, [", pool->kernel, ", ", pool->kernel,
                      "], [", pool->stride, ", ", pool->stride, "])\n");
    } else {
      absl::StrAppend(&source, "    x = torch.",
                      std::holds_alternative<TanhLayer>(layer) ? "tanh" : "relu", "(x)\n");
    }
  }
  return source;
}

std::string ConvNormSource(const std::string& out, const std::string& in, const std::string& conv,
                           const std::string& norm, int stride, int padding) {
  return absl::StrCat("    ", out, " = torch.group_norm(torch.conv2d(", in, ", self.", conv,
                      ".weight, None, [", stride, ", ", stride, "], [", padding, ", ", padding,
                      "]), ", kNormGroups, ", self.", norm, ".weight, self.", norm, ".bias)\n");
}

std::string SourceOfResNet18(const Architecture& architecture) {
  const Extent& in = architecture.input();
  const bool small = SmallStem(architecture);
  std::string source =
      absl::StrCat("    x = x.reshape([-1, ", in.channels, ", ", in.height, ", ", in.width, "])\n");
  absl::StrAppend(&source, ConvNormSource("x", "x", "conv1", "norm1", small ? 1 : 2, small ? 1 : 3),
                  "    x = torch.relu(x)\n",
                  small ? "" : "    x = torch.max_pool2d(x, [3, 3], [2, 2], [1, 1])\n");
  for (int stage = 1; stage <= 4; ++stage) {
    for (int block = 0; block < 2; ++block) {
      const std::string name = absl::StrCat("layer", stage, "_", block, "_");
      const bool projects = stage > 1 && block == 0;
      absl::StrAppend(
          &source, ConvNormSource("y", "x", name + "conv1", name + "norm1", projects ? 2 : 1, 1),
          "    y = torch.relu(y)\n", ConvNormSource("y", "y", name + "conv2", name + "norm2", 1, 1),
          projects ? ConvNormSource("x", "x", name + "shortcut", name + "shortcut_norm", 2, 0) : "",
          "    x = torch.relu(y + x)\n");
    }
  }
  return source +
         "    x = torch.linear(torch.mean(torch.flatten(x, 2), [2]), self.fc.weight, "
         "self.fc.bias)\n";
}

std::string SourceOfRecurrent(const Architecture& architecture) {
  const RecurrentSizes& sizes = architecture.recurrent;
  std::string weights;
  for (size_t i = 1; i + 2 < architecture.manifest.params.size(); ++i) {
    absl::StrAppend(&weights, i > 1 ? ", " : "", "self.", architecture.manifest.params[i].name);
  }
  const bool gru = architecture.name == "gru";
  return absl::StrCat(
      "    x = x.long()\n"
      "    e = torch.embedding(self.embedding.weight, x)\n"
      "    h = torch.zeros([",
      sizes.layers, ", x.size(0), ", sizes.units, "])\n    r = torch.",
      gru ? "gru(e, h" : "lstm(e, [h, h]", ", [", weights, "], True, ", sizes.layers,
      ", 0.0, False, False, True)[0]\n"
      "    x = torch.linear(r, self.fc.weight, self.fc.bias)\n");
}

}  // namespace

std::string TextOf(const c10::Error& error) {
  const std::string text = error.what_without_backtrace();
  return text.substr(0, text.find('\n'));
}

// A TorchScript module's own error: where it happened, then "RuntimeError: " and what.
std::string TextOf(const std::exception& error) {
  const std::string text = error.what();
  size_t end = text.find_last_not_of('\n');
  if (end == std::string::npos) return "an error without a text";
  size_t begin = text.rfind("RuntimeError: ");
  if (begin == std::string::npos) begin = text.rfind('\n', end) + 1;
  const std::string last = text.substr(begin, end + 1 - begin);
  return last.substr(0, last.find('\n'));
}

at::Tensor Forward(const Architecture& architecture, std::span<const at::Tensor> params,
                   at::Tensor x) {
  if (architecture.has_kernels()) return ForwardLayers(architecture, params.data(), std::move(x));
  if (architecture.name == "resnet18") {
    return ForwardResNet18(architecture, params.data(), std::move(x));
  }
  return ForwardRecurrent(architecture, params, x);
}

std::string ForwardSource(const Architecture& architecture) {
  const std::string body = architecture.has_kernels()        ? SourceOfLayers(architecture)
                           : architecture.name == "resnet18" ? SourceOfResNet18(architecture)
                                                             : SourceOfRecurrent(architecture);
  return absl::StrCat("def forward(self, x):\n", body, "    return x\n");
}

at::Tensor BatchOf(Loss loss, std::span<const float> records, size_t size,
                   std::span<const uint32_t> shape) {
  const auto count = static_cast<int64_t>(records.size() / size);
  std::vector<int64_t> sizes = {count};
  sizes.insert(sizes.end(), shape.begin(), shape.end());
  if (loss == ModelSection::NEXT_TOKEN) sizes = {count, static_cast<int64_t>(size)};
  // A view of `records`; nothing writes through it.
  const at::Tensor all = at::from_blob(const_cast<float*>(records.data()), sizes, at::kFloat);
  if (loss != ModelSection::NEXT_TOKEN) return all.clone();
  return all.narrow(1, 0, static_cast<int64_t>(size) - 1).to(at::kLong);
}

at::Tensor SumOfLosses(Loss loss, const at::Tensor& outputs, std::span<const float> records,
                       std::span<const float> labels) {
  const auto count = static_cast<int64_t>(labels.size());
  const at::Tensor target =
      at::from_blob(const_cast<float*>(labels.data()), {count}, at::kFloat).clone();
  switch (loss) {
    case ModelSection::BCE_WITH_LOGITS:
      return at::binary_cross_entropy_with_logits(outputs.reshape({count}), target, {}, {}, kSum);
    case ModelSection::MSE:
      return at::mse_loss(outputs.reshape({count}), target, kSum);
    case ModelSection::NEXT_TOKEN: {
      const int64_t length = outputs.size(1);
      const at::Tensor tokens =
          at::from_blob(const_cast<float*>(records.data()), {count, length + 1}, at::kFloat)
              .narrow(1, 1, length)
              .to(at::kLong);
      return at::mul(at::cross_entropy_loss(outputs.flatten(0, 1), tokens.flatten(), {}, kSum),
                     1.0 / static_cast<double>(length));
    }
    default:
      return at::cross_entropy_loss(outputs, target.to(at::kLong), {}, kSum);
  }
}

std::vector<at::Tensor> Leaves(const ParamManifest& manifest, std::span<const float> flat) {
  DURE_CHECK(flat.size() == manifest.dim());
  std::vector<at::Tensor> leaves;
  for (const ParamEntry& entry : manifest.params) {
    const std::vector<int64_t> sizes(entry.shape.begin(), entry.shape.end());
    leaves.push_back(at::from_blob(const_cast<float*>(flat.data()), sizes, at::kFloat)
                         .clone()
                         .requires_grad_(true));
    flat = flat.subspan(entry.size());
  }
  return leaves;
}

void CopyInto(std::span<const float> flat, std::span<const at::Tensor> params) {
  c10::NoGradGuard no_grad;
  for (const at::Tensor& param : params) {
    const auto size = static_cast<size_t>(param.numel());
    param.copy_(at::from_blob(const_cast<float*>(flat.data()), param.sizes(), at::kFloat));
    flat = flat.subspan(size);
  }
}

void SubtractGradients(std::span<const at::Tensor> gradients, std::span<const at::Tensor> params,
                       std::span<float> sum) {
  float* to = sum.data();
  for (size_t i = 0; i < params.size(); ++i) {
    const auto size = static_cast<size_t>(params[i].numel());
    if (gradients[i].defined()) {
      const at::Tensor flat = gradients[i].detach().to(at::kFloat).contiguous();
      const float* from = flat.data_ptr<float>();
      for (size_t j = 0; j < size; ++j) to[j] -= from[j];
    }
    to += size;
  }
}

std::vector<float> ToVector(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.detach().to(at::kFloat).contiguous();
  return {flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel()};
}

void UseOneThread() {
  thread_local bool done = false;
  if (!done) at::set_num_threads(1);
  done = true;
}

}  // namespace dure
