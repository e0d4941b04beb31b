#include "privacy/dp/encoding_integers.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "privacy/dp/discrete_gaussian.h"

namespace dure::dp {
namespace {

bool IsPositiveFinite(double x) { return std::isfinite(x) && x > 0; }

// ceil(z^2 B^2 / h), exact for the binary64 number z. Precondition: z^2 B^2 / h <= 2^41.
uint64_t DeriveSigma2(double noise_multiplier, uint64_t norm_bound_sq, uint32_t survivors) {
  int exponent;
  double fraction = std::frexp(noise_multiplier, &exponent);
  // z = mantissa 2^(exponent - 53), so z^2 B^2 = (high 2^64 + low) 2^-shift.
  auto mantissa = static_cast<uint64_t>(std::ldexp(fraction, 53));
  int shift = 2 * (53 - exponent);
  Uint128 square = static_cast<Uint128>(mantissa) * mantissa;
  Uint128 low_product = static_cast<Uint128>(static_cast<uint64_t>(square)) * norm_bound_sq;
  Uint128 high = (square >> 64) * norm_bound_sq + (low_product >> 64);
  auto low = static_cast<uint64_t>(low_product);
  Uint128 product;
  if (shift >= 64) {
    // A nonzero low part only matters as "more than the high part".
    product = ShiftRightUp((high << 1) | (low != 0), shift - 64 + 1);
  } else {
    product = (high << (64 - shift)) + ShiftRightUp(low, shift);
  }
  return static_cast<uint64_t>((product + survivors - 1) / survivors);
}

}  // namespace

Uint128 ShiftRightUp(Uint128 x, int shift) {
  if (shift >= 128) return x != 0;
  Uint128 down = x >> shift;
  return down + ((down << shift) != x);
}

uint64_t FloorSqrt(Uint128 x) {
  uint64_t root = 0;
  for (uint64_t bit = uint64_t{1} << 62; bit != 0; bit >>= 1) {
    uint64_t next = root | bit;
    if (static_cast<Uint128>(next) * next <= x) root = next;
  }
  return root;
}

absl::Status ValidateEncoding(const EncodingLimits& limits) {
  if (limits.dim < 1 || limits.dim > kMaxDim) {
    return absl::InvalidArgumentError(
        absl::StrCat("dim = ", limits.dim, " is outside 1 to ", kMaxDim));
  }
  if (!IsPositiveFinite(limits.clip_norm)) {
    return absl::InvalidArgumentError(
        absl::StrCat("clip_norm = ", limits.clip_norm, " is not a positive finite number"));
  }
  if (limits.noiseless && limits.noise_multiplier != 0) {
    return absl::InvalidArgumentError(absl::StrCat("noise_multiplier = ", limits.noise_multiplier,
                                                   " contradicts a sum without noise"));
  }
  if (!limits.noiseless && !IsPositiveFinite(limits.noise_multiplier)) {
    return absl::InvalidArgumentError(absl::StrCat("noise_multiplier = ", limits.noise_multiplier,
                                                   " is not a positive finite number"));
  }
  if (limits.survivors < 1) {
    return absl::InvalidArgumentError("honest_survivors = 0: without one there is no noise");
  }
  return absl::OkStatus();
}

absl::StatusOr<int> DeriveScaleLog2(uint64_t dim, double clip_norm, int multiple) {
  const double least =
      static_cast<double>(multiple) * multiple * static_cast<double>(dim);  // exact
  auto reaches = [&](int log2) {
    double scaled = std::ldexp(clip_norm, log2);
    return scaled * scaled >= least;
  };
  if (reaches(-1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("clip_norm = ", clip_norm, " needs a scale below 1 for ", dim,
                     " coordinates; choose one below ", 2 * multiple,
                     " sqrt(dim) = ", 2 * multiple * std::sqrt(static_cast<double>(dim))));
  }
  for (int log2 = 0; log2 <= kMaxScaleLog2; ++log2) {
    if (reaches(log2)) return log2;
  }
  return absl::InvalidArgumentError(absl::StrCat("clip_norm = ", clip_norm,
                                                 " needs a scale above 2^", kMaxScaleLog2, " for ",
                                                 dim, " coordinates; choose a larger one"));
}

int NumberBits(uint64_t largest) { return std::bit_width(largest) + 1; }

absl::StatusOr<int> ScaleLog2OfWidth(int bits, int least, int most,
                                     const std::function<int(int log2)>& width) {
  if (least > most || bits < width(least) || bits > width(most)) {
    return absl::InvalidArgumentError(
        least > most ? absl::StrCat("no scale works with numbers of ", bits, " bits")
                     : absl::StrCat("numbers of ", bits, " bits cannot work here: ", width(least),
                                    " to ", std::min(width(most), kMaxNumberBits), " bits can"));
  }
  int log2 = least;
  while (log2 < most && width(log2 + 1) <= bits) ++log2;
  return log2;
}

absl::StatusOr<uint64_t> DeriveSigma2Local(const EncodingLimits& limits, uint64_t norm_bound_sq) {
  if (limits.noiseless) return 0;
  const double rough = limits.noise_multiplier * limits.noise_multiplier *
                       static_cast<double>(norm_bound_sq) / limits.survivors;
  if (rough <= 2 * static_cast<double>(DiscreteGaussian::kMaxSigma2)) {
    const uint64_t sigma2 = std::max(
        kMinSigma2Local, DeriveSigma2(limits.noise_multiplier, norm_bound_sq, limits.survivors));
    if (sigma2 <= DiscreteGaussian::kMaxSigma2) return sigma2;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "noise_multiplier = ", limits.noise_multiplier, " with ", limits.dim, " coordinates and ",
      limits.survivors, " honest survivors needs noise of variance ", rough,
      " per member, limit 2^40; choose a smaller noise multiplier"));
}

uint64_t NoiseBound(uint32_t invited, uint64_t sigma2, uint64_t dim) {
  const double log_term = std::log(2 * static_cast<double>(dim)) + 40 * std::log(2.0);
  return static_cast<uint64_t>(
      std::ceil(std::sqrt(2.0 * invited * static_cast<double>(sigma2) * log_term)));
}

}  // namespace dure::dp
