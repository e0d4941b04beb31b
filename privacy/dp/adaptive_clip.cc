#include "privacy/dp/adaptive_clip.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "privacy/dp/encoding_integers.h"

namespace dure::dp {
namespace {

constexpr double kMaxGrowth = 1000;
constexpr double kMaxStep = 4;  // in the logarithm of C

bool IsPositiveFinite(double x) { return std::isfinite(x) && x > 0; }

// exp(x) for |x| <= kMaxStep, the same bits everywhere, which std::exp does not promise; within
// 1e-15 of the true value. 2^n exp(r), |r| <= ln(2) / 2, by 14 terms of the series.
double Exp(double x) {
  constexpr double kLn2High = 0x1.62e42feep-1;  // 33 bits, so that n kLn2High is exact
  constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
  constexpr int kTerms = 14;
  const double n = std::floor(x / (kLn2High + kLn2Low) + 0.5);
  const double r = (x - n * kLn2High) - n * kLn2Low;
  double sum = 1;
  for (int i = kTerms; i >= 1; --i) sum = 1 + sum * r / i;
  return std::ldexp(sum, static_cast<int>(n));
}

absl::Status Refuse(const char* name, double value, const char* limits) {
  return absl::InvalidArgumentError(absl::StrCat(name, " = ", value, " is not ", limits));
}

}  // namespace

AdaptiveClip::AdaptiveClip(const AdaptiveClipParams& params) : params_(params) {
  // (z^-2 - (2 sigma_b)^-2)^(-1/2) = z (1 - ratio^2)^(-1/2), without large numbers.
  const double ratio = params.noise_multiplier / (2 * params.count_noise);
  growth_ = 1 / std::sqrt((1 - ratio) * (1 + ratio));
  count_ratio_ = growth_ * ratio;
  // s = 2^ceil(log2(4 sqrt(d) / C')) is 1 to 2^48 for 4 sqrt(d) 2^-48 <= C' < 8 sqrt(d).
  const double root = std::sqrt(static_cast<double>(params.coordinates));
  const double least = std::ldexp(4 * root, -kMaxScaleLog2) * 1.001;
  const double largest = 8 * root * 0.999;
  min_clip_ = std::max(kMinClip, least / growth_);
  max_clip_ = std::min(kMaxClip, largest / growth_);
}

absl::StatusOr<AdaptiveClip> AdaptiveClip::Create(const AdaptiveClipParams& params) {
  if (params.coordinates < 1 || params.coordinates > kMaxDim) {
    return absl::InvalidArgumentError(
        absl::StrCat("coordinates = ", params.coordinates, " is outside 1 to ", kMaxDim));
  }
  if (!IsPositiveFinite(params.noise_multiplier)) {
    return Refuse("noise_multiplier", params.noise_multiplier, "a positive finite number");
  }
  if (!(params.target_quantile > 0 && params.target_quantile < 1)) {
    return Refuse("target_quantile", params.target_quantile, "above 0 and below 1");
  }
  if (!(params.learning_rate > 0 && params.learning_rate <= 1)) {
    return Refuse("clip_learning_rate", params.learning_rate, "above 0 and at most 1");
  }
  if (!IsPositiveFinite(params.count_noise)) {
    return Refuse("clip_count_noise", params.count_noise, "a positive finite number");
  }
  const AdaptiveClip result(params);
  if (!(params.noise_multiplier < 2 * params.count_noise && result.growth_ <= kMaxGrowth)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "clip_count_noise = ", params.count_noise,
        " is too small for noise_multiplier = ", params.noise_multiplier,
        ": the count alone would cost as much; choose one of at least the noise multiplier"));
  }
  if (result.min_clip_ > result.max_clip_) {
    return absl::InvalidArgumentError(
        absl::StrCat("clip_count_noise = ", params.count_noise, " with ", params.coordinates,
                     " coordinates leaves no clip norm; choose a larger one"));
  }
  return result;
}

double AdaptiveClip::ShareWithin(double count_mean, double clip) const {
  return count_mean / (2 * CountCoordinate(clip)) + 0.5;
}

double AdaptiveClip::Next(double clip, double share_within) const {
  const double from = std::clamp(clip, min_clip_, max_clip_);
  const double step = -params_.learning_rate * (share_within - params_.target_quantile);
  if (std::isnan(step)) return from;
  return std::clamp(from * Exp(std::clamp(step, -kMaxStep, kMaxStep)), min_clip_, max_clip_);
}

}  // namespace dure::dp
