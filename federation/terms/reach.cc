#include "federation/terms/reach.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/paragraph.h"
#include "federation/terms/privacy_account.h"

namespace dure {
namespace {

// Limits of the federation file (proto/federation.proto).
constexpr double kMaxNoiseMultiplier = 1000;
constexpr double kMaxRounds = 1e6;

// Where the search begins, and how near its ends come to each other: finer than
// three digits.
constexpr double kSmallestNoise = 1e-3;
constexpr double kSearchRatio = 1.0005;
// Steps of the last of three digits that are tried above the end of the search:
// integers of the derivation are rounded up, so that epsilon is not quite
// smooth.
constexpr int kLastDigits = 20;

// `value` > 0, rounded up to three digits.
double ThreeDigitsUp(double value) {
  const double unit = std::pow(10.0, std::floor(std::log10(value)) - 2);
  return std::ceil(value / unit - 1e-9) * unit;
}

// As it would be read back from a file.
double AsWritten(double value) {
  return std::strtod(absl::StrFormat("%.6g", value).c_str(), nullptr);
}

// The file with another noise multiplier. A noise of the count that was left
// out follows it.
FederationSpec WithNoise(const FederationSpec& spec, double noise_multiplier) {
  FederationSpec changed = spec;
  PrivacySection* privacy = changed.mutable_privacy();
  if (privacy->clipping() == PrivacySection::ADAPTIVE) {
    const double twentieth = spec.rounds().minimum() / 20.0;
    const bool followed =
        privacy->clip_count_noise() == std::max(twentieth, spec.privacy().noise_multiplier());
    if (followed || 2 * privacy->clip_count_noise() <= noise_multiplier) {
      privacy->set_clip_count_noise(std::max(twentieth, noise_multiplier));
    }
  }
  privacy->set_noise_multiplier(noise_multiplier);
  return changed;
}

enum class Fit { kTooDear, kGood, kImpossible };

Fit Try(const FederationSpec& spec, const RoundTerms& terms, double noise_multiplier,
        double epsilon) {
  absl::StatusOr<RoundTerms> changed =
      DeriveTerms(WithNoise(spec, noise_multiplier), terms.dim, terms.invited);
  if (!changed.ok()) return Fit::kImpossible;  // too much noise for the arithmetic
  return PrivacyAccount(*changed).EpsilonAfter(spec.rounds().count()) <= epsilon ? Fit::kGood
                                                                                 : Fit::kTooDear;
}

std::optional<double> NoiseFor(const FederationSpec& spec, const RoundTerms& terms,
                               double epsilon) {
  double dear = kSmallestNoise, good = kMaxNoiseMultiplier;
  if (Try(spec, terms, dear, epsilon) == Fit::kGood) return dear;
  while (good / dear > kSearchRatio) {
    const double middle = std::sqrt(dear * good);
    (Try(spec, terms, middle, epsilon) == Fit::kTooDear ? dear : good) = middle;
  }
  for (int digit = 0; digit < kLastDigits && good <= kMaxNoiseMultiplier; ++digit) {
    good = AsWritten(ThreeDigitsUp(good));
    if (Try(spec, terms, good, epsilon) == Fit::kGood) return good;
    good *= 1.0001;  // the next three digits
  }
  return std::nullopt;
}

uint32_t RoundsFor(const FederationSpec& spec, const RoundTerms& terms, double epsilon) {
  // rounds.max_attempts, count + count / 8 + 1 where it is left out, must stay
  // within its limit and leave half of delta (federation/spec_check.cc).
  double attempts = 2e6;
  if (terms.delta_per_attempt > 0) {
    attempts = std::min(attempts, terms.delta / 2 / terms.delta_per_attempt);
  }
  const auto most = static_cast<uint32_t>(std::min(kMaxRounds, (attempts - 1) * 8 / 9));
  const PrivacyAccount account(terms);
  uint32_t within = 0, above = std::max(most, spec.rounds().count()) + 1;
  while (above - within > 1) {
    const uint32_t middle = within + (above - within) / 2;
    (account.EpsilonAfter(middle) <= epsilon ? within : above) = middle;
  }
  return within;
}

}  // namespace

Reach WhatReaches(const FederationSpec& spec, const RoundTerms& terms, double epsilon) {
  Reach reach{.epsilon = epsilon};
  reach.noise_multiplier = NoiseFor(spec, terms, epsilon);
  reach.rounds = RoundsFor(spec, terms, epsilon);
  if (epsilon > spec.privacy().max_epsilon()) reach.needs_max_epsilon = epsilon;
  return reach;
}

std::string ReachInWords(const Reach& reach) {
  std::string text = reach.noise_multiplier
                         ? absl::StrFormat("noise_multiplier %g", *reach.noise_multiplier)
                         : "no noise_multiplier does";
  absl::StrAppend(&text, reach.rounds == 0
                             ? "; as it is, not one round"
                             : absl::StrCat("; or, as it is, ", Counted(reach.rounds, "round")));
  if (reach.needs_max_epsilon > 0) {
    absl::StrAppendFormat(&text, "; both need privacy.max_epsilon %g", reach.needs_max_epsilon);
  }
  return text;
}

}  // namespace dure
