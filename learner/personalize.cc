#include "learner/personalize.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "federation/model_parts.h"
#include "learner/data/dataset.h"
#include "learner/data/schema_folder.h"
#include "learner/epochs.h"
#include "learner/evaluate.h"
#include "learner/metrics.h"
#include "learner/metrics_json.h"
#include "learner/per_example.h"
#include "learner/released_model.h"
#include "learner/torch_models.h"

namespace dure {
namespace {

using Json = nlohmann::ordered_json;

struct FrozenWorkspace final : ModelWorkspace {
  std::unique_ptr<ModelWorkspace> base;
  std::vector<float> direction;
};

FrozenWorkspace& Of(ModelWorkspace& workspace) { return static_cast<FrozenWorkspace&>(workspace); }

int Threads() { return static_cast<int>(std::max(1u, std::thread::hardware_concurrency())); }

std::unique_ptr<TrainableModel> MakeModel(Architecture architecture) {
  if (architecture.has_kernels()) return std::make_unique<Network>(std::move(architecture));
  return MakeTorchModel(std::move(architecture));
}

// Which parameters stay as they are. FailedPrecondition if a pattern matches none.
absl::StatusOr<std::vector<bool>> FrozenBy(const std::vector<std::string>& only,
                                           const ParamManifest& manifest) {
  std::vector<bool> frozen(manifest.params.size(), !only.empty());
  for (const std::string& pattern : only) {
    bool found = false;
    for (size_t i = 0; i < frozen.size(); ++i) {
      if (!MatchesPattern(pattern, manifest.params[i].name)) continue;
      found = true;
      frozen[i] = false;
    }
    if (!found) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--only ", pattern, " matches no parameter; there are ",
          absl::StrJoin(manifest.params, ", ", [](std::string* out, const ParamEntry& param) {
            absl::StrAppend(out, param.name);
          })));
    }
  }
  return frozen;
}

// The records to measure on: the held-out part if there is one.
absl::StatusOr<std::optional<Dataset>> ReadHeldOut(const WantedRecords& wanted,
                                                   const std::string& folder) {
  absl::StatusOr<Dataset> held_out =
      BlameFile(ReadDataFolderBy(wanted, folder, DataPart::kHeldOut));
  if (absl::IsNotFound(held_out.status())) return std::nullopt;
  DURE_RETURN_IF_ERROR(held_out.status());
  return *std::move(held_out);
}

absl::Status CheckFits(const Dataset& data, const Architecture& architecture,
                       const std::string& folder) {
  DURE_ASSIGN_OR_RETURN(ModelSection section,
                        SectionOf(architecture.name, architecture.shape, architecture.classes));
  section.set_loss(architecture.loss);
  return CheckDataset(data, section, folder);
}

// What came of it.
struct Tuned {
  ModelFile model;
  ModelMetrics before, after;
  bool held_out = false;
  uint64_t records = 0;
  uint64_t parameters = 0;  // that were tuned
};

absl::StatusOr<Tuned> Tune(const PersonalizeCommand& command) {
  Tuned tuned;
  DURE_ASSIGN_OR_RETURN(tuned.model, BlameFile(ReadModelFile(command.model)));
  DURE_ASSIGN_OR_RETURN(const Architecture architecture,
                        BlameFile(ArchitectureOf(tuned.model, command.model)));
  const ParamManifest& manifest = tuned.model.manifest;
  DURE_ASSIGN_OR_RETURN(std::vector<bool> frozen, FrozenBy(command.only, manifest));
  for (size_t i = 0; i < frozen.size(); ++i) {
    if (!frozen[i]) tuned.parameters += manifest.params[i].size();
  }
  const auto said = tuned.model.metadata.find("dure.schema");
  const WantedRecords wanted = {.schema = said == tuned.model.metadata.end() ? "" : said->second,
                                .loss = architecture.loss,
                                .shape = architecture.shape,
                                .vocabulary = command.vocabulary};
  const auto tokens = tuned.model.metadata.find(kTokensKey);
  const bool of_words = tokens != tuned.model.metadata.end() && tokens->second == kWordTokens;
  if (of_words && command.vocabulary.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        command.model, " is a model of words: name the file of its words with --vocabulary"));
  }
  DURE_ASSIGN_OR_RETURN(const Dataset data, BlameFile(ReadDataFolderBy(wanted, command.folder)));
  DURE_RETURN_IF_ERROR(CheckFits(data, architecture, command.folder));
  DURE_ASSIGN_OR_RETURN(const std::optional<Dataset> held_out, ReadHeldOut(wanted, command.folder));
  if (held_out) DURE_RETURN_IF_ERROR(CheckFits(*held_out, architecture, command.folder));
  const Dataset& measured = held_out ? *held_out : data;
  tuned.held_out = held_out.has_value();
  tuned.records = data.records();

  const std::unique_ptr<TrainableModel> model = MakeModel(architecture);
  model->SetParams(tuned.model.params);
  tuned.before = EvaluateModel(*model, measured, Threads());
  PartlyFrozenModel partly(model.get(), std::move(frozen));
  EpochsPlan plan{.epochs = command.epochs,
                  .batch_size = command.batch_size,
                  .learning_rate = command.learning_rate};
  for (size_t i = 0; i < 8; ++i) plan.seed[i] = static_cast<uint8_t>(command.seed >> (8 * i));
  std::vector<float> change(model->dim());
  TrainableModel* const trained = command.only.empty() ? model.get() : &partly;
  DURE_RETURN_IF_ERROR(
      EpochTraining(trained, Threads()).Run(data, tuned.model.params, plan, change));
  for (size_t i = 0; i < change.size(); ++i) tuned.model.params[i] += change[i];
  model->SetParams(tuned.model.params);
  tuned.after = EvaluateModel(*model, measured, Threads());
  return tuned;
}

}  // namespace

