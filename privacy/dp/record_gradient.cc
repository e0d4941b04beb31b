#include "privacy/dp/record_gradient.h"

#include <math.h>  // lgammal_r: unlike std::lgamma it writes no global

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "crypto/secret_bytes.h"
#include "privacy/dp/discrete_gaussian.h"
#include "privacy/dp/random_words.h"

namespace dure::dp {
namespace {

constexpr int kMaxMemberSumBits = 62;
// Keeps a decoded mean within binary32.
constexpr double kMinExpectedBatch = 1e-6;
constexpr double kMaxExpectedBatch = 1e18;
constexpr uint64_t kMaxRecords = uint64_t{1} << 31;
// s C and sqrt(d) are rounded up to multiples of 2^-40: below 2^24, their sum fits 64 bits.
constexpr int kGridLog2 = 40;

// ceil(s C 2^40). s C < 2^24 (DeriveScaleLog2 sees to it), so that this is below 2^64.
uint64_t ScaledClipOnGrid(double clip_norm, int scale_log2) {
  return static_cast<uint64_t>(std::ceil(std::ldexp(clip_norm, scale_log2 + kGridLog2)));
}

// ceil((s C + sqrt d)^2).
uint64_t DeriveNormBoundSq(const RecordGradientParams& params, int scale_log2) {
  const Uint128 dim_on_grid = static_cast<Uint128>(params.dim) << (2 * kGridLog2);
  uint64_t root = FloorSqrt(dim_on_grid);
  if (static_cast<Uint128>(root) * root < dim_on_grid) ++root;
  uint64_t bound = ScaledClipOnGrid(params.clip_norm, scale_log2) + root;
  return static_cast<uint64_t>(ShiftRightUp(static_cast<Uint128>(bound) * bound, 2 * kGridLog2));
}

absl::StatusOr<int> ScaleLog2(const RecordGradientParams& params) {
  if (params.number_bits == 0) return DeriveScaleLog2(params.dim, params.clip_norm, 64);
  // s C < 2^24, and at least a quarter of sqrt(d): below, four fifths of the noise hide the grid.
  const double least_clip = std::max(1.0, std::sqrt(static_cast<double>(params.dim)) / 4);
  int least = 0, most = kMaxScaleLog2;
  while (least < most && std::ldexp(params.clip_norm, least) < least_clip) ++least;
  while (most >= least && std::ldexp(params.clip_norm, most) >= 0x1p24) --most;
  if (most < least || std::ldexp(params.clip_norm, least) < least_clip) {
    return absl::InvalidArgumentError(absl::StrCat("clip_norm = ", params.clip_norm,
                                                   " has no scale from 1 to 2^", kMaxScaleLog2));
  }
  return ScaleLog2OfWidth(params.number_bits, least, most, [&](int log2) {
    const uint64_t norm_bound_sq = DeriveNormBoundSq(params, log2);
    const uint64_t root = FloorSqrt(norm_bound_sq);
    return NumberBits(root + (root * root < norm_bound_sq ? 1 : 0));
  });
}

// ln Gamma(x) for x >= 1.
long double LogGamma(long double x) {
  int sign;
  return lgammal_r(x, &sign);
}

// P[Bin(n, q) >= m] for m at or above the mean, 0 < q < 1.
long double BinomialUpperTail(uint64_t n, long double q, uint64_t m) {
  if (m > n) return 0;
  auto count = static_cast<long double>(n);
  auto least = static_cast<long double>(m);
  long double first = LogGamma(count + 1) - LogGamma(least + 1) - LogGamma(count - least + 1) +
                      least * std::log(q) + (count - least) * std::log1p(-q);
  long double term = 1;
  long double sum = 1;
  for (uint64_t k = m; k < n; ++k) {
    term *= static_cast<long double>(n - k) / static_cast<long double>(k + 1) * (q / (1 - q));
    sum += term;
    if (term < sum * 1e-22L) break;  // the ratio of terms falls, and is below 1 past the mean
  }
  return std::exp(first) * sum;
}

}  // namespace

absl::StatusOr<RecordGradient> DeriveRecordGradient(const RecordGradientParams& params) {
  const EncodingLimits limits = {.dim = params.dim,
                                 .clip_norm = params.clip_norm,
                                 .noise_multiplier = params.noise_multiplier,
                                 .survivors = params.honest_survivors,
                                 .noiseless = params.noiseless};
  DURE_RETURN_IF_ERROR(ValidateEncoding(limits));
  RecordGradient result;
  DURE_ASSIGN_OR_RETURN(result.scale_log2, ScaleLog2(params));
  result.scale = uint64_t{1} << result.scale_log2;
  result.norm_bound_sq = DeriveNormBoundSq(params, result.scale_log2);
  DURE_ASSIGN_OR_RETURN(result.sigma2_local, DeriveSigma2Local(limits, result.norm_bound_sq));
  return result;
}

absl::StatusOr<uint32_t> BatchCap(uint64_t max_records, double sampling_rate) {
  if (max_records < 1 || max_records > kMaxRecords) {
    return absl::InvalidArgumentError(
        absl::StrCat("max_records = ", max_records, " is outside 1 to ", kMaxRecords));
  }
  if (!(sampling_rate > 0 && sampling_rate <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("sampling_rate = ", sampling_rate, " is outside (0, 1]"));
  }
  if (sampling_rate == 1) return static_cast<uint32_t>(max_records + 1);
  const long double allowed = std::ldexp(1.0L, -kBatchCapBits);
  // At or below the mean the tail is far above what is allowed, save for m = 0.
  auto mean = static_cast<uint64_t>(static_cast<double>(max_records) * sampling_rate);
  uint64_t low = mean;              // too small a cap
  uint64_t high = max_records + 1;  // a sufficient one
  while (high - low > 1) {
    uint64_t middle = low + (high - low) / 2;
    if (BinomialUpperTail(max_records, sampling_rate, middle) <= allowed) {
      high = middle;
    } else {
      low = middle;
    }
  }
  return static_cast<uint32_t>(high);
}

absl::StatusOr<RingRange> DeriveRingRange(const RingRangeParams& params) {
  DURE_ASSIGN_OR_RETURN(RecordGradient gradient, DeriveRecordGradient(params.gradient));
  if (params.invited < 1) return absl::InvalidArgumentError("invited = 0: a sum needs a member");
  if (params.batch_cap < 1) {
    return absl::InvalidArgumentError("batch_cap = 0: no record could take part");
  }
  uint64_t clip = ScaledClipOnGrid(params.gradient.clip_norm, gradient.scale_log2);
  Uint128 member = ShiftRightUp(static_cast<Uint128>(clip) * params.batch_cap, kGridLog2);
  if (member >= Uint128{1} << (kMaxMemberSumBits - kFixedPointLog2)) {
    return absl::OutOfRangeError(
        absl::StrCat("a sum of ", params.batch_cap, " gradients of ", params.gradient.dim,
                     " coordinates does not stay below 2^62; choose a smaller sampling_rate"));
  }
  const uint64_t noise = NoiseBound(params.invited, gradient.sigma2_local, params.gradient.dim);
  Uint128 bound = params.invited * (member + 1) + noise;
  if (bound >= Uint128{1} << (kMaxRingBits - 1)) {
    return absl::OutOfRangeError(
        absl::StrCat("the sum of ", params.invited, " members, ", params.batch_cap,
                     " gradients of ", params.gradient.dim, " coordinates each, needs more than ",
                     kMaxRingBits, " bits; choose a smaller cohort or sampling_rate"));
  }
  RingRange range;
  range.abs_sum_bound = static_cast<uint64_t>(bound);
  range.bits = std::bit_width(2 * range.abs_sum_bound + 1);
  return range;
}

std::vector<uint32_t> PoissonSample(uint32_t records, double sampling_rate, AesCtrRandom& random) {
  DURE_CHECK(sampling_rate >= 0 && sampling_rate <= 1);
  std::vector<uint32_t> chosen;
  if (sampling_rate == 1) {
    for (uint32_t i = 0; i < records; ++i) chosen.push_back(i);
    return chosen;
  }
  // The rate is high / 2^64 + low / 2^128; each step is exact.
  const double scaled = std::ldexp(sampling_rate, 64);
  const auto high = static_cast<uint64_t>(scaled);
  const auto low = static_cast<uint64_t>(std::ldexp(scaled - static_cast<double>(high), 64));
  RandomWords words(random, records);
  for (uint32_t i = 0; i < records; ++i) {
    uint64_t coin = words.Next();
    bool heads = coin < high;
    if (coin == high) [[unlikely]]
      heads = words.Next() < low;
    if (heads) chosen.push_back(i);
  }
  return chosen;
}

void RoundSum(std::span<const int64_t> sums, AesCtrRandom& random, std::span<int64_t> v) {
  DURE_CHECK(sums.size() == v.size());
  constexpr size_t kBlock = 2048;
  static_assert(kFixedPointLog2 == 16, "two random bytes are one u_j");
  SecretBytes bytes(2 * std::min(kBlock, sums.size()));
  for (size_t start = 0; start < sums.size(); start += kBlock) {
    size_t count = std::min(kBlock, sums.size() - start);
    random.Fill(bytes.mutable_view().first(2 * count));
    const uint8_t* u_bytes = bytes.view().data();
    for (size_t j = 0; j < count; ++j) {
      uint16_t u;
      std::memcpy(&u, u_bytes + 2 * j, sizeof(u));
      v[start + j] = (sums[start + j] + u) >> kFixedPointLog2;  // rounds down: C++20 shifts
    }
  }
}

absl::Status DecodeMean(std::span<const int64_t> sum, const DecodeParams& params,
                        std::span<float> out) {
  if (sum.size() != out.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the sum has ", sum.size(), " coordinates, the update ", out.size()));
  }
  if (params.scale_log2 < 0 || params.scale_log2 > kMaxScaleLog2) {
    return absl::InvalidArgumentError(
        absl::StrCat("scale_log2 = ", params.scale_log2, " is outside 0 to ", kMaxScaleLog2));
  }
  if (!(params.expected_batch >= kMinExpectedBatch && params.expected_batch <= kMaxExpectedBatch)) {
    return absl::InvalidArgumentError(absl::StrCat("expected_batch = ", params.expected_batch,
                                                   " is outside ", kMinExpectedBatch, " to ",
                                                   kMaxExpectedBatch));
  }
  const double divisor = std::ldexp(params.expected_batch, params.scale_log2);
  for (size_t j = 0; j < sum.size(); ++j) {
    out[j] = static_cast<float>(static_cast<double>(sum[j]) / divisor);
  }
  return absl::OkStatus();
}

}  // namespace dure::dp
