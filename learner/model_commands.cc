#include "learner/model_commands.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "federation/spec.h"
#include "learner/data/idx.h"
#include "learner/initial_weights.h"
#include "learner/per_example.h"
#include "learner/picture.h"

namespace dure {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kMaxSmallFileBytes = uint64_t{64} << 20;
constexpr uint64_t kBatch = 256;

void PrintJson(const Json& object, std::ostream& out) {
  out << object.dump(-1, ' ', false, Json::error_handler_t::replace) << "\n";
}

// What does not fit together in a federation file or on the command line, as wrong usage.
template <typename T>
absl::StatusOr<T> BlameUsage(absl::StatusOr<T> checked) {
  if (!absl::IsFailedPrecondition(checked.status())) return checked;
  return absl::InvalidArgumentError(checked.status().message());
}

// Records to predict, with a name for each.
struct Inputs {
  std::vector<uint32_t> shape;
  std::vector<uint8_t> features;
  std::vector<std::string> names;
  std::vector<uint8_t> labels;  // empty, or one a record
};

// The records [command.index, command.index + command.count) of one IDX file.
absl::Status AddIdx(const PredictCommand& command, const std::string& bytes,
                    const std::string& file, Inputs* inputs) {
  DURE_ASSIGN_OR_RETURN(IdxArray array, BlameFile(DecodeIdx(bytes, file, kMaxDatasetBytes)));
  if (array.dims.size() < 2) {
    return absl::FailedPreconditionError(absl::StrCat(file, " holds labels, not records"));
  }
  const uint64_t records = array.dims[0];
  if (command.index >= records || command.count > records - command.index) {
    return absl::InvalidArgumentError(absl::StrCat(file, " has ", records, " records: --index ",
                                                   command.index, " --count ", command.count,
                                                   " is beyond its end"));
  }
  const std::vector<uint32_t> shape(array.dims.begin() + 1, array.dims.end());
  if (!inputs->shape.empty() && inputs->shape != shape) {
    return absl::FailedPreconditionError(
        absl::StrCat(file, " holds records of shape ", absl::StrJoin(shape, " x "),
                     ", the input before it ", absl::StrJoin(inputs->shape, " x ")));
  }
  inputs->shape = shape;
  const size_t size = array.bytes.size() / records;
  const auto wanted = std::span(array.bytes).subspan(command.index * size, command.count * size);
  inputs->features.insert(inputs->features.end(), wanted.begin(), wanted.end());
  for (uint64_t i = 0; i < command.count; ++i) {
    inputs->names.push_back(absl::StrCat(file, "[", command.index + i, "]"));
  }
  return absl::OkStatus();
}

absl::Status AddPicture(const std::string& bytes, const std::string& file, Inputs* inputs) {
  DURE_ASSIGN_OR_RETURN(Picture picture, BlameFile(DecodeGreyPng(bytes, file)));
  const std::vector<uint32_t> shape = {picture.height, picture.width};
  if (!inputs->shape.empty() && inputs->shape != shape) {
    return absl::FailedPreconditionError(absl::StrCat(file, " is ", absl::StrJoin(shape, " x "),
                                                      ", the input before it ",
                                                      absl::StrJoin(inputs->shape, " x ")));
  }
  inputs->shape = shape;
  inputs->features.insert(inputs->features.end(), picture.pixels.begin(), picture.pixels.end());
  inputs->names.push_back(file);
  return absl::OkStatus();
}

absl::Status AddLabels(const PredictCommand& command, Inputs* inputs) {
  if (command.inputs.size() != 1) {
    return absl::InvalidArgumentError("--labels goes with one IDX file of pictures");
  }
  DURE_ASSIGN_OR_RETURN(std::string bytes, ReadFile(command.labels, kMaxSmallFileBytes));
  DURE_ASSIGN_OR_RETURN(IdxArray labels,
                        BlameFile(DecodeIdx(bytes, command.labels, kMaxDatasetRecords)));
  const uint64_t end = command.index + inputs->names.size();
  if (labels.dims.size() != 1 || labels.bytes.size() < end) {
    return absl::FailedPreconditionError(
        absl::StrCat(command.labels, " holds no label for record ", end - 1));
  }
  inputs->labels.assign(labels.bytes.begin() + static_cast<long>(command.index),
                        labels.bytes.begin() + static_cast<long>(end));
  return absl::OkStatus();
}

absl::StatusOr<Inputs> ReadInputs(const PredictCommand& command) {
  Inputs inputs;
  for (const std::string& file : command.inputs) {
    DURE_ASSIGN_OR_RETURN(std::string bytes, ReadFile(file, kMaxDatasetBytes));
    DURE_RETURN_IF_ERROR(LooksLikePng(bytes) ? AddPicture(bytes, file, &inputs)
                                             : AddIdx(command, bytes, file, &inputs));
  }
  if (!command.labels.empty()) DURE_RETURN_IF_ERROR(AddLabels(command, &inputs));
  return inputs;
}

// `shape` as the model takes it: the same bytes, one channel where none is named.
absl::StatusOr<std::vector<uint32_t>> ShapeForModel(const RunnableModel& model,
                                                    const std::vector<uint32_t>& shape,
                                                    const std::string& file) {
  std::vector<uint32_t> with_channel = shape;
  if (shape.size() == 2) with_channel.insert(with_channel.begin(), 1);
  if (model.shape().empty()) return with_channel;
  const Dataset sample{.shape = shape};
  Dataset wanted{.shape = model.shape()};
  const bool fits = shape == model.shape() || with_channel == model.shape() ||
                    (model.shape().size() == 1 && sample.record_size() == wanted.record_size());
  if (!fits) {
    return absl::FailedPreconditionError(
        absl::StrCat(file, " holds records of shape ", absl::StrJoin(shape, " x "),
                     ", the model takes ", absl::StrJoin(model.shape(), " x ")));
  }
  return model.shape();
}

absl::StatusOr<std::vector<std::string>> ReadClassNames(const std::string& file) {
  std::vector<std::string> names;
  if (file.empty()) return names;
  DURE_ASSIGN_OR_RETURN(std::string text, ReadFile(file, uint64_t{1} << 20));
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipWhitespace())) {
    names.emplace_back(absl::StripAsciiWhitespace(line));
  }
  return names;
}

