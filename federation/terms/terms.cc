#include "federation/terms/terms.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "federation/terms/privacy_account.h"
#include "privacy/dp/record_gradient.h"
#include "privacy/secagg/thresholds.h"

namespace dure {

namespace {

// So that a share such as 0.29 of 100, which binary64 makes 28.999..., counts as 29.
constexpr double kRoundingSlack = 1e-9;

// Longest model and longest masked input, in bytes: a message on the wire has at most 64 MiB
// (transport/limits.h), signatures and certificates included.
constexpr uint64_t kMaxPayloadBytes = uint64_t{60} << 20;

// Fewest records a round on average: the sum is divided by it. Far below 1 the check warns already.
constexpr double kMinExpectedBatch = 1e-3;

// An epsilon above this says nothing to anybody: odds may change by a factor above 20,000.
constexpr double kMeaninglessEpsilon = 10;

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

absl::Status DeriveMembers(const FederationSpec& spec, RoundTerms* terms) {
  const uint32_t invited = terms->invited;
  if (invited < secagg::kMinMembers) {
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
  // Of all who could have been invited: whoever chooses the cohort could choose a small one with
  // all the corrupt in it.
  terms->max_corrupt = MaxCorrupt(spec.secure_aggregation().max_corrupt(),
                                  rounds.has_cohort() ? rounds.cohort() : invited);
  DURE_ASSIGN_OR_RETURN(const secagg::Thresholds thresholds,
                        secagg::ComputeThresholds(invited, terms->max_corrupt, terms->minimum));
  terms->neighbours = thresholds.neighbours;
  terms->threshold = thresholds.threshold;
  terms->quorum = thresholds.quorum;
  terms->sum_minimum = thresholds.sum_minimum;
  terms->may_vanish = invited - thresholds.sum_minimum;
  terms->honest_survivors = thresholds.sum_minimum - terms->max_corrupt;
  return absl::OkStatus();
}

absl::Status DeriveUpload(const FederationSpec& spec, RoundTerms* terms) {
  terms->clip_norm = spec.privacy().clip_norm();
  terms->noise_multiplier = spec.privacy().noise_multiplier();
  terms->sampling_rate = spec.local().sampling_rate();
  const dp::RecordGradientParams params = {.dim = terms->dim,
                                           .clip_norm = terms->clip_norm,
                                           .noise_multiplier = terms->noise_multiplier,
                                           .honest_survivors = terms->honest_survivors,
                                           .noiseless = terms->noise_multiplier == 0};
  absl::StatusOr<dp::RecordGradient> gradient = dp::DeriveRecordGradient(params);
  if (!gradient.ok()) {
    return CannotWork(gradient.status(),
                      "change privacy.clip_norm or privacy.noise_multiplier, or the model");
  }
  terms->scale = gradient->scale;
  terms->norm_bound_sq = gradient->norm_bound_sq;
  terms->sigma2_local = gradient->sigma2_local;
  absl::StatusOr<uint32_t> cap =
      dp::BatchCap(spec.privacy().max_records_per_member(), terms->sampling_rate);
  if (!cap.ok()) {
    return CannotWork(cap.status(), "change privacy.max_records_per_member or local.sampling_rate");
  }
  terms->batch_cap = *cap;
  absl::StatusOr<dp::RingRange> range = dp::DeriveRingRange(
      {.gradient = params, .invited = terms->invited, .batch_cap = terms->batch_cap});
  if (!range.ok()) {
    return CannotWork(range.status(),
                      absl::StrCat("a member may send ", terms->batch_cap,
                                   " records at a time: lower privacy.max_records_per_member or "
                                   "local.sampling_rate"));
  }
  terms->bits = static_cast<uint32_t>(range->bits);
  // In two parts, so that no product leaves 64 bits.
  terms->upload_bytes = terms->dim / 8 * terms->bits + (terms->dim % 8 * terms->bits + 7) / 8;
  const uint64_t largest = std::max(terms->upload_bytes, terms->dim * sizeof(float));
  if (largest > kMaxPayloadBytes) {
    return absl::FailedPreconditionError(
        absl::StrCat("a model of ", terms->dim, " parameters needs messages of ", largest,
                     " bytes, the limit is ", kMaxPayloadBytes, ": choose a smaller model"));
  }
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

}  // namespace

absl::StatusOr<RoundTerms> DeriveTerms(const FederationSpec& spec, uint64_t dim, uint32_t invited) {
  RoundTerms terms;
  terms.invited = invited;
  terms.dim = dim;
  DURE_RETURN_IF_ERROR(DeriveMembers(spec, &terms));
  DURE_RETURN_IF_ERROR(DeriveUpload(spec, &terms));
  terms.delta = spec.privacy().delta();
  terms.max_attempts = spec.rounds().max_attempts();
  return terms;
}

double EpsilonAfter(const RoundTerms& terms, uint32_t attempts) {
  return PrivacyAccount(terms).EpsilonAfter(attempts);
}

uint32_t AttemptsWithin(const RoundTerms& terms, double max_epsilon) {
  return PrivacyAccount(terms).AttemptsWithin(max_epsilon);
}

std::string EpsilonText(double epsilon) { return absl::StrFormat("%.2f", RoundedUp(epsilon, 100)); }

std::string EpsilonInWords(double epsilon, double delta) {
  if (!(epsilon <= kMeaninglessEpsilon)) {
    return absl::StrCat("An epsilon of ", EpsilonText(epsilon),
                        " promises next to nothing: from what is released it may be possible to "
                        "tell whether a given record was used.");
  }
  return absl::StrFormat(
      "Nobody can conclude more than this from all that is released: the odds that a given record "
      "was used change by a factor of at most %.1f, except with a chance of 1 in %.0f.",
      RoundedUp(std::exp(epsilon), 10), std::floor(1 / delta + kRoundingSlack));
}

}  // namespace dure