PartlyFrozenModel::PartlyFrozenModel(TrainableModel* base, std::vector<bool> frozen)
    : base_(*base), frozen_(std::move(frozen)) {}

std::unique_ptr<ModelWorkspace> PartlyFrozenModel::MakeWorkspace() const {
  auto workspace = std::make_unique<FrozenWorkspace>();
  workspace->base = base_.MakeWorkspace();
  workspace->direction.resize(dim());
  return workspace;
}

std::span<const float> PartlyFrozenModel::Direction(FeatureView record, float label,
                                                    ModelWorkspace& workspace) const {
  std::vector<float>& direction = Of(workspace).direction;
  base_.ToManifestOrder(base_.Direction(record, label, *Of(workspace).base), std::span(direction));
  size_t first = 0;
  for (size_t i = 0; i < frozen_.size(); ++i) {
    const size_t size = manifest().params[i].size();
    if (frozen_[i]) std::fill_n(direction.begin() + static_cast<std::ptrdiff_t>(first), size, 0.0f);
    first += size;
  }
  return direction;
}

std::span<const float> PartlyFrozenModel::Outputs(FeatureView record,
                                                  ModelWorkspace& workspace) const {
  return base_.Outputs(record, *Of(workspace).base);
}

absl::Status RunPersonalize(const PersonalizeCommand& command, bool json, std::ostream& out) {
  if (FileExists(command.out)) {
    return absl::AlreadyExistsError(
        absl::StrCat(command.out, " is there already: remove it or choose another place"));
  }
  DURE_ASSIGN_OR_RETURN(Tuned tuned, Tune(command));
  std::map<std::string, std::string>& metadata = tuned.model.metadata;
  metadata["dure.personalized"] = "true";
  metadata["dure.personalized_records"] = absl::StrCat(tuned.records);
  metadata["dure.personalized_epochs"] = absl::StrCat(command.epochs);
  metadata["dure.personalized_learning_rate"] = absl::StrCat(command.learning_rate);
  metadata["dure.personalized_only"] =
      command.only.empty() ? "*" : absl::StrJoin(command.only, ",");
  // What the federation promised was about the released model: these records were not protected.
  for (const char* promised : {"dure.epsilon", "dure.delta"}) {
    const auto found = metadata.find(promised);
    if (found == metadata.end()) continue;
    metadata[absl::StrCat(promised, "_before_personalizing")] = found->second;
    metadata.erase(promised);
  }
  DURE_RETURN_IF_ERROR(WriteFileAtomic(command.out, EncodeSafetensors(tuned.model), 0600));
  const char* const part = tuned.held_out ? "held-out" : "training";
  if (json) {
    const Json object = {{"model", command.out},
                         {"records", tuned.records},
                         {"parameters", tuned.model.manifest.dim()},
                         {"parameters_tuned", tuned.parameters},
                         {"measured_on", part},
                         {"before", MetricsToJson(tuned.before)},
                         {"after", MetricsToJson(tuned.after)}};
    out << object.dump(-1, ' ', false, Json::error_handler_t::replace) << "\n";
    return absl::OkStatus();
  }
  out << "before: " << MetricsInWords(tuned.before) << " on " << tuned.before.records() << " "
      << part << " records\nafter:  " << MetricsInWords(tuned.after) << "\n"
      << command.out << ": " << tuned.parameters << " of " << tuned.model.manifest.dim()
      << " parameters tuned on " << tuned.records << " records. It knows them, and carries no "
      << "promise of privacy for them: keep it\n";
  if (!tuned.held_out) {
    out << command.folder << " has no held-out part, so these are the records that it was tuned "
        << "on: how it does on others they do not say\n";
  }
  return absl::OkStatus();
}

}  // namespace dure
