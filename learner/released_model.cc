#include "learner/released_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "crypto/digest.h"
#include "federation/attachments.h"
#include "federation/spec_fields.h"
#include "learner/confined.h"
#include "learner/model_card.h"
#include "learner/script_torch.h"

namespace dure {
namespace {

constexpr char kSchemaKey[] = "dure.schema";
constexpr char kModuleKey[] = "dure.torchscript_sha256";
constexpr char kTorchScript[] = "torchscript";
constexpr uint64_t kBatch = 256;

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

// The optional keys, as keys of a federation file.
absl::Status AddSizes(const std::map<std::string, std::string>& metadata, const std::string& file,
                      ModelSection* section) {
  const auto wrong = [&](const char* key) {
    return absl::InvalidArgumentError(
        absl::StrCat(file, ": its ", key, " is \"", Value(metadata, key), "\""));
  };
  if (const std::string loss = Value(metadata, kLossKey); !loss.empty()) {
    const auto* value =
        ModelSection::Loss_descriptor()->FindValueByName(absl::AsciiStrToUpper(loss));
    if (value == nullptr || value->number() == 0) return wrong(kLossKey);
    section->set_loss(static_cast<ModelSection::Loss>(value->number()));
  }
  if (const std::string hidden = Value(metadata, kHiddenKey); !hidden.empty()) {
    const std::vector<uint32_t> sizes = ParseShape(hidden);
    if (sizes.empty()) return wrong(kHiddenKey);
    section->mutable_hidden()->Assign(sizes.begin(), sizes.end());
  }
  const auto number = [&](const char* key, uint32_t most, auto set) {
    const std::string text = Value(metadata, key);
    uint32_t value = 0;
    if (text.empty()) return true;
    if (!absl::SimpleAtoi(text, &value) || value == 0 || value > most) return false;
    set(value);
    return true;
  };
  if (!number(kEmbeddingKey, 4096, [&](uint32_t n) { section->set_embedding(n); })) {
    return wrong(kEmbeddingKey);
  }
  if (!number(kUnitsKey, 4096, [&](uint32_t n) { section->set_units(n); })) return wrong(kUnitsKey);
  if (!number(kLayersKey, 8, [&](uint32_t n) { section->set_layers(n); })) return wrong(kLayersKey);
  return absl::OkStatus();
}

bool LooksLikeTorchScript(const std::string& bytes) { return bytes.substr(0, 4) == "PK\x03\x04"; }

constexpr absl::Duration kParseTimeout = absl::Minutes(2);
constexpr absl::Duration kRunTimeout = absl::Minutes(10);

using Json = nlohmann::json;

absl::StatusOr<std::string> Confined(const std::string& file, absl::Duration timeout,
                                     const std::function<absl::StatusOr<std::string>()>& work) {
  // LibTorch reads what it wants to know of the machine when it is first used: now, while it may.
  WarmUpTorch();
  const auto run = [&]() -> absl::StatusOr<std::string> {
    SetTorchThreads(1);
    return work();
  };
  return RunConfined(file, {.timeout = timeout}, run);
}

std::string BytesOf(const std::vector<float>& floats) {
  return std::string(reinterpret_cast<const char*>(floats.data()), floats.size() * sizeof(float));
}

std::vector<float> FloatsOf(std::string_view bytes) {
  std::vector<float> floats(bytes.size() / sizeof(float));
  std::memcpy(floats.data(), bytes.data(), floats.size() * sizeof(float));
  return floats;
}

Json ToJson(const ParamManifest& manifest) {
  Json list = Json::array();
  for (const ParamEntry& entry : manifest.params) list.push_back({entry.name, entry.shape});
  return list;
}

// Of a process that may do as it likes: whatever it said must make sense.
bool ReadManifest(const Json& report, const char* key, ParamManifest* manifest) {
  if (!report.is_object() || !report.contains(key) || !report[key].is_array()) return false;
  if (report[key].size() > kMaxModelTensors) return false;
  for (const Json& entry : report[key]) {
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_array() ||
        entry[1].size() > kMaxTensorRank) {
      return false;
    }
    ParamEntry param{.name = entry[0].get<std::string>()};
    uint64_t size = 1;
    for (const Json& side : entry[1]) {
      if (!side.is_number_unsigned()) return false;
      param.shape.push_back(side.get<uint64_t>());
      if (__builtin_mul_overflow(size, param.shape.back(), &size) || size > (uint64_t{1} << 40)) {
        return false;
      }
    }
    manifest->params.push_back(std::move(param));
  }
  return true;
}

absl::StatusOr<ModuleReport> ReportOf(std::string_view answer, const std::string& file) {
  constexpr size_t kLength = 16;
  ModuleReport report;
  uint64_t length = 0;
  if (answer.size() >= kLength &&
      absl::SimpleHexAtoi(absl::string_view(answer.data(), kLength), &length) &&
      length <= answer.size() - kLength) {
    const std::string_view text = answer.substr(kLength, length);
    const Json json = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
    report.params = FloatsOf(answer.substr(kLength + length));
    if (ReadManifest(json, "trained", &report.trained) &&
        ReadManifest(json, "frozen", &report.frozen) &&
        ReadManifest(json, "buffers", &report.buffers) && json["bytes"].is_number_unsigned() &&
        json["batch_norms"].is_array() && report.params.size() == report.trained.dim()) {
      report.bytes = json["bytes"].get<uint64_t>();
      for (const Json& name : json["batch_norms"]) {
        if (name.is_string()) report.batch_norms.push_back(name.get<std::string>());
      }
      return report;
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat(file, ": what the module says of itself makes no sense"));
}

// What a TorchScript file says of its records, as far as it does.
struct Said {
  ModelSection section;  // shape and loss
  bool of_words = false;
  std::string schema;
};
absl::StatusOr<Said> SaidOf(const ModuleFile& module, const std::string& file) {
  DURE_ASSIGN_OR_RETURN(
      const std::string text, Confined(file, kParseTimeout, [&]() -> absl::StatusOr<std::string> {
        DURE_ASSIGN_OR_RETURN(
            ScriptModule parsed,
            ScriptModule::Parse(module.bytes, file, {kInputKey, kLossKey, kTokensKey, kSchemaKey}));
        return absl::StrCat(
            Value(parsed.metadata(), kInputKey), "\n", Value(parsed.metadata(), kLossKey), "\n",
            Value(parsed.metadata(), kTokensKey), "\n", Value(parsed.metadata(), kSchemaKey));
      }));
  // The schema has lines of its own, and is the rest.
  const std::vector<std::string> lines = absl::StrSplit(text, absl::MaxSplits('\n', 3));
  if (lines.size() != 4) {
    return absl::InvalidArgumentError(
        absl::StrCat(file, ": what the module says of itself makes no sense"));
  }
  Said said{.section = {}, .of_words = lines[2] == kWordTokens, .schema = lines[3]};
  const std::vector<uint32_t> shape = ParseShape(lines[0]);
  said.section.mutable_input()->mutable_shape()->Assign(shape.begin(), shape.end());
  said.section.set_loss(ModelSection::CROSS_ENTROPY);
  DURE_RETURN_IF_ERROR(AddSizes({{kLossKey, lines[1]}}, file, &said.section));
  return said;
}

// A copy of the module with the parameters of `model` in their places.
absl::Status ExportModule(const ModelFile& model, const std::string& file,
                          const std::string& module_file, const std::string& out) {
  if (module_file.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(file,
                     " holds the parameters of a TorchScript module: name its file with "
                     "--module"));
  }
  DURE_ASSIGN_OR_RETURN(const ModuleFile module, BlameFile(ReadModuleFile(module_file)));
  const std::string wanted = Value(model.metadata, kModuleKey);
  if (!wanted.empty() && wanted != module.sha256) {
    return absl::InvalidArgumentError(
        absl::StrCat(file, " holds the parameters of the module with SHA-256 ", wanted, "; ",
                     module_file, " has ", module.sha256));
  }
  DURE_ASSIGN_OR_RETURN(
      const std::string bytes,
      Confined(module_file, kParseTimeout, [&]() -> absl::StatusOr<std::string> {
        DURE_ASSIGN_OR_RETURN(ScriptModule parsed, ScriptModule::Parse(module.bytes, module_file));
        if (!(parsed.info().trained == model.manifest)) {
          return absl::InvalidArgumentError(
              absl::StrCat(file, ": its parameters are not those that ", module_file, " trains"));
        }
        parsed.SetParams(model.params);
        return parsed.Save(model.metadata);
      }));
  return WriteFileAtomic(out, bytes);
}

}  // namespace

