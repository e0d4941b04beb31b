#include "learner/model_commands.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "federation/attachments.h"
#include "federation/spec.h"
#include "learner/data/idx.h"
#include "learner/data/picture.h"
#include "learner/data/schema_folder.h"
#include "learner/first_model.h"
#include "learner/loss.h"
#include "learner/metrics.h"
#include "learner/metrics_json.h"
#include "learner/script_torch.h"

namespace dure {
namespace {

// A confusion matrix of more classes does not fit a terminal.
constexpr size_t kMaxPrintedClasses = 20;

using Json = nlohmann::ordered_json;

constexpr uint64_t kMaxSmallFileBytes = uint64_t{64} << 20;

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
  DURE_ASSIGN_OR_RETURN(Picture picture, BlameFile(DecodePicture(bytes, file)));
  std::vector<uint32_t> shape = {picture.height, picture.width};
  if (picture.channels > 1) shape.insert(shape.begin(), picture.channels);
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
    DURE_RETURN_IF_ERROR(LooksLikePicture(bytes) ? AddPicture(bytes, file, &inputs)
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
  const bool is_text = model.loss() == ModelSection::NEXT_TOKEN &&
                       sample.record_size() == wanted.record_size() + 1;  // and the token after
  const bool fits = shape == model.shape() || with_channel == model.shape() || is_text ||
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

// The probability of each class; none where a number is predicted.
std::vector<double> SharesOf(Loss loss, std::span<const float> row) {
  if (loss == ModelSection::MSE) return {};
  if (loss != ModelSection::BCE_WITH_LOGITS) return Softmax(row);
  const double one = 1 / (1 + std::exp(-static_cast<double>(row[0])));
  return {1 - one, one};
}

absl::Status PrintNumber(const std::string& name, float number, bool json, std::ostream& out) {
  if (json) {
    PrintJson({{"input", name}, {"value", number}}, out);
  } else {
    out << name << ": " << number << "\n";
  }
  return absl::OkStatus();
}

// Parameters of a TorchScript module beside the federation file, as they are in it.
absl::StatusOr<ModelFile> ModelOfModule(const FederationSpec& spec, const std::string& federation) {
  const std::string file =
      federation.substr(0, federation.find_last_of('/') + 1) + spec.model().torchscript();
  DURE_ASSIGN_OR_RETURN(const ModuleFile module, BlameFile(ReadModuleFile(file)));
  if (spec.model().has_torchscript_sha256() && spec.model().torchscript_sha256() != module.sha256) {
    return absl::InvalidArgumentError(
        absl::StrCat(file, " has the SHA-256 ", module.sha256, ", ", federation, " says ",
                     spec.model().torchscript_sha256(), " (model.torchscript_sha256)"));
  }
  DURE_ASSIGN_OR_RETURN(ModuleReport report, BlameFile(InspectModule(module, file)));
  if (absl::Status status = CheckTrainable(
          {.trained = report.trained, .frozen = report.frozen, .batch_norms = report.batch_norms},
          file);
      !status.ok()) {
    return absl::InvalidArgumentError(status.message());
  }
  ModelSection section = spec.model();
  if (section.has_torchscript_parameters() &&
      section.torchscript_parameters() != report.trained.dim()) {
    return absl::InvalidArgumentError(absl::StrCat(
        file, " has ", report.trained.dim(), " numbers to train, ", federation, " says ",
        section.torchscript_parameters(), " (model.torchscript_parameters): remove that key"));
  }
  section.set_torchscript_parameters(report.trained.dim());
  DURE_ASSIGN_OR_RETURN(const Architecture architecture, BlameUsage(MakeArchitecture(section)));
  ModelFile model{.manifest = std::move(report.trained),
                  .params = std::move(report.params),
                  .metadata = ArchitectureMetadata(architecture)};
  model.metadata["dure.torchscript_sha256"] = module.sha256;
  return model;
}

}  // namespace

absl::StatusOr<ModelFile> FirstModel(const FederationSpec& spec, const std::string& federation,
                                     uint64_t seed) {
  if (spec.model().architecture() == ModelSection::TORCHSCRIPT) {
    return ModelOfModule(spec, federation);
  }
  return BlameUsage(FirstBuiltInModel(spec, seed));
}

absl::Status RunInit(const InitCommand& command, bool json, std::ostream& out) {
  DURE_ASSIGN_OR_RETURN(FederationSpec spec,
                        BlameUsage(ReadFederationWithFiles(command.federation)));
  if (FileExists(command.out)) {
    return absl::AlreadyExistsError(
        absl::StrCat(command.out, " is there already: remove it or choose another place"));
  }
  const uint64_t seed = command.seed.value_or(spec.model().seed());
  const bool script = spec.model().architecture() == ModelSection::TORCHSCRIPT;
  DURE_ASSIGN_OR_RETURN(ModelFile model, FirstModel(spec, command.federation, seed));
  const std::string name = model.metadata["dure.architecture"];
  const std::string folder = command.out.substr(0, command.out.find_last_of('/') + 1);
  if (!folder.empty()) DURE_RETURN_IF_ERROR(MakeFolder(folder.substr(0, folder.size() - 1)));
  DURE_RETURN_IF_ERROR(WriteFileAtomic(command.out, EncodeSafetensors(model)));
  const uint64_t dim = model.manifest.dim();
  if (json) {
    PrintJson({{"model", command.out}, {"architecture", name}, {"parameters", dim}, {"seed", seed}},
              out);
  } else {
    out << command.out << ": " << name << ", " << dim << " parameters, "
        << (script ? absl::StrCat("from ", spec.model().torchscript())
                   : absl::StrCat("seed ", seed))
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
  DURE_RETURN_IF_ERROR(
      ExportModel(model, command.model, command.format, command.module, command.out));
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
  DURE_ASSIGN_OR_RETURN(const std::vector<float> all,
                        BlameFile(model.Logits(inputs.features, count, shape)));
  const size_t classes = all.size() / count;
  if (classes == 0 || model.loss() == ModelSection::NEXT_TOKEN) {
    return absl::FailedPreconditionError(
        absl::StrCat(command.model, " gives no row of numbers for a picture"));
  }
  uint64_t right = 0;
  for (uint64_t i = 0; i < count; ++i) {
    const auto row = std::span(all).subspan(i * classes, classes);
    const std::vector<double> shares = SharesOf(model.loss(), row);
    if (shares.empty()) {
      DURE_RETURN_IF_ERROR(PrintNumber(inputs.names[i], row[0], json, out));
      continue;
    }
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
  if (inputs.labels.empty() || model.loss() == ModelSection::MSE) return absl::OkStatus();
  const double accuracy = static_cast<double>(right) / static_cast<double>(count);
  if (json) {
    PrintJson({{"records", count}, {"accuracy", accuracy}}, out);
  } else {
    out << "accuracy " << absl::StrFormat("%.4f", accuracy) << " (" << right << " of " << count
        << ")\n";
  }
  return absl::OkStatus();
}

namespace {

// A row for each label, a column for each class that was predicted; of few classes only.
void PrintConfusion(const ModelMetrics& metrics, std::ostream& out) {
  const auto cells = static_cast<size_t>(metrics.confusion_size());
  const auto classes = static_cast<size_t>(std::llround(std::sqrt(static_cast<double>(cells))));
  if (classes < 2 || classes > kMaxPrintedClasses) return;
  out << "label \\ predicted";
  for (size_t c = 0; c < classes; ++c) out << absl::StrFormat(" %7d", c);
  for (size_t i = 0; i < cells; ++i) {
    if (i % classes == 0) out << absl::StrFormat("\n%17d", i / classes);
    out << absl::StrFormat(" %7d", metrics.confusion(static_cast<int>(i)));
  }
  out << "\n";
}

}  // namespace

absl::Status RunEvaluate(const EvaluateCommand& command, bool json, std::ostream& out) {
  DURE_ASSIGN_OR_RETURN(RunnableModel model, BlameFile(RunnableModel::Load(command.model)));
  if (model.of_words() && command.vocabulary.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        command.model, " is a model of words: name the file of its words with --vocabulary"));
  }
  DURE_ASSIGN_OR_RETURN(Dataset data, BlameFile(ReadDataFolderBy({.schema = model.schema(),
                                                                  .loss = model.loss(),
                                                                  .shape = model.shape(),
                                                                  .vocabulary = command.vocabulary},
                                                                 command.folder, command.part)));
  if (data.records() == 0) {
    return absl::FailedPreconditionError(absl::StrCat(command.folder, " holds no record"));
  }
  DURE_ASSIGN_OR_RETURN(std::vector<uint32_t> shape,
                        ShapeForModel(model, data.shape, command.folder));
  DURE_ASSIGN_OR_RETURN(const std::vector<float> all,
                        BlameFile(model.Logits(data.All(), data.records(), shape)));
  const size_t size = all.size() / data.records();
  const bool text = model.loss() == ModelSection::NEXT_TOKEN;
  const size_t classes = text ? size / std::max<size_t>(1, data.record_size() - 1) : size;
  std::vector<Outcome> outcomes;
  for (uint64_t i = 0; i < data.records(); ++i) {
    const float label = data.labels[i];
    const bool fits = text || model.loss() == ModelSection::MSE ||
                      (label >= 0 && label < static_cast<float>(std::max<size_t>(2, classes)));
    if (!fits) {
      return absl::FailedPreconditionError(absl::StrCat(command.folder, ": record ", i,
                                                        " has label ", label, ", the model has ",
                                                        classes, " classes"));
    }
    outcomes.push_back(
        Judge(model.loss(), std::span(all).subspan(i * size, size), data.Record(i), label));
  }
  const ModelMetrics metrics =
      MetricsOf(model.loss(), static_cast<uint32_t>(classes), outcomes, data.labels);
  if (json) {
    PrintJson(MetricsToJson(metrics), out);
  } else {
    out << MetricsInWords(metrics) << " on " << data.records() << " records\n";
    PrintConfusion(metrics, out);
  }
  return absl::OkStatus();
}

}  // namespace dure