std::string ClassName(const std::vector<std::string>& names, size_t index) {
  return index < names.size() ? absl::StrCat(index, " (", names[index], ")") : absl::StrCat(index);
}

}  // namespace

absl::Status RunInit(const InitCommand& command, bool json, std::ostream& out) {
  DURE_ASSIGN_OR_RETURN(std::string toml, ReadFile(command.federation, kMaxFederationFileBytes));
  DURE_ASSIGN_OR_RETURN(FederationSpec spec, BlameUsage(ParseFederation(toml, command.federation)));
  if (FileExists(command.out)) {
    return absl::AlreadyExistsError(
        absl::StrCat(command.out, " is there already: remove it or choose another place"));
  }
  DURE_ASSIGN_OR_RETURN(Architecture architecture, BlameUsage(MakeArchitecture(spec.model())));
  const uint64_t seed = command.seed.value_or(spec.model().seed());
  ModelFile model{.manifest = ManifestOf(architecture),
                  .params = InitialWeights(ManifestOf(architecture), seed),
                  .metadata = ArchitectureMetadata(architecture)};
  model.metadata["dure.seed"] = absl::StrCat(seed);
  const std::string folder = command.out.substr(0, command.out.find_last_of('/') + 1);
  if (!folder.empty()) DURE_RETURN_IF_ERROR(MakeFolder(folder.substr(0, folder.size() - 1)));
  DURE_RETURN_IF_ERROR(WriteFileAtomic(command.out, EncodeSafetensors(model)));
  const uint64_t dim = model.manifest.dim();
  if (json) {
    PrintJson({{"model", command.out},
               {"architecture", architecture.name},
               {"parameters", dim},
               {"seed", seed}},
              out);
  } else {
    out << command.out << ": " << architecture.name << ", " << dim << " parameters, seed " << seed
        << "\n";
  }
  return absl::OkStatus();
}