absl::StatusOr<ModuleFile> ReadModuleFile(const std::string& file) {
  DURE_ASSIGN_OR_RETURN(std::string bytes, ReadFile(file, kMaxModuleBytes));
  if (!LooksLikeTorchScript(bytes)) {
    return absl::InvalidArgumentError(absl::StrCat(file, " is not a TorchScript file"));
  }
  std::string sha256 = ToHex(Sha256(AsBytes(bytes)));
  return ModuleFile{.bytes = std::move(bytes), .sha256 = std::move(sha256)};
}

absl::StatusOr<ModuleReport> InspectModule(const ModuleFile& module, const std::string& file) {
  DURE_ASSIGN_OR_RETURN(
      const std::string answer, Confined(file, kParseTimeout, [&]() -> absl::StatusOr<std::string> {
        DURE_ASSIGN_OR_RETURN(ScriptModule parsed, ScriptModule::Parse(module.bytes, file));
        const ScriptInfo& info = parsed.info();
        Json report = {{"trained", ToJson(info.trained)},
                       {"frozen", ToJson(info.frozen)},
                       {"buffers", ToJson(info.buffers)},
                       {"bytes", info.bytes},
                       {"batch_norms", info.batch_norms}};
        const std::string text = report.dump(-1, ' ', false, kReplaceBadUtf8);
        return absl::StrCat(absl::Hex(text.size(), absl::kZeroPad16), text,
                            BytesOf(parsed.Params()));
      }));
  return ReportOf(answer, file);
}

