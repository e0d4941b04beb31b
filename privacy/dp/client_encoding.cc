#include "privacy/dp/client_encoding.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace dure::dp {
namespace {

// floor(s^2 C^2 + d/4 + s C + sqrt(d)/2). The other bound of section 2.1, (s C + sqrt d)^2, is
// never the smaller one: 2 s C sqrt(d) + d >= s C + d/4 + sqrt(d)/2 for d >= 1.
// Exact for the binary64 number s C, which is at least 4 and below 2^20, but that sqrt(d) is cut to
// 46 digits after the point; every party cuts it there, and every update is held to the result.
uint64_t NormBoundSq(uint64_t dim, double scaled_clip) {
  constexpr int kRootDigits = 46;
  int exponent;  // 3 to 20
  const double fraction = std::frexp(scaled_clip, &exponent);
  const auto mantissa = static_cast<uint64_t>(std::ldexp(fraction, 53));
  // Everything in units of 2^-unit, so that the square of the mantissa is an integer.
  const int unit = 106 - 2 * exponent;
  const uint64_t root = FloorSqrt(static_cast<Uint128>(dim) << (2 * kRootDigits));
  const Uint128 sum = static_cast<Uint128>(mantissa) * mantissa +
                      (static_cast<Uint128>(mantissa) << (unit - 53 + exponent)) +
                      (static_cast<Uint128>(dim) << (unit - 2)) +
                      (static_cast<Uint128>(root) << (unit - kRootDigits - 1));
  return static_cast<uint64_t>(sum >> unit);
}

// s C of NormBoundSq and of the encoder (privacy/dp/client_update.h). Rounding alone has a norm of
// up to sqrt(d) / 2: where s C is below a quarter of that, four fifths of the noise hide the grid.
constexpr double kMostScaledClip = 0x1p20 - 2;
double LeastScaledClip(uint64_t dim) {
  return std::max(4.0, std::sqrt(static_cast<double>(dim)) / 8);
}

// The most that `invited` members' rounded updates sum to in one coordinate.
uint64_t SumBound(const ClientEncodingParams& params, const ClientEncoding& encoding) {
  const uint64_t plain = params.invited * FloorSqrt(encoding.norm_bound_sq);
  const uint64_t block = RotationBlock(params.dim);
  // A coordinate outside the blocks is not spread.
  if (!params.rotated || params.dim % block != 0) return plain;
  const double n = params.invited;
  const double log_term = std::log(2 * static_cast<double>(params.dim) * n) + 40 * std::log(2.0);
  const double spread = std::ldexp(params.clip_norm, encoding.scale_log2) *
                        std::sqrt(2 * log_term / static_cast<double>(block));
  return std::min(plain, static_cast<uint64_t>(std::ceil(n * (spread + 1))));
}

// Bits of the largest number of one member's update.
int WidthAt(const ClientEncodingParams& params, int scale_log2) {
  ClientEncoding encoding{.scale_log2 = scale_log2};
  encoding.norm_bound_sq = NormBoundSq(params.dim, std::ldexp(params.clip_norm, scale_log2));
  const uint64_t sum = SumBound(params, encoding);
  return NumberBits((sum + params.invited - 1) / params.invited);
}

absl::StatusOr<int> ScaleLog2(const ClientEncodingParams& params) {
  if (params.number_bits == 0) return DeriveScaleLog2(params.dim, params.clip_norm, 4);
  int least = 0, most = kMaxScaleLog2;
  const double least_clip = LeastScaledClip(params.dim);
  while (least < most && std::ldexp(params.clip_norm, least) < least_clip) ++least;
  while (most >= least && std::ldexp(params.clip_norm, most) > kMostScaledClip) --most;
  if (most < least || std::ldexp(params.clip_norm, least) < least_clip) {
    return absl::InvalidArgumentError(absl::StrCat("clip_norm = ", params.clip_norm,
                                                   " has no scale from 1 to 2^", kMaxScaleLog2));
  }
  return ScaleLog2OfWidth(params.number_bits, least, most,
                          [&](int log2) { return WidthAt(params, log2); });
}

}  // namespace

uint64_t RotationBlock(uint64_t dim) { return std::min(std::bit_floor(dim), kMaxRotationBlock); }

uint64_t RotatedDim(uint64_t dim) {
  if (dim <= kMaxRotationBlock) return std::bit_ceil(dim);
  return (dim + kMaxRotationBlock - 1) / kMaxRotationBlock * kMaxRotationBlock;
}

absl::StatusOr<ClientEncoding> DeriveClientEncoding(const ClientEncodingParams& params) {
  const EncodingLimits limits = {.dim = params.dim,
                                 .clip_norm = params.clip_norm,
                                 .noise_multiplier = params.noise_multiplier,
                                 .survivors = params.honest_survivors,
                                 .noiseless = params.noiseless};
  DURE_RETURN_IF_ERROR(ValidateEncoding(limits));
  if (params.honest_survivors > params.invited) {
    return absl::InvalidArgumentError(absl::StrCat("honest_survivors = ", params.honest_survivors,
                                                   " is above the cohort of ", params.invited));
  }
  ClientEncoding result;
  DURE_ASSIGN_OR_RETURN(result.scale_log2, ScaleLog2(params));
  result.scale = uint64_t{1} << result.scale_log2;
  result.norm_bound_sq = NormBoundSq(params.dim, std::ldexp(params.clip_norm, result.scale_log2));
  DURE_ASSIGN_OR_RETURN(result.sigma2_local, DeriveSigma2Local(limits, result.norm_bound_sq));
  result.abs_sum_bound =
      SumBound(params, result) + NoiseBound(params.invited, result.sigma2_local, params.dim);
  result.bits = std::bit_width(2 * result.abs_sum_bound + 1);
  return result;
}

}  // namespace dure::dp
