#include "learner/model_torch.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/tanh.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>
#include <torch/version.h>

#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "base/file.h"

namespace dure {
namespace {

std::string FirstLine(const c10::Error& error) {
  const std::string text = error.what_without_backtrace();
  return text.substr(0, text.find('\n'));
}

// Runs `work` and turns what LibTorch throws into a status of `code`.
template <typename Work>
auto Guarded(absl::StatusCode code, const std::string& what, Work work) -> decltype(work()) {
  try {
    return work();
  } catch (const c10::Error& error) {
    return absl::Status(code, absl::StrCat(what, ": ", FirstLine(error)));
  } catch (const std::exception& error) {
    return absl::Status(code, absl::StrCat(what, ": ", error.what()));
  }
}

std::vector<int64_t> BatchShape(uint64_t count, std::span<const uint32_t> shape) {
  std::vector<int64_t> sizes = {static_cast<int64_t>(count)};
  sizes.insert(sizes.end(), shape.begin(), shape.end());
  return sizes;
}

// A view of `records`, which must outlive it; nothing writes through it.
at::Tensor BatchView(std::span<const float> records, uint64_t count,
                     std::span<const uint32_t> shape) {
  return at::from_blob(const_cast<float*>(records.data()), BatchShape(count, shape), at::kFloat);
}

std::vector<float> ToVector(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.detach().to(at::kFloat).contiguous();
  return {flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel()};
}

// The forward pass as TorchScript, a line a layer.
std::string ForwardSource(const Architecture& architecture) {
  std::string source = "def forward(self, x):\n";
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
  return source + "    return x\n";
}

}  // namespace

void SetTorchThreads(int threads) {
  at::set_num_threads(threads);
  // oneDNN compiles code as it runs, which the trainer's sandbox does not allow.
  at::globalContext().setUserEnabledMkldnn(false);
}

std::string TorchVersion() { return TORCH_VERSION; }

struct TorchModel::State {
  Architecture architecture;
  ParamManifest manifest;
  std::vector<at::Tensor> params;  // manifest order

  at::Tensor Forward(at::Tensor x) const {
    auto param = params.begin();
    for (size_t i = 0; i < architecture.layers.size(); ++i) {
      if (const auto* conv = std::get_if<Conv2dLayer>(&architecture.layers[i])) {
        x = at::conv2d(x, param[0], param[1], conv->stride, conv->padding);
        param += 2;
      } else if (std::holds_alternative<LinearLayer>(architecture.layers[i])) {
        x = at::linear(x.flatten(1), param[0], param[1]);
        param += 2;
      } else if (const auto* pool = std::get_if<MaxPoolLayer>(&architecture.layers[i])) {
        x = at::max_pool2d(x, pool->kernel, pool->stride);
      } else if (std::holds_alternative<TanhLayer>(architecture.layers[i])) {
        x = at::tanh(x);
      } else {
        x = at::relu(x);
      }
    }
    return x;
  }

