#include "federation/terms/check.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "federation/manifest.h"
#include "federation/spec.h"
#include "federation/spec_fields.h"
#include "federation/terms/privacy_account.h"
#include "privacy/dp/rdp.h"
#include "privacy/dp/record_gradient.h"
#include "privacy/secagg/thresholds.h"

namespace dure {

namespace {

constexpr uint32_t kQuarters = 4;

// Bytes of one finished round for one member: docs/secure-aggregation.md section 3.
uint64_t BytesUp(const RoundTerms& terms) {
  const uint64_t k = terms.neighbours;
  return terms.upload_bytes + 144 * k + 36 * k + 600;
}

uint64_t BytesDown(const RoundTerms& terms) {
  const uint64_t k = terms.neighbours, n = terms.invited;
  const uint64_t path = 32 * static_cast<uint64_t>(std::bit_width(k - 1));
  return 4 * terms.dim + 400 * n + k * (240 + path) + k * (96 + k / 8) + 68 * terms.quorum + n / 4;
}

// epsilon of the run if one member's noise is all there is: as the account, with one party.
double EpsilonOfOwnNoise(const RoundTerms& terms, uint32_t attempts) {
  const dp::DiscreteGaussianSum own = {.dim = terms.dim,
                                       .parties = 1,
                                       .sigma2_local = static_cast<double>(terms.sigma2_local),
                                       .norm_bound_sq = static_cast<double>(terms.norm_bound_sq)};
  std::vector<double> rdp;
  for (int order : dp::SubsampledOrders()) rdp.push_back(dp::DiscreteGaussianSumRdp(own, order));
  const dp::RdpCurve curve(dp::SubsampledOrders(),
                           dp::PoissonSubsampledRdp(terms.sampling_rate, rdp));
  const double delta = terms.delta - attempts * std::ldexp(1.0, -dp::kBatchCapBits);
  return curve.Epsilon(attempts, delta).epsilon;
}

absl::Status BudgetSpent(const FederationSpec& spec, uint32_t affordable, double whole_run) {
  const std::string stop = affordable == 0
                               ? "does not pay for a single round"
                               : absl::StrCat("would stop the run after ", affordable, " rounds");
  return absl::FailedPreconditionError(absl::StrFormat(
      "privacy.max_epsilon is %g and %s; all %u need %s: raise privacy.max_epsilon or "
      "privacy.noise_multiplier, or lower local.sampling_rate or rounds.count",
      spec.privacy().max_epsilon(), stop, spec.rounds().count(), EpsilonText(whole_run)));
}

// The warnings that follow from the settings; those that always hold come after.
void WarnOfSettings(const FederationSpec& spec, CheckReport* report) {
  const RoundTerms& terms = report->terms;
  auto warn = [&](std::string text) { report->warnings.push_back(std::move(text)); };
  if (!report->members_known) {
    warn(absl::StrCat("rounds.cohort is not set: the numbers are for ", terms.invited,
                      " members, the fewest; every run uses those of the members that take part."));
  }
  if (terms.may_vanish == 0) {
    warn("Nobody may vanish: one member that drops out ends the attempt.");
  }
  const double expected_to_vanish =
      std::floor(spec.secure_aggregation().max_dropout() * terms.invited);
  if (expected_to_vanish > terms.may_vanish) {
    warn(absl::StrFormat(
        "%.0f members are expected to vanish (max_dropout), but an attempt survives "
        "only %d: lower rounds.minimum, or expect retries, which cost privacy.",
        expected_to_vanish, terms.may_vanish));
  }
  const double most_records = static_cast<double>(terms.invited) *
                              static_cast<double>(spec.privacy().max_records_per_member());
  if (report->members_known && most_records < static_cast<double>(spec.privacy().total_records())) {
    warn(
        absl::StrFormat("%u members of at most %d records hold %.0f, fewer than total_records, %d: "
                        "the steps will be smaller than they need to be.",
                        terms.invited, spec.privacy().max_records_per_member(), most_records,
                        spec.privacy().total_records()));
  }
  if (terms.expected_batch < 1) {
    warn(
        absl::StrFormat("A round takes %.2g records on average: most carry noise alone; raise "
                        "local.sampling_rate.",
                        terms.expected_batch));
  }
  if (terms.delta * static_cast<double>(spec.privacy().total_records()) >= 1) {
    warn(
        absl::StrFormat("delta is %g: with %d records that allows publishing one of them whole; "
                        "set it below %.1g.",
                        terms.delta, spec.privacy().total_records(),
                        1.0 / static_cast<double>(spec.privacy().total_records())));
  }
}

void WarnOfLimits(CheckReport* report) {
  const RoundTerms& terms = report->terms;
  auto warn = [&](std::string text) { report->warnings.push_back(std::move(text)); };
  warn(
      absl::StrFormat("The noise suffices if only %u members remain, %u of them corrupt. "
                      "If all %u stay, there is %.2f times as much, and learning is slower.",
                      terms.sum_minimum, terms.max_corrupt, terms.invited, report->noise_excess));
  warn(
      absl::StrFormat("If the coordinator also runs the enrolment CA, or enrols made-up members, "
                      "only a member's own noise protects it: epsilon %s after the last round.",
                      EpsilonText(report->epsilon_own_noise)));
  warn(
      "Epsilon is for one record. A person with g records, in one hospital or in several, has "
      "about g times that epsilon.");
  warn("Who takes part, and when, is not hidden. The keys do not withstand a quantum computer.");
}

}  // namespace

absl::StatusOr<CheckReport> CheckFederation(const FederationSpec& spec) {
  DURE_RETURN_IF_ERROR(ValidateFederation(spec));
  CheckReport report;
  report.name = spec.federation().name();
  report.spec_digest = SpecDigest(spec);
  report.architecture =
      ChoiceName(*ModelSection::Architecture_descriptor(), spec.model().architecture());
  DURE_ASSIGN_OR_RETURN(const ParamManifest manifest, BuiltInManifest(spec.model()));
  report.model_bytes = manifest.dim() * sizeof(float);
  report.members_known = spec.rounds().has_cohort();
  DURE_ASSIGN_OR_RETURN(report.terms, DeriveTerms(spec, manifest.dim(),
                                                  report.members_known ? spec.rounds().cohort()
                                                                       : spec.rounds().minimum()));
  report.bytes_up = BytesUp(report.terms);
  report.bytes_down = BytesDown(report.terms);

  const PrivacyAccount account(report.terms);
  report.rounds = spec.rounds().count();
  for (uint32_t quarter = 1; quarter <= kQuarters; ++quarter) {
    const auto rounds = static_cast<uint32_t>(uint64_t{report.rounds} * quarter / kQuarters);
    if (rounds == 0 || (!report.quarters.empty() && report.quarters.back().rounds == rounds)) {
      continue;
    }
    report.quarters.push_back({rounds, account.EpsilonAfter(rounds)});
  }
  report.max_epsilon = spec.privacy().max_epsilon();
  report.affordable_attempts = account.AttemptsWithin(report.max_epsilon);
  report.epsilon_all_attempts = account.EpsilonAfter(report.affordable_attempts);
  if (report.affordable_attempts < report.rounds) {
    return BudgetSpent(spec, report.affordable_attempts, report.quarters.back().epsilon);
  }
  report.noise_excess =
      std::sqrt(static_cast<double>(report.terms.invited) / report.terms.honest_survivors);
  // The more are invited, the less noise each adds; without a cohort the coordinator may invite
  // all.
  absl::StatusOr<RoundTerms> least_noise =
      report.members_known ? report.terms
                           : DeriveTerms(spec, report.terms.dim, secagg::kMaxMembers);
  report.epsilon_own_noise =
      EpsilonOfOwnNoise(least_noise.ok() ? *least_noise : report.terms, report.rounds);
  WarnOfSettings(spec, &report);
  WarnOfLimits(&report);
  return report;
}

}  // namespace dure