absl::StatusOr<Architecture> ArchitectureOf(const ModelFile& model, const std::string& file) {
  if (const std::string own = Value(model.metadata, kOwnModelKey); !own.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(file, " holds the parameters of \"", own,
                     "\", a model of a trainer program of one's own, which only that program can "
                     "run; --format safetensors gives the parameters"));
  }
  uint32_t classes = 0;
  const std::vector<uint32_t> shape = ParseShape(Value(model.metadata, kInputKey));
  if (!absl::SimpleAtoi(Value(model.metadata, kClassesKey), &classes) || shape.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(file, " does not say what model it is: its metadata needs ", kArchitectureKey,
                     ", ", kInputKey, " and ", kClassesKey));
  }
  const std::string name = Value(model.metadata, kArchitectureKey);
  absl::StatusOr<ModelSection> section =
      SectionOf(name == kTorchScript ? "mlp" : name, shape, classes);
  if (!section.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": ", section.status().message()));
  }
  DURE_RETURN_IF_ERROR(AddSizes(model.metadata, file, &*section));
  if (name == kTorchScript) {
    section->set_architecture(ModelSection::TORCHSCRIPT);
    section->set_torchscript_parameters(model.manifest.dim());
  }
  auto architecture = MakeArchitecture(*section);
  if (!architecture.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": ", architecture.status().message()));
  }
  if (!FitsManifest(model.manifest, ManifestOf(*architecture))) {
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
                         const std::string& module, const std::string& out) {
  if (format == ModelFormat::kSafetensors && !Value(model.metadata, kOwnModelKey).empty()) {
    return WriteFileAtomic(out, EncodeSafetensors(model));
  }
  DURE_ASSIGN_OR_RETURN(Architecture architecture, BlameFile(ArchitectureOf(model, file)));
  switch (format) {
    case ModelFormat::kSafetensors:
      return WriteFileAtomic(out, EncodeSafetensors(model));
    case ModelFormat::kHuggingFace:
      return WriteHuggingFace(model, architecture, out);
    case ModelFormat::kTorchScript:
      break;
  }
  if (architecture.name == kTorchScript) return ExportModule(model, file, module, out);
  TorchModel torch_model(architecture);
  torch_model.SetParams(model.params);
  return torch_model.SaveTorchScript(out, model.metadata);
}

