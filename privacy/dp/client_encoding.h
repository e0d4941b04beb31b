// The public integers of a clipped update (docs/secure-aggregation.md sections 2.1 and 2.2), which
// coordinator and members derive alike: scale, norm bound, each member's noise, and the ring in
// which a sum of so many updates does not wrap. The arithmetic on updates is in
// privacy/dp/client_update.h, epsilon in privacy/dp/distributed_accountant.h.
//
// Integers, or single binary64 operations that every machine rounds alike. Thread-safe: pure
// functions.
#ifndef DURE_PRIVACY_DP_CLIENT_ENCODING_H_
#define DURE_PRIVACY_DP_CLIENT_ENCODING_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "privacy/dp/encoding_integers.h"

namespace dure::dp {

// Most coordinates that one Hadamard block mixes.
inline constexpr uint64_t kMaxRotationBlock = uint64_t{1} << 15;

// L of a message of `dim` coordinates: the largest power of two up to dim and kMaxRotationBlock.
// Precondition: dim >= 1.
uint64_t RotationBlock(uint64_t dim);
// `dim` and the zeros that fill its last block: a power of two, or a multiple of kMaxRotationBlock.
// Precondition: 1 <= dim <= kMaxDim.
uint64_t RotatedDim(uint64_t dim);

// What the federation chooses.
struct ClientEncodingParams {
  uint64_t dim = 0;             // d of the message, 1 to kMaxDim: padding and extra coordinates too
  double clip_norm = 0;         // C > 0, L2 norm of one member's update
  double noise_multiplier = 0;  // z > 0, in the sum of the honest survivors
  uint32_t invited = 0;         // n_invited, at least 1
  uint32_t honest_survivors = 0;  // h = U_min' - c_max, 1 to invited
  bool rotated = false;  // random signs and Hadamard transform, blocks of RotationBlock(dim)
  // No noise at all, and no privacy: for measurements. noise_multiplier must then be 0.
  bool noiseless = false;
  // Bits of one number of a member's rounded update, the sign included; 0: as s below says.
  int number_bits = 0;
};

// What follows from it.
struct ClientEncoding {
  int scale_log2 = 0;  // log2 s
  // s = 2^ceil(log2(4 sqrt(d) / C)); with number_bits the largest power of two with which no number
  // of an update, which is at most the first term of Y over n, needs more bits
  uint64_t scale = 0;
  uint64_t norm_bound_sq = 0;  // B^2, which no encoded update exceeds
  uint64_t sigma2_local = 0;   // max(16, ceil(z^2 B^2 / h)): noise of each member; 0: none
  uint64_t abs_sum_bound = 0;  // Y: no coordinate of the sum exceeds it, but for probability 2^-40
  int bits = 0;                // b = ceil(log2(2 Y + 1)), below 62
};

// B^2 = floor(s^2 C^2 + d/4 + (s C + sqrt(d)/2)), section 2.1 step 5 at beta = e^(-1/2).
// Y = n floor(B) + ceil(sqrt(2 n sigma2_local ln(2 d 2^40))); with rotation, where every
// coordinate lies in a whole block and it is less, the first term is
// ceil(n (s C sqrt(2 ln(2 d n 2^40) / L) + 1)).
// InvalidArgument, naming the parameter and its limits, if one is unset, zero, negative, infinite
// or not a number; if the clip norm needs a scale outside 1 to 2^48; if sigma2_local would be above
// what the sampler takes, 2^40; with the widths that work, if number_bits is none of them. Coarser
// numbers are no less private: rounding makes B larger beside s C, and the noise grows with B.
absl::StatusOr<ClientEncoding> DeriveClientEncoding(const ClientEncodingParams& params);

}  // namespace dure::dp

#endif  // DURE_PRIVACY_DP_CLIENT_ENCODING_H_
