#include "coordinator/service/released_model.h"

#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "coordinator/evaluation_progress.h"
#include "coordinator/service/federation_folder.h"
#include "coordinator/service/federation_schema.h"
#include "coordinator/service/store.h"
#include "federation/model_parts.h"
#include "federation/spec_fields.h"

namespace dure {

namespace {

// Which of the rounds of `run` measured best.
absl::StatusOr<EvaluationProgress::Best> BestRound(const RunState& run, const std::string& folder) {
  EvaluationProgress progress;
  for (const EvaluationReceived& evaluation : run.evaluations) progress.Add(evaluation);
  if (const auto best = progress.best()) return *best;
  return absl::FailedPreconditionError(
      absl::StrCat("no evaluator has measured a model of the federation in ", folder,
                   " yet, so none is known to be the best: invite one with `dure invite ", folder,
                   " --role evaluator`, or export the newest without --best"));
}

// Puts what was released into `model`, the one that the run began with; what stays with members is
// as it was there.
absl::Status PutReleased(const std::string& bytes, const FederationSpec& spec, ModelFile* model) {
  DURE_ASSIGN_OR_RETURN(const ModelParts parts, ModelParts::Create(model->manifest, spec.model()));
  DURE_ASSIGN_OR_RETURN(const std::vector<float> travelled,
                        BlameFile(ParamsFromBytes(bytes, parts.travelling().dim())));
  model->params = parts.Join(travelled, parts.Personal(model->params));
  if (parts.has_personal()) {
    model->metadata["dure.personal"] = absl::StrJoin(spec.model().personal(), ",");
  }
  return absl::OkStatus();
}

// Puts the best model into `model`.
absl::Status ReadBest(Store& store, const RunState& run, const std::string& folder,
                      const FederationSpec& spec, ModelFile* model) {
  DURE_ASSIGN_OR_RETURN(const EvaluationProgress::Best best, BestRound(run, folder));
  const absl::StatusOr<std::string> bytes = store.ReadModel(best.round);
  if (absl::IsNotFound(bytes.status())) {
    return absl::FailedPreconditionError(
        absl::StrCat(bytes.status().message(),
                     ", although it is the best (an older dure ran it, or a better one "
                     "has just been measured): try again, or export the newest without --best"));
  }
  DURE_RETURN_IF_ERROR(bytes.status());
  DURE_RETURN_IF_ERROR(PutReleased(*bytes, spec, model));
  model->metadata["dure.rounds"] = absl::StrCat(best.round.value());
  model->metadata["dure.best_of_rounds"] = absl::StrCat(run.history.back().round.value());
  model->metadata["dure.evaluation_loss"] = absl::StrFormat("%.6g", best.loss);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ModelFile> ReadReleasedModel(const std::string& folder, ReleasedRound which) {
  DURE_RETURN_IF_ERROR(ExpectFederation(folder));
  DURE_ASSIGN_OR_RETURN(FederationSpec spec, ReadFederationFile(FederationFilePath(folder)));
  DURE_ASSIGN_OR_RETURN(ModelFile model, ReadInitialModel(folder, spec));
  DURE_ASSIGN_OR_RETURN(std::unique_ptr<Store> store, Store::OpenForReading(folder + "/state"));
  DURE_ASSIGN_OR_RETURN(RunState run, store->LoadRun());
  if (!run.model) {
    return absl::FailedPreconditionError(absl::StrCat("no round of the federation in ", folder,
                                                      " has been released yet: `dure status ",
                                                      folder, "` says how far it is"));
  }
  DURE_RETURN_IF_ERROR(PutReleased(*run.model, spec, &model));
  // Also of the best: it was chosen among all rounds so far, and these are what was paid for.
  const RoundSummary& last = run.history.back();
  model.metadata["dure.federation"] = spec.federation().name();
  model.metadata["dure.purpose"] = spec.federation().purpose();
  model.metadata["dure.license"] = spec.federation().license();
  model.metadata["dure.rounds"] = absl::StrCat(last.round.value());
  model.metadata["dure.attempts"] = absl::StrCat(last.attempt.value());
  if (which == ReleasedRound::kBest) {
    DURE_RETURN_IF_ERROR(ReadBest(*store, run, folder, spec, &model));
  }
  // So that raw tables give the features that the model was trained on.
  DURE_ASSIGN_OR_RETURN(const std::optional<Schema> schema, CompletedSchema(folder, spec, run));
  if (schema) model.metadata["dure.schema"] = SchemaToText(*schema);
  const PrivacySection& privacy = spec.privacy();
  model.metadata["dure.privacy_unit"] =
      ChoiceName(*PrivacySection::Unit_descriptor(), privacy.unit());
  model.metadata["dure.mode"] = ChoiceName(*LocalSection::Mode_descriptor(), spec.local().mode());
  model.metadata["dure.secure_aggregation"] =
      spec.secure_aggregation().enabled() ? "true" : "false";
  if (privacy.unit() != PrivacySection::NONE) {
    // Rounded up, so that nothing smaller than the truth is claimed.
    model.metadata["dure.epsilon"] = absl::StrFormat("%.6f", std::ceil(last.epsilon * 1e6) / 1e6);
    model.metadata["dure.delta"] = absl::StrFormat("%g", privacy.delta());
  }
  return model;
}

}  // namespace dure
