#include "coordinator/service/released_model.h"

#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "coordinator/service/federation_folder.h"
#include "coordinator/service/store.h"
#include "federation/spec_fields.h"

namespace dure {

absl::StatusOr<ModelFile> ReadReleasedModel(const std::string& folder) {
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
  DURE_ASSIGN_OR_RETURN(model.params, BlameFile(ParamsFromBytes(*run.model, model.manifest.dim())));
  const RoundSummary& last = run.history.back();
  model.metadata["dure.federation"] = spec.federation().name();
  model.metadata["dure.purpose"] = spec.federation().purpose();
  model.metadata["dure.license"] = spec.federation().license();
  model.metadata["dure.rounds"] = absl::StrCat(last.round.value());
  model.metadata["dure.attempts"] = absl::StrCat(last.attempt.value());
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
