#include "federation/terms/terms.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "federation/binary16.h"
#include "federation/terms/privacy_account.h"
#include "federation/terms/robust_terms.h"
#include "privacy/dp/client_encoding.h"
#include "privacy/dp/encoding_integers.h"
#include "privacy/dp/fixed_grid.h"
#include "privacy/dp/record_gradient.h"
#include "privacy/secagg/config.h"
#include "privacy/secagg/thresholds.h"

namespace dure {

namespace {

// So that a share such as 0.29 of 100, which binary64 makes 28.999..., counts as 29.
constexpr double kRoundingSlack = 1e-9;

// s: what a graph drawn at random may fail by, 2^-s.
constexpr uint32_t kSecurityBits = 128;

// A coordinator that tries 2^64 rosters finds a graph that fails with this probability.
const double kDeltaOfGraph = std::ldexp(1.0, 64 - static_cast<int>(kSecurityBits));

// Fewest records a round on average: the sum is divided by it. Far below 1 the check warns already.
constexpr double kMinExpectedBatch = 1e-3;

constexpr char kNoiseRemedy[] =
    "change privacy.clip_norm or privacy.noise_multiplier, or the model";
constexpr char kWidthRemedy[] = "change communication.quantization_bits, or leave it out";

const char* NoiseRemedy(const RoundTerms& terms) {
  return terms.number_bits != 0 ? kWidthRemedy : kNoiseRemedy;
}

// `value`, 0 or more, rounded up to a multiple of 1 / `parts`.
double RoundedUp(double value, double parts) {
  return std::max(0.0, std::ceil(value * parts - kRoundingSlack)) / parts;
}

uint32_t MaxCorrupt(double share, uint32_t invited) {
  return std::max<uint32_t>(1, static_cast<uint32_t>(share * invited + kRoundingSlack));
}

// A limit of the arithmetic, as a setting that cannot work.
absl::Status CannotWork(const absl::Status& status, absl::string_view remedy) {
  return absl::FailedPreconditionError(absl::StrCat(status.message(), "; ", remedy));
}

secagg::RuleParams RuleParamsOf(const FederationSpec& spec, const RoundTerms& terms,
                                uint32_t members) {
  using Kind = secagg::GraphRuleName::Kind;
  const bool grouped = terms.group_size != 0;
  return {.rule = {.kind = grouped                                     ? Kind::kGroups
                           : terms.invited <= secagg::kMaxDenseMembers ? Kind::kComplete
                                                                       : Kind::kRing,
                   .group_size = terms.group_size},
          .members = members,
          .max_corrupt = terms.max_corrupt,
          .minimum_sum = grouped ? terms.sum_asked : terms.minimum,
          .minimum_roster = terms.minimum,
          .max_dropout = spec.secure_aggregation().max_dropout(),
          .security_bits = kSecurityBits};
}

// A robust rule: the cohort in groups, each a sum of its own. A roster may be smaller than what was
// invited and its groups of other sizes, so the numbers are the worst of all that can be.
absl::Status DeriveGroups(const FederationSpec& spec, RoundTerms* terms) {
  const uint32_t invited = terms->invited;
  terms->group_size = spec.secure_aggregation().group_size();
  terms->robust_params = RobustParamsOf(spec.secure_aggregation());
  terms->sum_asked = LeastSum(spec);
  DURE_ASSIGN_OR_RETURN(const secagg::SessionRules full,
                        secagg::ComputeSessionRules(RuleParamsOf(spec, *terms, invited)));
  terms->groups = full.groups;
  DURE_ASSIGN_OR_RETURN(terms->poisoned_groups, PoisonedGroupsBorne(*terms, full.groups));
  terms->quorum = full.quorum;
  terms->roster_minimum = terms->minimum;
  terms->largest_sum = 0;
  terms->sum_minimum = invited;
  terms->may_vanish = invited;
  terms->honest_survivors = invited;
  for (uint32_t members = terms->minimum; members <= invited; ++members) {
    const auto rules = secagg::ComputeSessionRules(RuleParamsOf(spec, *terms, members));
    if (!rules.ok()) continue;  // a roster of so many is refused
    const uint32_t small = members / rules->groups;
    const uint32_t large = members % rules->groups == 0 ? small : small + 1;
    terms->largest_sum = std::max(terms->largest_sum, large);
    terms->neighbours = std::max(terms->neighbours, rules->larger.neighbours);
    terms->threshold = std::max(terms->threshold, rules->larger.threshold);
    terms->sum_minimum =
        std::min({terms->sum_minimum, rules->smaller.sum_minimum, rules->larger.sum_minimum});
    terms->may_vanish = std::min(
        {terms->may_vanish, small - rules->smaller.sum_minimum, large - rules->larger.sum_minimum});
    terms->corrupt_in_sum =
        std::max({terms->corrupt_in_sum, rules->corrupt_in_smaller, rules->corrupt_in_larger});
    terms->honest_survivors = std::min(terms->honest_survivors, rules->HonestMinimum());
  }
  terms->delta_per_attempt = kDeltaOfGraph;
  terms->graph_rule = RuleParamsOf(spec, *terms, invited).rule.ToString();
  return absl::OkStatus();
}

absl::Status DeriveMembers(const FederationSpec& spec, RoundTerms* terms) {
  const uint32_t invited = terms->invited;
  // Where the coordinator reads every input, two are as well off as three.
  if (invited < (terms->secure_aggregation ? secagg::kMinMembers : 2)) {
    return absl::FailedPreconditionError(
        absl::StrCat(invited, " members: a private sum needs at least ", secagg::kMinMembers,
                     ", or each would learn the other's part; invite more"));
  }
  const RoundsSection& rounds = spec.rounds();
  if (rounds.has_cohort() && invited > rounds.cohort()) {
    // More members would mean less noise from each than was agreed to.
    return absl::FailedPreconditionError(
        absl::StrCat(invited, " members are invited, but rounds.cohort is ", rounds.cohort()));
  }
  terms->minimum = rounds.minimum();
  if (terms->minimum > invited) {
    return absl::FailedPreconditionError(
        absl::StrCat("rounds.minimum is ", terms->minimum, ", but there are ", invited,
                     " members: wait for more, or lower rounds.minimum"));
  }
  if (!rounds.has_cohort() && invited > secagg::kMaxDenseMembers) {
    return absl::FailedPreconditionError(
        absl::StrCat(invited, " members: more than ", secagg::kMaxDenseMembers,
                     " take part only with rounds.cohort; set it"));
  }
  terms->largest_sum = invited;
  terms->roster_minimum = terms->minimum;
  terms->sum_asked = terms->minimum;
  if (!terms->secure_aggregation) {
    terms->sum_minimum = terms->minimum;
    terms->may_vanish = invited - terms->minimum;
    terms->honest_survivors = 1;  // the coordinator, which is trusted
    terms->graph_rule = secagg::kGraphRuleNone;
    return absl::OkStatus();
  }
  // Of all who could have been invited: whoever chooses the cohort could choose a small one with
  // all the corrupt in it.
  terms->max_corrupt = MaxCorrupt(spec.secure_aggregation().max_corrupt(),
                                  rounds.has_cohort() ? rounds.cohort() : invited);
  if (terms->robust != SecureAggregationSection::OFF) return DeriveGroups(spec, terms);
  const auto rules = secagg::ComputeSessionRules(RuleParamsOf(spec, *terms, invited));
  if (!rules.ok()) {
    return invited <= secagg::kMaxDenseMembers
               ? rules.status()
               : CannotWork(rules.status(),
                            "these are secure_aggregation.max_corrupt and max_dropout of "
                            "rounds.cohort");
  }
  const secagg::Thresholds& thresholds = rules->smaller;
  terms->neighbours = thresholds.neighbours;
  terms->threshold = thresholds.threshold;
  terms->quorum = thresholds.quorum;
  terms->sum_minimum = thresholds.sum_minimum;
  terms->roster_minimum = thresholds.sum_minimum;
  terms->sum_asked = thresholds.sum_minimum;
  terms->corrupt_in_sum = terms->max_corrupt;
  if (rules->sparse) terms->delta_per_attempt = kDeltaOfGraph;
  terms->may_vanish = invited - thresholds.sum_minimum;
  terms->honest_survivors = thresholds.sum_minimum - terms->max_corrupt;
  terms->graph_rule = RuleParamsOf(spec, *terms, invited).rule.ToString();
  return absl::OkStatus();
}

// Mode gradient: one noised sum over everybody's records (section 2.4).
absl::Status DeriveGradient(const FederationSpec& spec, RoundTerms* terms) {
  const bool central = !terms->secure_aggregation;
  dp::RecordGradientParams params = {.dim = terms->dim,
                                     .clip_norm = terms->clip_norm,
                                     .noise_multiplier = terms->noise_multiplier,
                                     .honest_survivors = terms->honest_survivors,
                                     .noiseless = terms->noise_multiplier == 0,
                                     .number_bits = static_cast<int>(terms->number_bits)};
  absl::StatusOr<dp::RecordGradient> gradient = dp::DeriveRecordGradient(params);
  if (!gradient.ok()) return CannotWork(gradient.status(), NoiseRemedy(*terms));
  terms->scale = gradient->scale;
  terms->norm_bound_sq = gradient->norm_bound_sq;
  (central ? terms->sigma2_central : terms->sigma2_local) = gradient->sigma2_local;
  absl::StatusOr<uint32_t> cap =
      dp::BatchCap(spec.privacy().max_records_per_member(), terms->sampling_rate);
  if (!cap.ok()) {
    return CannotWork(cap.status(), "change privacy.max_records_per_member or local.sampling_rate");
  }
  terms->batch_cap = *cap;
  terms->delta_per_attempt += std::ldexp(1.0, -dp::kBatchCapBits);
  absl::StatusOr<dp::RingRange> range = dp::DeriveRingRange(
      {.gradient = params, .invited = terms->largest_sum, .batch_cap = terms->batch_cap});
  if (!range.ok()) {
    return CannotWork(range.status(),
                      absl::StrCat("a member may send ", terms->batch_cap,
                                   " records at a time: lower privacy.max_records_per_member or "
                                   "local.sampling_rate"));
  }
  terms->bits = static_cast<uint32_t>(range->bits);
  terms->expected_batch =
      terms->sampling_rate * static_cast<double>(spec.privacy().total_records());
  if (terms->expected_batch < kMinExpectedBatch) {
    return absl::FailedPreconditionError(
        absl::StrCat("local.sampling_rate times privacy.total_records is ", terms->expected_batch,
                     " records a round on average, at least ", kMinExpectedBatch,
                     " are needed: raise local.sampling_rate"));
  }
  return absl::OkStatus();
}

// Unit client: each member's clipped update with noise (sections 2.1 and 2.2).
absl::Status DeriveClientUpdate(const FederationSpec& spec, RoundTerms* terms) {
  const bool central = !terms->secure_aggregation;
  terms->coordinates = terms->update_dim + (terms->adaptive_clipping ? 1 : 0);
  if (terms->rotation) terms->coordinates = dp::RotatedDim(terms->coordinates);
  if (terms->adaptive_clipping) {
    absl::StatusOr<dp::AdaptiveClip> clip = AdaptiveClipOf(spec, *terms);
    if (!clip.ok()) return CannotWork(clip.status(), "change privacy.clip_count_noise");
    if (!(terms->clip_norm >= clip->min_clip() && terms->clip_norm <= clip->max_clip())) {
      return absl::FailedPreconditionError(
          absl::StrCat("clip_norm = ", terms->clip_norm, " is outside ", clip->min_clip(), " to ",
                       clip->max_clip(), " for this model: change privacy.clip_norm"));
    }
    terms->encoded_norm = clip->EncodedNorm(terms->clip_norm);
    terms->count_coordinate = clip->CountCoordinate(terms->clip_norm);
  }
  absl::StatusOr<dp::ClientEncoding> encoding =
      dp::DeriveClientEncoding({.dim = terms->coordinates,
                                .clip_norm = terms->encoded_norm,
                                .noise_multiplier = terms->noise_multiplier,
                                .invited = terms->largest_sum,
                                .honest_survivors = terms->honest_survivors,
                                .rotated = terms->rotation,
                                .noiseless = terms->noise_multiplier == 0,
                                .number_bits = static_cast<int>(terms->number_bits)});
  if (!encoding.ok()) return CannotWork(encoding.status(), NoiseRemedy(*terms));
  terms->scale = encoding->scale;
  terms->norm_bound_sq = encoding->norm_bound_sq;
  (central ? terms->sigma2_central : terms->sigma2_local) = encoding->sigma2_local;
  terms->bits = encoding->bits;
  if (terms->weighted) terms->weight_mean = spec.local().weight_mean();
  return absl::OkStatus();
}

// What carries no noise of its own: unit none, and the results of dp_sgd (section 2.1, last line).
absl::Status DeriveWithoutNoise(RoundTerms* terms) {
  const bool weights = terms->weighted && terms->unit == PrivacySection::NONE;
  terms->coordinates = terms->update_dim + (weights ? 1 : 0);
  absl::StatusOr<dp::FixedGrid> grid = dp::DeriveFixedGrid(terms->largest_sum, kFixedGridRange,
                                                           static_cast<int>(terms->number_bits));
  if (!grid.ok()) {
    return CannotWork(grid.status(),
                      terms->number_bits != 0 ? kWidthRemedy : "lower rounds.cohort");
  }
  terms->scale = uint64_t{1} << grid->scale_log2;
  // The ring holds the sum of the updates, and that of the weights.
  const uint64_t largest =
      std::max(terms->scale * kFixedGridRange, weights ? terms->weight_max : 0);
  terms->bits = std::bit_width(2 * terms->largest_sum * largest + 1);
  return absl::OkStatus();
}

// Mode dp_sgd: the noise is in each local step, and nobody else's counts (section 2.4).
absl::Status DeriveLocalSteps(const FederationSpec& spec, RoundTerms* terms) {
  terms->steps = spec.local().steps();
  terms->honest_survivors = 1;
  terms->delta_per_attempt = 0;  // whatever the graph
  absl::StatusOr<dp::RecordGradient> step =
      dp::DeriveRecordGradient({.dim = terms->dim,
                                .clip_norm = terms->clip_norm,
                                .noise_multiplier = terms->noise_multiplier,
                                .honest_survivors = 1,
                                .noiseless = terms->noise_multiplier == 0});
  if (!step.ok()) return CannotWork(step.status(), kNoiseRemedy);
  terms->scale_step = step->scale;
  terms->norm_bound_sq = step->norm_bound_sq;
  terms->sigma2_step = step->sigma2_local;
  return DeriveWithoutNoise(terms);
}

absl::Status DeriveUpload(const FederationSpec& spec, double clip_norm, RoundTerms* terms) {
  terms->clip_norm = clip_norm;
  terms->encoded_norm = clip_norm;
  terms->noise_multiplier = spec.privacy().noise_multiplier();
  if (spec.local().has_sampling_rate()) terms->sampling_rate = spec.local().sampling_rate();
  if (terms->weighted) terms->weight_max = spec.local().weight_max();
  terms->control_variates = spec.local().control_variates();
  terms->update_dim = terms->control_variates ? 2 * terms->dim : terms->dim;
  if (terms->control_variates && terms->unit == PrivacySection::CLIENT) {
    // One step of a pass moves the model by learning_rate times a direction: so both halves of what
    // is clipped together are of one kind. A power of two changes no digits.
    const double step = spec.local().learning_rate() * spec.local().epochs();
    terms->control_scale = std::exp2(std::floor(std::log2(step)));
  }
  terms->number_bits = spec.communication().quantization_bits();
  terms->coordinates = terms->update_dim;
  if (terms->unit == PrivacySection::NONE) {
    DURE_RETURN_IF_ERROR(DeriveWithoutNoise(terms));
  } else if (terms->unit == PrivacySection::CLIENT) {
    DURE_RETURN_IF_ERROR(DeriveClientUpdate(spec, terms));
  } else if (terms->mode == LocalSection::DP_SGD) {
    DURE_RETURN_IF_ERROR(DeriveLocalSteps(spec, terms));
  } else {
    DURE_RETURN_IF_ERROR(DeriveGradient(spec, terms));
  }
  // In two parts, so that no product leaves 64 bits.
  terms->upload_bytes =
      terms->coordinates / 8 * terms->bits + (terms->coordinates % 8 * terms->bits + 7) / 8;
  terms->download = spec.communication().download();
  terms->download_bytes = terms->update_dim * BytesOfNumber(terms->download);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RoundTerms> DeriveTerms(const FederationSpec& spec, uint64_t dim, uint32_t invited,
                                       double clip_norm) {
  const PrivacySection& privacy = spec.privacy();
  RoundTerms terms;
  terms.unit = privacy.unit();
  terms.mode = spec.local().mode();
  terms.secure_aggregation = spec.secure_aggregation().enabled();
  terms.weighted = spec.local().weighting() == LocalSection::RECORDS;
  terms.adaptive_clipping = privacy.clipping() == PrivacySection::ADAPTIVE;
  terms.rotation = privacy.rotation();
  if (spec.secure_aggregation().robust() != SecureAggregationSection::ROBUST_UNSPECIFIED) {
    terms.robust = spec.secure_aggregation().robust();
  }
  terms.invited = invited;
  terms.dim = dim;
  DURE_RETURN_IF_ERROR(DeriveMembers(spec, &terms));
  DURE_RETURN_IF_ERROR(
      DeriveUpload(spec, clip_norm == 0 ? privacy.clip_norm() : clip_norm, &terms));
  terms.delta = privacy.delta();
  terms.max_attempts = spec.rounds().max_attempts();
  return terms;
}

int WidthOfNumbers(const RoundTerms& terms) {
  const bool on_grid = terms.unit == PrivacySection::NONE || terms.mode == LocalSection::DP_SGD;
  if (on_grid) return dp::NumberBits(terms.scale * kFixedGridRange);
  return dp::NumberBits(dp::FloorSqrt(terms.norm_bound_sq));
}

absl::StatusOr<dp::AdaptiveClip> AdaptiveClipOf(const FederationSpec& spec,
                                                const RoundTerms& terms) {
  const PrivacySection& privacy = spec.privacy();
  return dp::AdaptiveClip::Create({.coordinates = terms.coordinates,
                                   .noise_multiplier = privacy.noise_multiplier(),
                                   .target_quantile = privacy.target_quantile(),
                                   .learning_rate = privacy.clip_learning_rate(),
                                   .count_noise = privacy.clip_count_noise()});
}

// With adaptive clipping B and sigma2 move with the clip norm, which nobody knows beforehand. Noise
// of h sigma2 = z^2 B^2 is the least that any clip norm gives, so every attempt is counted as that:
// one cost for all, whatever C does.
dp::AttemptCost WorstCostOfAnyClipNorm(const RoundTerms& terms) {
  const double z = terms.noise_multiplier;
  // Large, so that rounding B^2 up costs next to nothing; with less noise B^2 must stay in 64 bits.
  const uint64_t sigma2 = uint64_t{1} << (z >= 1 ? 40 : z >= 1e-3 ? 20 : 0);
  const double norm_bound_sq =
      std::ceil(terms.honest_survivors * static_cast<double>(sigma2) / (z * z) * (1 + 0x1p-50));
  return {.dim = terms.coordinates,
          .parties = terms.honest_survivors,
          .sigma2 = norm_bound_sq < 0x1p63 ? sigma2 : 0,
          .norm_bound_sq = norm_bound_sq < 0x1p63 ? static_cast<uint64_t>(norm_bound_sq) : 1};
}

dp::AttemptCost CostOf(const RoundTerms& terms) {
  if (terms.adaptive_clipping) return WorstCostOfAnyClipNorm(terms);
  return {.dim = terms.mode == LocalSection::DP_SGD ? terms.dim : terms.coordinates,
          .parties = terms.honest_survivors,
          .sigma2 = std::max({terms.sigma2_local, terms.sigma2_step, terms.sigma2_central}),
          .norm_bound_sq = std::max<uint64_t>(1, terms.norm_bound_sq),
          .sampling_rate = terms.sampling_rate,
          .uses = terms.steps};
}

uint32_t LeastSum(const FederationSpec& spec) {
  if (!spec.secure_aggregation().has_group_size()) return spec.rounds().minimum();
  return std::max(secagg::kMinMembers, (4 * spec.secure_aggregation().group_size() + 4) / 5);
}

absl::string_view ProtectedUnit(PrivacySection::Unit unit) {
  switch (unit) {
    case PrivacySection::CLIENT:
      return "member";
    case PrivacySection::NONE:
      return "nobody";
    default:
      return "record";
  }
}

double EpsilonAfter(const RoundTerms& terms, uint32_t attempts) {
  return PrivacyAccount(terms).EpsilonAfter(attempts);
}

uint32_t AttemptsWithin(const RoundTerms& terms, double max_epsilon) {
  return PrivacyAccount(terms).AttemptsWithin(max_epsilon);
}

std::string EpsilonText(double epsilon) {
  if (!std::isfinite(epsilon)) return "unbounded";
  return absl::StrFormat("%.2f", RoundedUp(epsilon, 100));
}

std::string NoPrivacyInWords(bool secure_aggregation) {
  return secure_aggregation
             ? "no privacy beyond the sum: no noise is added"
             : "no privacy: no noise is added, and the coordinator sees each member's update";
}

std::string EpsilonInWords(PrivacySection::Unit unit, double epsilon, double delta) {
  if (unit == PrivacySection::NONE) {
    return "No noise is added, so nothing is promised about any record or member.";
  }
  const bool client = unit == PrivacySection::CLIENT;
  if (!(epsilon <= kMeaninglessEpsilon)) {
    return absl::StrCat(
        "An epsilon ",
        std::isfinite(epsilon) ? absl::StrCat("of ", EpsilonText(epsilon)) : "without bound",
        " promises next to nothing: from what is released it may be possible to "
        "tell whether a given ",
        client ? "member contributed its data." : "record was used.");
  }
  return absl::StrFormat(
      "Nobody can conclude more than this from all that is released: the odds that a given %s "
      "change by a factor of at most %.1f, except with a chance of 1 in %.0f.",
      client ? "member sent what its data say, and not zeros," : "record was used",
      RoundedUp(std::exp(epsilon), 10), std::floor(1 / delta + kRoundingSlack));
}

}  // namespace dure
