// Public integers that coordinator and members derive alike for every encoding: the scale and the
// noise of docs/secure-aggregation.md sections 2.1, 2.2 and 2.4. Integers, or single binary64
// operations that every machine rounds alike; noise is rounded up, never down. Thread-safe: pure
// functions.
#ifndef DURE_PRIVACY_DP_ENCODING_INTEGERS_H_
#define DURE_PRIVACY_DP_ENCODING_INTEGERS_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace dure::dp {

using Uint128 = unsigned __int128;

// Most coordinates of a model.
inline constexpr uint64_t kMaxDim = uint64_t{1} << 32;
// Least variance parameter of one member's noise.
inline constexpr uint64_t kMinSigma2Local = 16;
// Largest log2 of a scale.
inline constexpr int kMaxScaleLog2 = 48;
// Largest ring, in bits, that a sum may need.
inline constexpr int kMaxRingBits = 62;

// ceil(x / 2^shift), shift >= 0.
Uint128 ShiftRightUp(Uint128 x, int shift);

// floor(sqrt(x)) for x < 2^126.
uint64_t FloorSqrt(Uint128 x);

// Widths of a number that may be asked for, in bits, the sign included.
inline constexpr int kMinNumberBits = 2;
inline constexpr int kMaxNumberBits = 32;

// The bits of the integers from -largest to largest.
int NumberBits(uint64_t largest);

// What every encoding is chosen by.
struct EncodingLimits {
  uint64_t dim = 0;             // d, 1 to kMaxDim
  double clip_norm = 0;         // C > 0
  double noise_multiplier = 0;  // z > 0; 0 if noiseless
  uint32_t survivors = 0;       // h, honest ones, at least 1
  bool noiseless = false;
};
// InvalidArgument, naming the parameter and its limits, if one is unset, zero, negative, infinite
// or not a number.
absl::Status ValidateEncoding(const EncodingLimits& limits);

// ceil(log2(multiple sqrt(dim) / clip_norm)), the log2 of the scale s.
// InvalidArgument if that is outside 0 to kMaxScaleLog2. Precondition: ValidateEncoding.
absl::StatusOr<int> DeriveScaleLog2(uint64_t dim, double clip_norm, int multiple);

// The log2 of the largest scale from 2^least to 2^most at which numbers have at most `bits` bits;
// `width`, which does not fall as the scale grows, says how many they have. InvalidArgument, with
// the widths that work, if there is none, or if they have fewer even at 2^most.
absl::StatusOr<int> ScaleLog2OfWidth(int bits, int least, int most,
                                     const std::function<int(int log2)>& width);

// max(16, ceil(z^2 norm_bound_sq / h)), exact for the binary64 number z: the variance parameter of
// each member's noise; 0 if noiseless. InvalidArgument if that is more than the sampler takes
// (2^40). Precondition: ValidateEncoding, 1 <= norm_bound_sq < 2^60.
absl::StatusOr<uint64_t> DeriveSigma2Local(const EncodingLimits& limits, uint64_t norm_bound_sq);

// ceil(sqrt(2 invited sigma2 ln(2 dim 2^40))): no coordinate of the sum of so many noises is
// larger, but for probability 2^-40 over all of them together.
uint64_t NoiseBound(uint32_t invited, uint64_t sigma2, uint64_t dim);

}  // namespace dure::dp

#endif  // DURE_PRIVACY_DP_ENCODING_INTEGERS_H_