absl::Status RunExport(const ExportCommand& command, bool json, std::ostream& out) {
  DURE_ASSIGN_OR_RETURN(ModelFile model, BlameFile(ReadModelFile(command.model)));
  for (const std::string& entry : command.metadata) {
    const size_t equals = entry.find('=');
    if (equals == 0 || equals == std::string::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat("--metadata ", entry, ": KEY=VALUE is needed"));
    }
    model.metadata[entry.substr(0, equals)] = entry.substr(equals + 1);
  }
  DURE_RETURN_IF_ERROR(ExportModel(model, command.model, command.format, command.out));
  if (json) {
    PrintJson({{"model", command.out}, {"parameters", model.manifest.dim()}}, out);
  } else {
    out << command.out << "\n";
  }
  return absl::OkStatus();
}

absl::Status RunPredict(const PredictCommand& command, bool json, std::ostream& out) {
  DURE_ASSIGN_OR_RETURN(RunnableModel model, BlameFile(RunnableModel::Load(command.model)));
  DURE_ASSIGN_OR_RETURN(std::vector<std::string> names, ReadClassNames(command.classes));
  DURE_ASSIGN_OR_RETURN(Inputs inputs, ReadInputs(command));
  DURE_ASSIGN_OR_RETURN(std::vector<uint32_t> shape,
                        ShapeForModel(model, inputs.shape, command.inputs.front()));
  const uint64_t count = inputs.names.size();
  const size_t size = inputs.features.size() / count;
  uint64_t right = 0;
  for (uint64_t i = 0; i < count; ++i) {
    DURE_ASSIGN_OR_RETURN(
        std::vector<float> logits,
        model.Logits(std::span(inputs.features).subspan(i * size, size), 1, shape));
    if (logits.empty()) return absl::DataLossError("the model gives no logits");
    const std::vector<double> shares = Softmax(logits);
    const auto best =
        static_cast<size_t>(std::max_element(shares.begin(), shares.end()) - shares.begin());
    const bool labelled = !inputs.labels.empty();
    if (labelled) right += inputs.labels[i] == best;
    if (json) {
      Json object = {{"input", inputs.names[i]}, {"class", best}, {"probability", shares[best]}};
      if (best < names.size()) object["name"] = names[best];
      if (labelled) object["label"] = inputs.labels[i];
      PrintJson(object, out);
    } else {
      out << inputs.names[i] << ": " << ClassName(names, best) << ", probability "
          << absl::StrFormat("%.3f", shares[best]);
      if (labelled) out << ", label " << ClassName(names, inputs.labels[i]);
      out << "\n";
    }
  }
  if (inputs.labels.empty()) return absl::OkStatus();
  const double accuracy = static_cast<double>(right) / static_cast<double>(count);
  if (json) {
    PrintJson({{"records", count}, {"accuracy", accuracy}}, out);
  } else {
    out << "accuracy " << absl::StrFormat("%.4f", accuracy) << " (" << right << " of " << count
        << ")\n";
  }
  return absl::OkStatus();
}

