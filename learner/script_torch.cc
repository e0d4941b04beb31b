#include "learner/script_torch.h"

#include <c10/core/GradMode.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>
#include <torch/version.h>

#include <set>
#include <sstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "learner/autograd_torch.h"
#include "learner/forward_torch.h"
#include "learner/guarded_torch.h"
#include "learner/script_state_torch.h"

namespace dure {
namespace {

// Names and shapes must fit into one packet of the trainer.
constexpr size_t kMaxNameBytes = size_t{32} << 10;

ParamEntry EntryOf(const std::string& name, const at::Tensor& tensor) {
  return {name, {tensor.sizes().begin(), tensor.sizes().end()}};
}

absl::Status Untrainable(const std::string& name, const std::string& why) {
  return absl::FailedPreconditionError(absl::StrCat(name, " cannot be trained: ", why));
}

bool IsInTraining(const torch::jit::Module& module) {
  return module.hasattr("training") && module.attr("training").isBool() &&
         module.attr("training").toBool();
}

ScriptInfo InfoOf(const torch::jit::Module& module) {
  ScriptInfo info;
  for (const auto& param : module.named_parameters()) {
    const bool trained = param.value.requires_grad();
    (trained ? info.trained : info.frozen).params.push_back(EntryOf(param.name, param.value));
    info.bytes += param.value.nbytes();
  }
  for (const auto& buffer : module.named_buffers()) {
    info.buffers.params.push_back(EntryOf(buffer.name, buffer.value));
    info.bytes += buffer.value.nbytes();
  }
  for (const auto& part : module.named_modules()) {
    if (part.value.hasattr("running_mean") && IsInTraining(part.value)) {
      info.batch_norms.push_back(part.name.empty() ? "the module itself" : part.name);
    }
  }
  return info;
}

}  // namespace

std::string WhyNoBatchNorm(const std::string& where) {
  return absl::StrCat(
      "it has batch normalisation (", where,
      "), which mixes the records of a batch: no record's part in a gradient can be bounded, as "
      "differential privacy needs, and its statistics are buffers, which do not travel; use "
      "GroupNorm instead, or call eval() on it before the module is saved or traced, which keeps "
      "its statistics fixed");
}

std::vector<at::Tensor> ParamsOf(const torch::jit::Module& module, const ParamManifest& manifest) {
  std::map<std::string, at::Tensor> by_name;
  for (const auto& param : module.named_parameters()) by_name[param.name] = param.value;
  std::vector<at::Tensor> params;
  for (const ParamEntry& entry : manifest.params) params.push_back(by_name.at(entry.name));
  return params;
}

torch::jit::Module CopyOf(const torch::jit::Module& module, const ParamManifest& trained) {
  c10::NoGradGuard no_grad;  // copies are nobody's result
  torch::jit::Module copy = module.deepcopy();
  for (const auto& param : copy.named_parameters()) {
    at::Tensor tensor = param.value;
    if (tensor.is_floating_point()) tensor.requires_grad_(false);
  }
  for (at::Tensor& tensor : ParamsOf(copy, trained)) tensor.requires_grad_(true);
  return copy;
}

ScriptModule::ScriptModule(std::unique_ptr<State> state) : state_(std::move(state)) {}
ScriptModule::~ScriptModule() = default;
ScriptModule::ScriptModule(ScriptModule&&) noexcept = default;
ScriptModule& ScriptModule::operator=(ScriptModule&&) noexcept = default;

const ScriptInfo& ScriptModule::info() const { return state_->info; }
const std::map<std::string, std::string>& ScriptModule::metadata() const {
  return state_->metadata;
}

absl::StatusOr<ScriptModule> ScriptModule::Parse(const std::string& bytes, const std::string& name,
                                                 const std::vector<std::string>& metadata_keys) {
  return Guarded(
      absl::StatusCode::kInvalidArgument,
      absl::StrCat(name, " is not a TorchScript file that LibTorch ", TORCH_VERSION, " can read"),
      [&]() -> absl::StatusOr<ScriptModule> {
        torch::jit::ExtraFilesMap extra;
        for (const std::string& key : metadata_keys) extra[key] = "";
        std::istringstream stream(bytes);
        auto state = std::make_unique<State>();
        state->module = torch::jit::load(stream, at::kCPU, extra);
        state->info = InfoOf(state->module);
        state->module.eval();
        for (const auto& [key, value] : extra) {
          if (!value.empty()) state->metadata[key] = value;
        }
        return ScriptModule(std::move(state));
      });
}

std::vector<float> ScriptModule::Params() const {
  std::vector<float> params;
  for (const at::Tensor& tensor : ParamsOf(state_->module, state_->info.trained)) {
    const std::vector<float> values = ToVector(tensor);
    params.insert(params.end(), values.begin(), values.end());
  }
  return params;
}

void ScriptModule::SetParams(std::span<const float> params) {
  DURE_CHECK(params.size() == state_->info.trained.dim());
  CopyInto(params, ParamsOf(state_->module, state_->info.trained));
}

absl::StatusOr<std::string> ScriptModule::Save(
    const std::map<std::string, std::string>& metadata) const {
  return Guarded(absl::StatusCode::kInternal, "LibTorch cannot write the module",
                 [&]() -> absl::StatusOr<std::string> {
                   std::ostringstream bytes;
                   state_->module.save(bytes, {metadata.begin(), metadata.end()});
                   return bytes.str();
                 });
}

absl::StatusOr<std::vector<float>> ScriptModule::Outputs(std::span<const float> records,
                                                         uint64_t count,
                                                         const std::vector<uint32_t>& shape,
                                                         Loss loss) const {
  return Guarded(
      absl::StatusCode::kInvalidArgument, "the TorchScript module does not take these records",
      [&]() -> absl::StatusOr<std::vector<float>> {
        c10::NoGradGuard no_grad;
        const bool text = loss == ModelSection::NEXT_TOKEN;
        const c10::IValue out =
            state_->module.forward({BatchOf(loss, records, records.size() / count, shape)});
        if (!out.isTensor() || out.toTensor().dim() != (text ? 3 : 2) ||
            out.toTensor().size(0) != static_cast<int64_t>(count)) {
          return absl::InvalidArgumentError(
              "the TorchScript module gives no row of numbers for each record");
        }
        return ToVector(out.toTensor());
      });
}

absl::Status CheckTrainable(const ScriptInfo& info, const std::string& name) {
  if (info.trained.params.empty()) {
    return Untrainable(name, info.frozen.params.empty()
                                 ? "it has no parameters"
                                 : "none of its parameters requires a gradient (requires_grad)");
  }
  size_t name_bytes = 0;
  for (const ParamEntry& entry : info.trained.params) {
    name_bytes += entry.name.size() + 16 + 4 * entry.shape.size();
    if (entry.size() == 0) return Untrainable(name, absl::StrCat(entry.name, " is empty"));
  }
  if (name_bytes > kMaxNameBytes || info.trained.dim() > kMaxModelParams) {
    return Untrainable(name, absl::StrCat(info.trained.params.size(), " trained parameters of ",
                                          info.trained.dim(), " numbers, limit ", kMaxModelParams,
                                          ", and ", kMaxNameBytes, " bytes of names"));
  }
  if (!info.batch_norms.empty()) return Untrainable(name, WhyNoBatchNorm(info.batch_norms.front()));
  return absl::OkStatus();
}

}  // namespace dure