RunnableModel::RunnableModel(Model model, std::string file, std::vector<uint32_t> shape, Loss loss)
    : model_(std::move(model)), file_(std::move(file)), shape_(std::move(shape)), loss_(loss) {}

absl::StatusOr<RunnableModel> RunnableModel::Load(const std::string& file) {
  DURE_ASSIGN_OR_RETURN(std::string bytes, ReadFile(file, kMaxModelFileBytes));
  if (LooksLikeTorchScript(bytes)) {
    ModuleFile module{.bytes = std::move(bytes)};
    DURE_ASSIGN_OR_RETURN(const Said said, SaidOf(module, file));
    const auto& shape = said.section.input().shape();
    RunnableModel runnable(std::move(module), file, {shape.begin(), shape.end()},
                           said.section.loss());
    runnable.of_words_ = said.of_words;
    runnable.schema_ = said.schema;
    return runnable;
  }
  DURE_ASSIGN_OR_RETURN(ModelFile model, DecodeSafetensors(bytes, file));
  DURE_ASSIGN_OR_RETURN(Architecture architecture, ArchitectureOf(model, file));
  if (architecture.name == kTorchScript) {
    return absl::InvalidArgumentError(absl::StrCat(
        file,
        " holds the parameters of a TorchScript module and not the module: put them into it "
        "with `dure model export --model ",
        file,
        " --module MODULE.pt --format torchscript "
        "--out FILE.pt`, and use that file"));
  }
  std::vector<uint32_t> shape = architecture.shape;
  const Loss loss = architecture.loss;
  TorchModel torch_model(std::move(architecture));
  torch_model.SetParams(model.params);
  RunnableModel runnable(std::move(torch_model), file, std::move(shape), loss);
  runnable.schema_ = Value(model.metadata, kSchemaKey);
  runnable.of_words_ = Value(model.metadata, kTokensKey) == kWordTokens;
  return runnable;
}

absl::StatusOr<std::vector<float>> RunnableModel::Logits(FeatureView records, uint64_t count,
                                                         const std::vector<uint32_t>& shape) {
  const size_t size = records.size() / std::max<uint64_t>(1, count);
  // `run` on a few hundred records after the other.
  const auto in_batches = [&](auto run) -> absl::StatusOr<std::vector<float>> {
    std::vector<float> all;
    for (uint64_t begin = 0; begin < count; begin += kBatch) {
      const uint64_t now = std::min(kBatch, count - begin);
      DURE_ASSIGN_OR_RETURN(std::vector<float> rows,
                            run(records.subspan(begin * size, now * size).ToFloats(), now));
      all.insert(all.end(), rows.begin(), rows.end());
    }
    return all;
  };
  if (auto* model = std::get_if<TorchModel>(&model_)) {
    return in_batches(
        [&](const std::vector<float>& floats, uint64_t now) { return model->Logits(floats, now); });
  }
  DURE_ASSIGN_OR_RETURN(
      const std::string bytes, Confined(file_, kRunTimeout, [&]() -> absl::StatusOr<std::string> {
        DURE_ASSIGN_OR_RETURN(ScriptModule module,
                              ScriptModule::Parse(std::get<ModuleFile>(model_).bytes, file_));
        DURE_ASSIGN_OR_RETURN(std::vector<float> rows,
                              in_batches([&](const std::vector<float>& floats, uint64_t now) {
                                return module.Outputs(floats, now, shape, loss_);
                              }));
        return BytesOf(rows);
      }));
  return FloatsOf(bytes);
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
