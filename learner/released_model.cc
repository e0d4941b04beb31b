#include "learner/released_model.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "learner/model_card.h"

namespace dure {
namespace {

constexpr char kArchitectureKey[] = "dure.architecture";
constexpr char kInputKey[] = "dure.input";
constexpr char kClassesKey[] = "dure.classes";

std::string Value(const std::map<std::string, std::string>& metadata, const std::string& key) {
  const auto found = metadata.find(key);
  return found == metadata.end() ? "" : found->second;
}

// "1,28,28"; nothing for anything else.
std::vector<uint32_t> ParseShape(const std::string& text) {
  std::vector<uint32_t> shape;
  for (absl::string_view part : absl::StrSplit(text, ',')) {
    uint32_t dim = 0;
    if (!absl::SimpleAtoi(part, &dim) || dim == 0) return {};
    shape.push_back(dim);
  }
  return shape;
}

constexpr auto kReplaceBadUtf8 = nlohmann::json::error_handler_t::replace;

absl::Status WriteHuggingFace(const ModelFile& model, const Architecture& architecture,
                              const std::string& out) {
  DURE_RETURN_IF_ERROR(MakeFolder(out));
  nlohmann::ordered_json config = {{"model_type", "dure"},
                                   {"architecture", architecture.name},
                                   {"input_shape", architecture.shape},
                                   {"num_labels", architecture.classes},
                                   {"metadata", model.metadata}};
  DURE_RETURN_IF_ERROR(
      WriteFileAtomic(absl::StrCat(out, "/model.safetensors"), EncodeSafetensors(model)));
  DURE_RETURN_IF_ERROR(WriteFileAtomic(absl::StrCat(out, "/config.json"),
                                       config.dump(2, ' ', false, kReplaceBadUtf8) + "\n"));
  return WriteFileAtomic(absl::StrCat(out, "/README.md"),
                         ModelCard(model.metadata, architecture, model.manifest.dim()));
}

bool LooksLikeTorchScript(const std::string& bytes) { return bytes.substr(0, 4) == "PK\x03\x04"; }

}  // namespace

std::map<std::string, std::string> ArchitectureMetadata(const Architecture& architecture) {
  return {{kArchitectureKey, architecture.name},
          {kInputKey, absl::StrJoin(architecture.shape, ",")},
          {kClassesKey, absl::StrCat(architecture.classes)}};
}

absl::StatusOr<Architecture> ArchitectureOf(const ModelFile& model, const std::string& file) {
  uint32_t classes = 0;
  const std::vector<uint32_t> shape = ParseShape(Value(model.metadata, kInputKey));
  if (!absl::SimpleAtoi(Value(model.metadata, kClassesKey), &classes) || shape.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(file, " does not say what model it is: its metadata needs ", kArchitectureKey,
                     ", ", kInputKey, " and ", kClassesKey));
  }
  auto architecture = MakeArchitecture(Value(model.metadata, kArchitectureKey), shape, classes);
  if (!architecture.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": ", architecture.status().message()));
  }
  if (!(ManifestOf(*architecture) == model.manifest)) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": its parameters are not those of the ",
                                                   architecture->name, " that it says it is"));
  }
  return architecture;
}

absl::StatusOr<ModelFile> ReadModelFile(const std::string& file) {
  DURE_ASSIGN_OR_RETURN(std::string bytes, ReadFile(file, kMaxModelFileBytes));
  if (LooksLikeTorchScript(bytes)) {
    return absl::InvalidArgumentError(
        absl::StrCat(file, " is a TorchScript file; a safetensors file is needed here"));
  }
  return DecodeSafetensors(bytes, file);
}

absl::Status ExportModel(const ModelFile& model, const std::string& file, ModelFormat format,
                         const std::string& out) {
  DURE_ASSIGN_OR_RETURN(Architecture architecture, BlameFile(ArchitectureOf(model, file)));
  switch (format) {
    case ModelFormat::kSafetensors:
      return WriteFileAtomic(out, EncodeSafetensors(model));
    case ModelFormat::kHuggingFace:
      return WriteHuggingFace(model, architecture, out);
    case ModelFormat::kTorchScript:
      break;
  }
  TorchModel torch_model(architecture);
  torch_model.SetParams(model.params);
  return torch_model.SaveTorchScript(out, model.metadata);
}

RunnableModel::RunnableModel(Model model, std::vector<uint32_t> shape)
    : model_(std::move(model)), shape_(std::move(shape)) {}

absl::StatusOr<RunnableModel> RunnableModel::Load(const std::string& file) {
  DURE_ASSIGN_OR_RETURN(std::string bytes, ReadFile(file, kMaxModelFileBytes));
  if (LooksLikeTorchScript(bytes)) {
    DURE_ASSIGN_OR_RETURN(ScriptModel script, ScriptModel::Load(file, {kInputKey}));
    std::vector<uint32_t> shape = ParseShape(Value(script.metadata(), kInputKey));
    return RunnableModel(std::move(script), std::move(shape));
  }
  DURE_ASSIGN_OR_RETURN(ModelFile model, DecodeSafetensors(bytes, file));
  DURE_ASSIGN_OR_RETURN(Architecture architecture, ArchitectureOf(model, file));
  std::vector<uint32_t> shape = architecture.shape;
  TorchModel torch_model(std::move(architecture));
  torch_model.SetParams(model.params);
  return RunnableModel(std::move(torch_model), std::move(shape));
}

absl::StatusOr<std::vector<float>> RunnableModel::Logits(FeatureView records,
                                                         uint64_t count,
                                                         const std::vector<uint32_t>& shape) {
  const std::vector<float> floats = records.ToFloats();
  if (auto* script = std::get_if<ScriptModel>(&model_)) return script->Logits(floats, count, shape);
  return std::get<TorchModel>(model_).Logits(floats, count);
}

std::vector<double> Softmax(std::span<const float> logits) {
  const float largest = *std::max_element(logits.begin(), logits.end());
  std::vector<double> shares;
  double sum = 0;
  for (float logit : logits) {
    shares.push_back(std::exp(static_cast<double>(logit) - largest));
    sum += shares.back();
  }
  for (double& share : shares) share /= sum;
  return shares;
}

}  // namespace dure