absl::Status RunEvaluate(const EvaluateCommand& command, bool json, std::ostream& out) {
  DURE_ASSIGN_OR_RETURN(RunnableModel model, BlameFile(RunnableModel::Load(command.model)));
  DURE_ASSIGN_OR_RETURN(Dataset data, BlameFile(ReadDataFolder(command.folder, command.part)));
  if (data.records() == 0) {
    return absl::FailedPreconditionError(absl::StrCat(command.folder, " holds no record"));
  }
  DURE_ASSIGN_OR_RETURN(std::vector<uint32_t> shape,
                        ShapeForModel(model, data.shape, command.folder));
  double loss = 0;
  uint64_t right = 0;
  for (uint64_t begin = 0; begin < data.records(); begin += kBatch) {
    const uint64_t count = std::min(kBatch, data.records() - begin);
    DURE_ASSIGN_OR_RETURN(
        std::vector<float> logits,
        model.Logits(data.All().subspan(begin * data.record_size(), count * data.record_size()),
                     count, shape));
    const size_t classes = logits.size() / count;
    for (uint64_t i = 0; i < count; ++i) {
      const float label = data.labels[begin + i];
      if (!(label < static_cast<float>(classes))) {
        return absl::FailedPreconditionError(absl::StrCat(command.folder, ": record ", begin + i,
                                                          " has label ", label, ", the model has ",
                                                          classes, " classes"));
      }
      const Outcome outcome =
          Judge(ModelSection::CROSS_ENTROPY, std::span(logits).subspan(i * classes, classes),
                data.Record(begin + i), label);
      loss += outcome.loss;
      right += outcome.right == 1;
    }
  }
  const double records = static_cast<double>(data.records());
  if (json) {
    PrintJson({{"records", data.records()},
               {"loss", loss / records},
               {"accuracy", static_cast<double>(right) / records}},
              out);
  } else {
    out << "accuracy " << absl::StrFormat("%.4f", static_cast<double>(right) / records) << ", loss "
        << absl::StrFormat("%.4f", loss / records) << " on " << data.records() << " records\n";
  }
  return absl::OkStatus();
}

absl::Status RunList(const ListCommand&, bool json, std::ostream& out) {
  for (const ArchitectureInfo& info : BuiltInArchitectures()) {
    if (json) {
      PrintJson({{"name", info.name}, {"summary", info.summary}}, out);
    } else {
      out << absl::StrFormat("%-20s %s\n", info.name, info.summary);
    }
  }
  return absl::OkStatus();
}

absl::Status RunDescribe(const DescribeCommand& command, bool json, std::ostream& out) {
  std::map<std::string, std::string> metadata;
  absl::StatusOr<Architecture> architecture;
  if (!FileIsMissing(command.model)) {
    DURE_ASSIGN_OR_RETURN(ModelFile model, BlameFile(ReadModelFile(command.model)));
    architecture = BlameFile(ArchitectureOf(model, command.model));
    metadata = std::move(model.metadata);
  } else {
    architecture = BlameUsage(MakeArchitecture(command.model, command.shape, command.classes));
  }
  DURE_RETURN_IF_ERROR(architecture.status());
  const ParamManifest manifest = ManifestOf(*architecture);
  if (json) {
    Json object = {{"architecture", architecture->name},
                   {"input_shape", architecture->shape},
                   {"classes", architecture->classes},
                   {"parameters", manifest.dim()},
                   {"layers", Json::array()},
                   {"tensors", Json::array()},
                   {"metadata", metadata}};
    for (const Layer& layer : architecture->layers)
      object["layers"].push_back(DescribeLayer(layer));
    for (const ParamEntry& param : manifest.params) {
      object["tensors"].push_back({{"name", param.name}, {"shape", param.shape}});
    }
    PrintJson(object, out);
    return absl::OkStatus();
  }
  out << architecture->name << ": records of " << absl::StrJoin(architecture->shape, " x ") << ", "
      << architecture->classes << " classes, " << manifest.dim() << " parameters\n";
  for (const Layer& layer : architecture->layers) out << "  " << DescribeLayer(layer) << "\n";
  for (const ParamEntry& param : manifest.params) {
    out << "  " << param.name << " [" << absl::StrJoin(param.shape, ", ") << "]\n";
  }
  for (const auto& [key, value] : metadata) out << "  " << key << " = " << value << "\n";
  return absl::OkStatus();
}

}  // namespace dure
