#include "coordinator/service/new_terms.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "federation/model_parts.h"
#include "federation/spec.h"
#include "federation/terms/terms.h"

namespace dure {
namespace {

constexpr char kRemedy[] = ": change it back, or start a new federation in another folder";

absl::Status MustStay(absl::string_view what) {
  return absl::FailedPreconditionError(
      absl::StrCat("the run has begun, and its ", what, " must stay as it was", kRemedy));
}

absl::StatusOr<RoundTerms> TermsOf(const FederationSpec& spec) {
  DURE_ASSIGN_OR_RETURN(const ModelParts parts, PartsOf(spec.model()));
  const RoundsSection& rounds = spec.rounds();
  return DeriveTerms(spec, parts.travelling().dim(),
                     rounds.has_cohort() ? rounds.cohort() : rounds.minimum());
}

// Of two specs that differ in nothing else, whether these sections are equal.
bool SameModel(const FederationSpec& a, const FederationSpec& b) {
  FederationSpec only_a, only_b;
  *only_a.mutable_model() = a.model();
  *only_b.mutable_model() = b.model();
  return SpecDigest(only_a) == SpecDigest(only_b);
}

}  // namespace

absl::Status CheckNewTerms(const FederationSpec& before, const FederationSpec& after) {
  if (!SameModel(before, after)) return MustStay("[model]");
  if (before.server().optimizer() != after.server().optimizer()) {
    return MustStay("server.optimizer");
  }
  DURE_ASSIGN_OR_RETURN(const RoundTerms old_terms, TermsOf(before));
  DURE_ASSIGN_OR_RETURN(const RoundTerms new_terms, TermsOf(after));
  if (old_terms.unit != new_terms.unit) return MustStay("privacy.unit");
  if (old_terms.mode != new_terms.mode) return MustStay("local.mode");
  if (old_terms.control_variates != new_terms.control_variates) {
    return MustStay("local.control_variates");
  }
  if (old_terms.secure_aggregation != new_terms.secure_aggregation) {
    return MustStay("secure_aggregation.enabled");
  }
  if (old_terms.delta != new_terms.delta) return MustStay("privacy.delta");
  if (old_terms.unit == PrivacySection::NONE) return absl::OkStatus();
  if (CostOf(old_terms) != CostOf(new_terms) ||
      old_terms.delta_per_attempt != new_terms.delta_per_attempt) {
    return MustStay("cost of an attempt (noise, clipping, sampling, members)");
  }
  return absl::OkStatus();
}

absl::Status AdoptTerms(const FederationFolder& federation, AttemptNumber attempts, Store& store) {
  DURE_ASSIGN_OR_RETURN(const std::string saved, store.SavedTerms());
  DURE_ASSIGN_OR_RETURN(const Digest bound, store.BoundDigest());
  const std::string toml = FederationToToml(federation.spec);
  const bool changed = bound != federation.spec_digest;
  if (!changed && saved == toml) return absl::OkStatus();
  if (changed && attempts > AttemptNumber(0)) {
    if (saved.empty()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the run has begun, and the terms that it began with were not kept", kRemedy));
    }
    DURE_ASSIGN_OR_RETURN(const FederationSpec before,
                          ParseFederation(saved, "the terms in state/coordinator.db"));
    DURE_RETURN_IF_ERROR(CheckNewTerms(before, federation.spec));
  }
  DURE_RETURN_IF_ERROR(store.Rebind(federation.spec_digest, toml));
  if (changed) LogInfo("the terms have changed: every member is asked to approve them");
  return absl::OkStatus();
}

}  // namespace dure
