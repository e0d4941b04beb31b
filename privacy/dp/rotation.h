// The randomised Hadamard rotation (docs/secure-aggregation.md section 2.1 step 3): in each block
// of L coordinates u' = H_L (s o u) / sqrt(L), where H_L is the Hadamard matrix of order L = 2^m in
// Sylvester's form and s are signs from a public seed. It keeps norms and spreads what is large in
// few coordinates over all L, so that a sum needs fewer bits. Binary64.
//
// Sign j of the whole vector is bit j (least significant first; 1 is minus) of the AES-256-CTR
// stream of HKDF(ikm = seed, salt = "", info = M("rot"), 48). Thread-safe: constant once created.
#ifndef DURE_PRIVACY_DP_ROTATION_H_
#define DURE_PRIVACY_DP_ROTATION_H_

#include <cstdint>
#include <span>

#include "crypto/digest.h"
#include "crypto/secret_bytes.h"

namespace dure::dp {

class Rotation {
 public:
  // `block` is L: a power of two up to kMaxRotationBlock (DURE_CHECK).
  Rotation(const Digest& seed, uint64_t block);

  // Rotates the coordinates from `first` on, in place.
  // Preconditions (DURE_CHECK): `first` is a multiple of kMaxRotationBlock, x.size() one of L and
  // at most kMaxRotationBlock.
  void Apply(uint64_t first, std::span<double> x) const;
  // The other way round: Invert after Apply gives x but for rounding.
  void Invert(uint64_t first, std::span<double> x) const;

 private:
  void Flip(uint64_t first, std::span<double> x) const;
  void Transform(std::span<double> x) const;

  SecretBytes key_;  // of the signs, and the counter; public, as the seed is
  uint64_t block_;
};

}  // namespace dure::dp

#endif  // DURE_PRIVACY_DP_ROTATION_H_
