#include "client/policy.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "crypto/digest.h"
#include "federation/model_parts.h"
#include "federation/spec.h"
#include "federation/spec_fields.h"
#include "federation/terms/sums_terms.h"

namespace dure {
namespace {

// Adaptive clipping moves clip_norm between the limits of the key itself.
constexpr double kLargestClipNorm = 1e6;

absl::Status Refused(std::string text) { return absl::PermissionDeniedError(std::move(text)); }

// Whether a member that accepts `weakest` accepts `offered`.
bool Protects(PrivacySection::Unit offered, PrivacySection::Unit weakest) {
  switch (weakest) {
    case PrivacySection::NONE:
      return true;
    case PrivacySection::CLIENT:
      return offered == PrivacySection::CLIENT;
    default:
      return offered == PrivacySection::RECORD || offered == PrivacySection::CLIENT;
  }
}

std::string UnitName(PrivacySection::Unit unit) {
  return ChoiceName(*PrivacySection::Unit_descriptor(), unit);
}

// The corrupt members that the terms withstand when as few take part as may.
uint32_t CorruptWithstood(const FederationSpec& spec) {
  const absl::StatusOr<ModelParts> parts = PartsOf(spec.model());
  if (!parts.ok() || !spec.secure_aggregation().enabled()) return Policy().assume_corrupt;
  const RoundsSection& rounds = spec.rounds();
  absl::StatusOr<RoundTerms> terms = DeriveTerms(
      spec, parts->travelling().dim(), rounds.has_cohort() ? rounds.cohort() : rounds.minimum());
  return terms.ok() ? std::max(1u, terms->max_corrupt) : Policy().assume_corrupt;
}

// Limits on who takes part and on what is protected.
void CheckMembers(const Policy& policy, const RoundTerms& terms, std::vector<PolicyFault>* faults) {
  if (terms.invited < policy.min_cohort) {
    faults->push_back(
        {"min_cohort", Refused(absl::StrFormat(
                           "a round of %d members is below this member's limit min_cohort = %d",
                           terms.invited, policy.min_cohort))});
  }
  if (terms.sum_minimum < policy.min_sum) {
    faults->push_back(
        {"min_sum",
         Refused(absl::StrFormat("a sum of %d members is below this member's limit min_sum = %d",
                                 terms.sum_minimum, policy.min_sum))});
  }
  if (terms.secure_aggregation && terms.max_corrupt < policy.assume_corrupt) {
    faults->push_back(
        {"assume_corrupt",
         Refused(absl::StrFormat("a round that withstands %d corrupt members is below this "
                                 "member's limit assume_corrupt = %d",
                                 terms.max_corrupt, policy.assume_corrupt))});
  }
  if (!terms.secure_aggregation && policy.require_secure_aggregation) {
    faults->push_back(
        {"require_secure_aggregation",
         Refused("without secure aggregation the coordinator would see what this member sends, "
                 "against its limit require_secure_aggregation = true")});
  }
}

// Limits on what is protected, and how well. Written so that a number that is not one is refused.
void CheckProtection(const Policy& policy, const RoundTerms& terms,
                     std::vector<PolicyFault>* faults) {
  if (!Protects(terms.unit, policy.privacy_unit)) {
    faults->push_back(
        {"privacy_unit",
         Refused(absl::StrCat("privacy.unit = \"", UnitName(terms.unit),
                              "\" is not allowed by this member's limit privacy_unit = ",
                              UnitName(policy.privacy_unit)))});
  }
  if (terms.unit == PrivacySection::NONE) return;
  if (!(terms.noise_multiplier >= policy.min_noise_multiplier)) {
    faults->push_back(
        {"min_noise_multiplier",
         Refused(absl::StrFormat(
             "noise multiplier %g is below this member's limit min_noise_multiplier = %g",
             terms.noise_multiplier, policy.min_noise_multiplier))});
  }
  // Sums that are no update are not clipped: their norm follows from what they count.
  if (terms.sums == SumsKind::kTraining && !(terms.clip_norm <= policy.max_clip_norm)) {
    faults->push_back(
        {"max_clip_norm",
         Refused(absl::StrFormat("clip norm %g is above this member's limit max_clip_norm = %g",
                                 terms.clip_norm, policy.max_clip_norm))});
  }
  if (!(terms.delta <= policy.max_delta)) {
    faults->push_back({"max_delta", Refused(absl::StrFormat(
                                        "delta %g is above this member's limit max_delta = %g",
                                        terms.delta, policy.max_delta))});
  }
}

void CheckRun(const Policy& policy, const FederationSpec& spec, const RoundTerms& terms,
              std::vector<PolicyFault>* faults) {
  if (spec.rounds().count() > policy.max_rounds) {
    faults->push_back({"max_rounds", Refused(absl::StrFormat(
                                         "%d rounds are above this member's limit max_rounds = %d",
                                         spec.rounds().count(), policy.max_rounds))});
  }
  if (terms.sums == SumsKind::kTraining && terms.max_attempts > policy.max_attempts) {
    faults->push_back(
        {"max_attempts",
         Refused(absl::StrFormat("%d attempts are above this member's limit max_attempts = %d",
                                 terms.max_attempts, policy.max_attempts))});
  }
  const std::string model = ModelDigest(spec.model());
  const std::vector<std::string>& allowed = policy.allowed_models;
  if (std::find(allowed.begin(), allowed.end(), model) == allowed.end()) {
    faults->push_back(
        {"allowed_models",
         Refused(absl::StrCat("the model ", model,
                              " is not among this member's limit allowed_models, which has ",
                              allowed.size()))});
  }
}

// Limits on sums that are no training.
void CheckSums(const Policy& policy, const RoundTerms& terms, std::vector<PolicyFault>* faults) {
  if (terms.sums == SumsKind::kStatistics && !policy.allow_statistics) {
    faults->push_back(
        {"allow_statistics", Refused("statistics of the columns are against this member's limit "
                                     "allow_statistics = false")});
  }
  if (terms.sums == SumsKind::kEvaluation && !policy.allow_evaluation) {
    faults->push_back({"allow_evaluation",
                       Refused("measuring on its held-out records is against this member's limit "
                               "allow_evaluation = false")});
  }
}

// The least noise multiplier of everything that the terms ask for.
double LeastNoise(const FederationSpec& spec) {
  double least = spec.privacy().noise_multiplier();
  if (HasSums(spec, SumsKind::kStatistics)) {
    least = std::min(least, spec.statistics().noise_multiplier());
  }
  if (HasSums(spec, SumsKind::kEvaluation)) {
    least = std::min(least, spec.evaluation().members_noise() / ShapeOfEvaluation(spec).norm);
  }
  return least;
}

}  // namespace

Policy PolicyOf(const FederationSpec& spec) {
  Policy policy;
  const PrivacySection& privacy = spec.privacy();
  policy.min_cohort = spec.rounds().minimum();
  policy.min_sum = LeastSum(spec);
  policy.assume_corrupt = CorruptWithstood(spec);
  policy.max_rounds = spec.rounds().count();
  policy.max_attempts = spec.rounds().max_attempts();
  policy.allowed_models = {ModelDigest(spec.model())};
  policy.require_secure_aggregation = spec.secure_aggregation().enabled();
  policy.allow_statistics = HasSums(spec, SumsKind::kStatistics);
  policy.allow_evaluation = HasSums(spec, SumsKind::kEvaluation);
  if (privacy.unit() == PrivacySection::NONE) {
    policy.privacy_unit = PrivacySection::NONE;
    return policy;
  }
  policy.min_noise_multiplier = LeastNoise(spec);
  policy.max_clip_norm =
      privacy.clipping() == PrivacySection::ADAPTIVE ? kLargestClipNorm : privacy.clip_norm();
  policy.max_epsilon = privacy.max_epsilon();
  policy.max_delta = privacy.delta();
  policy.total_epsilon = std::max(policy.total_epsilon, privacy.max_epsilon());
  policy.total_delta = std::max(policy.total_delta, privacy.delta());
  return policy;
}

std::string ModelDigest(const ModelSection& model) {
  FederationSpec spec;
  *spec.mutable_model() = model;
  return ToHex(SpecDigest(spec));
}

std::vector<PolicyFault> FaultsOfTerms(const Policy& policy, const FederationSpec& spec,
                                       const RoundTerms& terms) {
  std::vector<PolicyFault> faults;
  CheckMembers(policy, terms, &faults);
  CheckProtection(policy, terms, &faults);
  CheckRun(policy, spec, terms, &faults);
  CheckSums(policy, terms, &faults);
  return faults;
}

absl::Status CheckPolicy(const Policy& policy, const FederationSpec& spec, const RoundTerms& terms,
                         const Spending& spending) {
  std::vector<PolicyFault> faults = FaultsOfTerms(policy, spec, terms);
  if (!faults.empty()) return faults.front().status;
  if (terms.unit == PrivacySection::NONE) return absl::OkStatus();
  if (!(spending.epsilon <= policy.max_epsilon)) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "this attempt would bring epsilon per %s to %s, above this member's limit "
        "max_epsilon = %g",
        ProtectedUnit(terms.unit), EpsilonText(spending.epsilon), policy.max_epsilon));
  }
  if (!(spending.total_epsilon <= policy.total_epsilon)) return BudgetOfDataSpent();
  return absl::OkStatus();
}

absl::Status BudgetOfDataSpent() {
  return absl::ResourceExhaustedError(
      "this member's budget for its data is spent (its limit total_epsilon)");
}

absl::Status CheckRecordCount(const FederationSpec& spec, uint64_t records,
                              const std::string& folder) {
  const uint64_t limit = spec.privacy().max_records_per_member();
  if (records == 0) return absl::FailedPreconditionError(folder + " holds no records");
  if (spec.privacy().has_max_records_per_member() && records > limit) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "%s holds %d records, and the federation's max_records_per_member is %d: register fewer, "
        "or ask the organiser to raise it",
        folder, records, limit));
  }
  return absl::OkStatus();
}

}  // namespace dure
