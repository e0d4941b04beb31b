#include "federation/terms/check.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "federation/binary16.h"
#include "federation/model_parts.h"
#include "federation/spec.h"
#include "federation/spec_fields.h"
#include "federation/terms/check_notes.h"
#include "federation/terms/sums_terms.h"
#include "federation/terms/promise.h"
#include "federation/terms/robust_terms.h"
#include "privacy/secagg/thresholds.h"

namespace dure {

namespace {

constexpr uint32_t kQuarters = 4;

// What is answered when nobody asked for a particular epsilon: from strong to
// weak.
constexpr double kUsualEpsilons[] = {1, 3, 8};

// An offer, its answer and their framing, without keys and shares.
constexpr uint64_t kPlainOverhead = 600;

// Bytes of one finished round for one member: docs/secure-aggregation.md
// section 3.
uint64_t BytesUp(const RoundTerms& terms) {
  const uint64_t k = terms.neighbours;
  return terms.upload_bytes + 144 * k + 36 * k + kPlainOverhead;
}

uint64_t BytesDown(const RoundTerms& terms) {
  if (!terms.secure_aggregation) return terms.download_bytes + kPlainOverhead;
  const uint64_t k = terms.neighbours, n = terms.invited;
  const uint64_t path = 32 * static_cast<uint64_t>(std::bit_width(k - 1));
  return terms.download_bytes + 400 * n + k * (240 + path) + k * (96 + k / 8) + 68 * terms.quorum +
         n / 4;
}

// By how much rounding makes the noise larger than the clip norm asks for.
double RoundingFactor(const RoundTerms& terms) {
  if (terms.norm_bound_sq == 0 || terms.mode == LocalSection::DP_SGD) return 1;
  return std::sqrt(static_cast<double>(terms.norm_bound_sq)) /
         (static_cast<double>(terms.scale) * terms.encoded_norm);
}

// What a round would move without the keys of [communication].
void CompareWidths(const FederationSpec& spec, CheckReport* report) {
  report->bytes_up_automatic = report->bytes_up;
  report->bits_automatic = static_cast<uint32_t>(WidthOfNumbers(report->terms));
  RoundTerms plain = report->terms;
  plain.download_bytes = plain.update_dim * BytesOfNumber(CommunicationSection::FP32);
  report->bytes_down_fp32 = BytesDown(plain);
  if (report->terms.number_bits == 0) return;
  FederationSpec automatic = spec;
  automatic.mutable_communication()->clear_quantization_bits();
  const absl::StatusOr<RoundTerms> terms =
      DeriveTerms(automatic, report->terms.dim, report->terms.invited);
  if (!terms.ok()) return;
  report->bytes_up_automatic = BytesUp(*terms);
  report->bits_automatic = static_cast<uint32_t>(WidthOfNumbers(*terms));
  report->rounding_noise = RoundingFactor(report->terms) / RoundingFactor(*terms);
}

// epsilon of the run if one member's noise is all there is. The more are
// invited, the less noise each adds; without a cohort the coordinator may
// invite all.
std::optional<double> EpsilonOfOwnNoise(const FederationSpec& spec, const RoundTerms& terms) {
  if (!terms.secure_aggregation || terms.sigma2_local == 0) return std::nullopt;
  RoundTerms own = terms;
  if (!spec.rounds().has_cohort()) {
    absl::StatusOr<RoundTerms> least_noise = DeriveTerms(spec, terms.dim, secagg::kMaxDenseMembers);
    if (least_noise.ok()) own = *least_noise;
  }
  own.honest_survivors = 1;
  std::map<SumsKind, RoundTerms> sums;
  for (const SumsKind kind : {SumsKind::kStatistics, SumsKind::kEvaluation}) {
    absl::StatusOr<RoundTerms> terms_of_sums = TermsOfSums(spec, kind, own.invited);
    if (!terms_of_sums.ok()) continue;
    terms_of_sums->honest_survivors = 1;
    sums[kind] = *std::move(terms_of_sums);
  }
  const auto of = [&](SumsKind kind) {
    return sums.contains(kind) ? std::optional(sums[kind]) : std::nullopt;
  };
  return RunAccount(own, of(SumsKind::kStatistics), of(SumsKind::kEvaluation))
      .EpsilonAfter(PlannedAttempts(spec, spec.rounds().count()));
}

// The noise of what a robust rule makes of the groups' means, by that of their mean.
double RuleFactor(const RoundTerms& terms) {
  if (terms.robust == SecureAggregationSection::OFF) return 1;
  return RobustRuleOf(terms.robust).noise(terms.robust_params, terms.groups);
}

// In the mean update of one round, everybody staying.
RoundNoise NoiseOfRound(const FederationSpec& spec, const RoundTerms& terms) {
  const double root_dim = std::sqrt(static_cast<double>(terms.dim));
  const double members = terms.invited;
  if (terms.unit == PrivacySection::NONE) return {};
  if (terms.mode == LocalSection::DP_SGD) {
    // Noise of the steps and members adds up as its root, what was learnt in
    // full. Both are counted in gradients of clip_norm, learning_rate /
    // batch_size of which make the update.
    const double step =
        std::sqrt(static_cast<double>(terms.sigma2_step)) / static_cast<double>(terms.scale_step);
    const double records = static_cast<double>(spec.privacy().total_records()) / members;
    const double factor = spec.local().learning_rate() / spec.local().batch_size();
    return {
        .noise = RuleFactor(terms) * factor * step * root_dim * std::sqrt(terms.steps / members),
        .update = factor * terms.clip_norm * terms.sampling_rate * records * terms.steps};
  }
  const double variance =
      static_cast<double>(terms.sigma2_local) * members + static_cast<double>(terms.sigma2_central);
  const double sum =
      RuleFactor(terms) * std::sqrt(variance) / static_cast<double>(terms.scale) * root_dim;
  if (terms.mode == LocalSection::GRADIENT) {
    // Divided by what was agreed; no more records can be there than the members may hold.
    const double most = terms.sampling_rate * members *
                        static_cast<double>(spec.privacy().max_records_per_member());
    return {.noise = sum / terms.expected_batch,
            .update = terms.clip_norm * std::min(1.0, most / terms.expected_batch)};
  }
  const double weight = terms.weighted ? static_cast<double>(terms.weight_mean) /
                                             static_cast<double>(terms.weight_max)
                                       : 1;
  return {.noise = sum / (members * weight), .update = terms.clip_norm};
}

absl::Status BudgetSpent(const FederationSpec& spec, const CheckReport& report) {
  const PrivacySection& privacy = spec.privacy();
  const uint32_t affordable = report.affordable_attempts;
  const std::string stop = affordable == 0
                               ? "does not pay for a single round"
                               : absl::StrCat("would stop the run after ", affordable, " rounds");
  const Reach reach = WhatReaches(spec, report.terms, privacy.max_epsilon());
  const std::string noise =
      reach.noise_multiplier ? absl::StrFormat(" to %g", *reach.noise_multiplier) : "";
  const std::string rounds = affordable == 0 ? "" : absl::StrCat(" to ", affordable);
  const char* rate = report.terms.mode == LocalSection::EPOCHS ? "" : "local.sampling_rate or ";
  return absl::FailedPreconditionError(absl::StrFormat(
      "privacy.max_epsilon is %g and %s; all %u need %s: raise privacy.max_epsilon, or "
      "privacy.noise_multiplier%s, or lower %srounds.count%s",
      privacy.max_epsilon(), stop, spec.rounds().count(), EpsilonText(report.costs.back().epsilon),
      noise, rate, rounds));
}

// epsilon along the run, and whether max_epsilon pays for it.
absl::Status CountCosts(const FederationSpec& spec, CheckReport* report) {
  report->max_epsilon = spec.privacy().max_epsilon();
  DURE_ASSIGN_OR_RETURN(const RunAccount account,
                        MakeRunAccount(spec, report->terms, std::nullopt));
  const auto after = [&](uint32_t rounds) {
    return account.EpsilonAfter(PlannedAttempts(spec, rounds));
  };
  report->costs.push_back({1, after(1)});
  for (uint32_t quarter = 1; quarter <= kQuarters; ++quarter) {
    const auto rounds = static_cast<uint32_t>(uint64_t{report->rounds} * quarter / kQuarters);
    if (rounds <= report->costs.back().rounds) continue;
    report->costs.push_back({rounds, after(rounds)});
  }
  AttemptCounts planned = PlannedAttempts(spec, report->rounds);
  report->affordable_attempts = account.TrainingWithin(report->max_epsilon, planned);
  planned.training = report->affordable_attempts;
  report->epsilon_all_attempts = account.EpsilonAfter(planned);
  if (planned.statistics > 0) {
    report->epsilon_statistics = account.EpsilonAfter({.statistics = planned.statistics});
  }
  if (planned.evaluations > 0) {
    report->epsilon_evaluations = account.EpsilonAfter({.evaluations = planned.evaluations});
  }
  if (report->affordable_attempts < report->rounds) return BudgetSpent(spec, *report);
  return absl::OkStatus();
}

void FindReaches(const FederationSpec& spec, double target, CheckReport* report) {
  std::vector<double> targets = {target};
  if (target == 0) {
    targets.clear();
    for (double usual : kUsualEpsilons) {
      if (usual < report->max_epsilon) targets.push_back(usual);
    }
    if (report->max_epsilon <= kMeaninglessEpsilon) targets.push_back(report->max_epsilon);
  }
  for (double epsilon : targets) {
    report->reaches.push_back(WhatReaches(spec, report->terms, epsilon));
  }
}

// The limit of privacy.max_epsilon.
constexpr double kMaxTarget = 1000;

absl::Status CheckTarget(const FederationSpec& spec, double target) {
  if (!(target >= 0 && target <= kMaxTarget)) {
    return absl::InvalidArgumentError(absl::StrCat("the target epsilon is ", target,
                                                   " and must be a number above 0, at most ",
                                                   kMaxTarget, ", as privacy.max_epsilon"));
  }
  if (target > 0 && spec.privacy().unit() == PrivacySection::NONE) {
    return absl::InvalidArgumentError(
        "nothing reaches an epsilon with privacy.unit = \"none\", which adds no noise: choose "
        "\"record\" or \"client\"");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CheckReport> CheckFederation(const FederationSpec& spec,
                                            const CheckOptions& options) {
  DURE_RETURN_IF_ERROR(ValidateFederation(spec));
  DURE_RETURN_IF_ERROR(CheckTarget(spec, options.target_epsilon));
  CheckReport report;
  report.name = spec.federation().name();
  report.spec_digest = SpecDigest(spec);
  report.architecture =
      ChoiceName(*ModelSection::Architecture_descriptor(), spec.model().architecture());
  DURE_ASSIGN_OR_RETURN(const ModelParts parts, PartsOf(spec.model()));
  const ParamManifest& manifest = parts.travelling();
  report.parameters = parts.whole().dim();
  report.model_bytes = report.parameters * sizeof(float);
  for (const ParamEntry& param : parts.personal().params) report.personal.push_back(param.name);
  report.members_known = spec.rounds().has_cohort();
  report.local = spec.local();
  report.server = spec.server();
  report.evaluation = spec.evaluation();
  report.local_schedule = LocalScheduleOf(spec);
  report.server_schedule = ServerScheduleOf(spec);
  DURE_ASSIGN_OR_RETURN(report.terms, DeriveTerms(spec, manifest.dim(),
                                                  report.members_known ? spec.rounds().cohort()
                                                                       : spec.rounds().minimum()));
  report.bytes_up = BytesUp(report.terms);
  report.bytes_down = BytesDown(report.terms);
  CompareWidths(spec, &report);
  report.rounds = spec.rounds().count();
  report.affordable_attempts = report.terms.max_attempts;
  report.statistics = HasSums(spec, SumsKind::kStatistics);
  report.evaluations = PlannedAttempts(spec, report.rounds).evaluations;
  for (const SumsKind kind : {SumsKind::kStatistics, SumsKind::kEvaluation}) {
    if (!HasSums(spec, kind)) continue;
    DURE_RETURN_IF_ERROR(TermsOfSums(spec, kind, report.terms.invited).status());
  }
  if (report.terms.unit != PrivacySection::NONE) {
    DURE_RETURN_IF_ERROR(CountCosts(spec, &report));
    report.epsilon_own_noise = EpsilonOfOwnNoise(spec, report.terms);
    report.round_noise = NoiseOfRound(spec, report.terms);
    // What reaches an epsilon is worked out for rounds alone.
    if (!report.statistics && report.evaluations == 0) {
      FindReaches(spec, options.target_epsilon, &report);
    }
  }
  if (report.terms.sigma2_local != 0) {
    report.noise_excess =
        std::sqrt(static_cast<double>(report.terms.largest_sum) / report.terms.honest_survivors);
  }
  report.warnings = NotesOn(spec, report);
  return report;
}

}  // namespace dure