  at::Tensor Batch(std::span<const float> records, uint64_t count) const {
    const Extent& in = architecture.input();
    DURE_CHECK(records.size() == count * in.size());
    const uint32_t sizes[] = {in.channels, in.height, in.width};
    return BatchView(records, count, sizes);
  }
};

TorchModel::TorchModel(Architecture architecture) : state_(std::make_unique<State>()) {
  state_->manifest = ManifestOf(architecture);
  state_->architecture = std::move(architecture);
}
TorchModel::~TorchModel() = default;
TorchModel::TorchModel(TorchModel&&) noexcept = default;
TorchModel& TorchModel::operator=(TorchModel&&) noexcept = default;

const Architecture& TorchModel::architecture() const { return state_->architecture; }

void TorchModel::SetParams(std::span<const float> params) {
  DURE_CHECK(params.size() == state_->manifest.dim());
  state_->params.clear();
  for (const ParamEntry& entry : state_->manifest.params) {
    const std::vector<int64_t> sizes(entry.shape.begin(), entry.shape.end());
    state_->params.push_back(
        at::from_blob(const_cast<float*>(params.data()), sizes, at::kFloat).clone());
    params = params.subspan(entry.size());
  }
}

absl::StatusOr<std::vector<float>> TorchModel::Logits(std::span<const float> records,
                                                      uint64_t count) const {
  return Guarded(absl::StatusCode::kInternal, "LibTorch cannot run the model",
                 [&]() -> absl::StatusOr<std::vector<float>> {
                   c10::NoGradGuard no_grad;
                   return ToVector(state_->Forward(state_->Batch(records, count)));
                 });
}

absl::StatusOr<std::vector<float>> TorchModel::Direction(std::span<const float> record,
                                                         uint32_t label) const {
  return Guarded(absl::StatusCode::kInternal, "LibTorch cannot differentiate the model",
                 [&]() -> absl::StatusOr<std::vector<float>> {
                   State leaves{state_->architecture, state_->manifest, {}};
                   for (const at::Tensor& param : state_->params) {
                     leaves.params.push_back(param.detach().requires_grad_(true));
                   }
                   const at::Tensor target = at::full({1}, static_cast<int64_t>(label), at::kLong);
                   const at::Tensor loss =
                       at::cross_entropy_loss(leaves.Forward(leaves.Batch(record, 1)), target);
                   std::vector<float> direction;
                   for (const at::Tensor& gradient : torch::autograd::grad({loss}, leaves.params)) {
                     for (float value : ToVector(gradient)) direction.push_back(-value);
                   }
                   return direction;
                 });
}

absl::Status TorchModel::SaveTorchScript(const std::string& path,
                                         const std::map<std::string, std::string>& metadata) const {
  return Guarded(absl::StatusCode::kInternal, absl::StrCat("LibTorch cannot write ", path), [&] {
    torch::jit::Module module("DureModel");
    std::map<std::string, torch::jit::Module> layers;
    for (size_t i = 0; i < state_->manifest.params.size(); ++i) {
      const std::vector<std::string> name =
          absl::StrSplit(state_->manifest.params[i].name, absl::MaxSplits('.', 1));
      auto [layer, added] =
          layers.try_emplace(name[0], torch::jit::Module(absl::StrCat("DureLayer_", name[0])));
      layer->second.register_parameter(name[1], state_->params[i], /*is_buffer=*/false);
    }
    for (const auto& [name, layer] : layers) module.register_module(name, layer);
    module.define(ForwardSource(state_->architecture));
    module.eval();
    std::ostringstream bytes;
    module.save(bytes, {metadata.begin(), metadata.end()});
    return WriteFileAtomic(path, bytes.str());
  });
}

struct ScriptModel::State {
  torch::jit::Module module;
  std::map<std::string, std::string> metadata;
};

ScriptModel::ScriptModel(std::unique_ptr<State> state) : state_(std::move(state)) {}
ScriptModel::~ScriptModel() = default;
ScriptModel::ScriptModel(ScriptModel&&) noexcept = default;
ScriptModel& ScriptModel::operator=(ScriptModel&&) noexcept = default;

const std::map<std::string, std::string>& ScriptModel::metadata() const { return state_->metadata; }

absl::StatusOr<ScriptModel> ScriptModel::Load(const std::string& path,
                                              const std::vector<std::string>& metadata_keys) {
  return Guarded(
      absl::StatusCode::kInvalidArgument,
      absl::StrCat(path, " is not a TorchScript file that LibTorch ", TorchVersion(), " can read"),
      [&]() -> absl::StatusOr<ScriptModel> {
        torch::jit::ExtraFilesMap extra;
        for (const std::string& key : metadata_keys) extra[key] = "";
        auto state = std::make_unique<State>();
        state->module = torch::jit::load(path, at::kCPU, extra);
        state->module.eval();
        for (const auto& [key, value] : extra) {
          if (!value.empty()) state->metadata[key] = value;
        }
        return ScriptModel(std::move(state));
      });
}

absl::StatusOr<std::vector<float>> ScriptModel::Logits(std::span<const float> records,
                                                       uint64_t count,
                                                       const std::vector<uint32_t>& shape) {
  return Guarded(
      absl::StatusCode::kInvalidArgument, "the TorchScript module does not take these records",
      [&]() -> absl::StatusOr<std::vector<float>> {
        c10::NoGradGuard no_grad;
        const c10::IValue out = state_->module.forward({BatchView(records, count, shape)});
        if (!out.isTensor() || out.toTensor().dim() != 2 ||
            out.toTensor().size(0) != static_cast<int64_t>(count)) {
          return absl::InvalidArgumentError(
              "the TorchScript module gives no row of logits for each record");
        }
        return ToVector(out.toTensor());
      });
}

}  // namespace dure
