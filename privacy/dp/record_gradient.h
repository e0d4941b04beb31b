// The arithmetic of the private gradient (docs/secure-aggregation.md section 2.4): one round is one
// noisy step over the union of everybody's records. Here are the public integers that coordinator
// and clients derive alike, the secret coins and the rounding of a member's sum, and the decoding
// of the aggregated sum. The clipping of single gradients is in privacy/dp/fixed_point.h, the noise
// in privacy/dp/discrete_gaussian.h, epsilon in privacy/dp/record_accountant.h.
//
// Scale, norm bound and noise are computed with integers, or with single binary64 operations that
// every machine rounds alike, so that all parties find the same numbers; the norm bound and the
// noise are rounded up, never down. Thread-safe: pure functions, apart from the AesCtrRandom they
// are handed.
#ifndef DURE_PRIVACY_DP_RECORD_GRADIENT_H_
#define DURE_PRIVACY_DP_RECORD_GRADIENT_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "crypto/random.h"
#include "privacy/dp/encoding_integers.h"

namespace dure::dp {

// F = 2^16: a clipped gradient is summed in units of 1 / (F s) and rounded once, at the end.
inline constexpr int kFixedPointLog2 = 16;
// P[a member's sample reaches the batch cap] is at most 2^-kBatchCapBits.
inline constexpr int kBatchCapBits = 40;

// What the federation chooses.
struct RecordGradientParams {
  uint64_t dim = 0;               // d, 1 to kMaxDim
  double clip_norm = 0;           // C > 0, L2 norm of one record's gradient
  double noise_multiplier = 0;    // z > 0, in the sum of the honest survivors
  uint32_t honest_survivors = 0;  // h = U_min' - c_max, at least 1
  // No noise at all, and no privacy: for measurements. noise_multiplier must then be 0.
  bool noiseless = false;
  // Bits of the most that one record can change a number by, the sign included; 0: as s below says.
  int number_bits = 0;
};

// What follows from it.
struct RecordGradient {
  int scale_log2 = 0;  // log2 s
  // s = 2^ceil(log2(64 sqrt(d) / C)); with number_bits the largest power of two at which B has no
  // more bits
  uint64_t scale = 0;
  uint64_t norm_bound_sq = 0;  // B^2 = ceil((s C + sqrt d)^2): one record moves v by at most B
  uint64_t sigma2_local = 0;   // max(16, ceil(z^2 B^2 / h)): noise of each member; 0: none
};

// InvalidArgument, naming the parameter and its limits, if one is unset, zero, negative, infinite
// or not a number; if the clip norm needs a scale outside 1 to 2^48; if sigma2_local would be above
// what the sampler takes (2^40); with the widths that work, if number_bits is none of them.
absl::StatusOr<RecordGradient> DeriveRecordGradient(const RecordGradientParams& params);

// The smallest m with P[Bin(max_records, sampling_rate) >= m] <= 2^-40: at m records or more a
// member sends noise alone. At most max_records + 1, which no sample reaches.
// InvalidArgument unless 1 <= max_records <= 2^31 and 0 < sampling_rate <= 1.
absl::StatusOr<uint32_t> BatchCap(uint64_t max_records, double sampling_rate);

// The ring Z_{2^bits} in which the sum of all members does not wrap, but for probability 2^-40.
struct RingRange {
  uint64_t abs_sum_bound = 0;  // Y
  int bits = 0;                // b = ceil(log2(2 Y + 1)), 1 to 62
};

struct RingRangeParams {
  RecordGradientParams gradient;
  uint32_t invited = 0;    // n_invited, at least 1
  uint32_t batch_cap = 0;  // m, at least 1
};

// Y = n (m s C + 1) + ceil(sqrt(2 n sigma2_local ln(2 d 2^40))).
// InvalidArgument as DeriveRecordGradient, or if invited or batch_cap is 0. OutOfRange if the sum
// needs more than 62 bits, or a member's own sum of m records reaches 2^62 units of 1 / (F s).
absl::StatusOr<RingRange> DeriveRingRange(const RingRangeParams& params);

// Secret Poisson coins: each index below `records` is in the result with probability
// `sampling_rate`, independently; ascending. Exact for any binary64 rate of 2^-75 or more: 64 bits
// of the coin are compared with 64 bits of the rate, and if they tie, 64 more (below 2^-75 the rate
// is cut to 128 bits). One 64-bit word a record, two at a tie: the time does not tell the coins
// apart, the growth of the result does. Precondition: 0 <= sampling_rate <= 1.
std::vector<uint32_t> PoissonSample(uint32_t records, double sampling_rate, AesCtrRandom& random);

// v_j = floor((sums_j + u_j) / F), u_j uniform on [0, F) from `random`, drawn without regard to
// `sums`. `v` may be `sums`. Precondition: equal sizes, |sums_j| < 2^62.
void RoundSum(std::span<const int64_t> sums, AesCtrRandom& random, std::span<int64_t> v);

struct DecodeParams {
  int scale_log2 = 0;         // log2 s, 0 to 48
  double expected_batch = 0;  // q N, the public divisor, 1e-6 to 1e18; never a count of data
};

// The mean update: out_j = sum_j / (s * expected_batch), where `sum` is the aggregated ring vector
// as signed integers (RingToSigned, base/ring.h).
// InvalidArgument if sizes differ or a parameter is outside its range.
absl::Status DecodeMean(std::span<const int64_t> sum, const DecodeParams& params,
                        std::span<float> out);

}  // namespace dure::dp

#endif  // DURE_PRIVACY_DP_RECORD_GRADIENT_H_
