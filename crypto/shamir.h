// Shamir's secret sharing, byte by byte over GF(2^8) with the polynomial 0x11B (Shamir 1979;
// docs/secure-aggregation.md section 1.1). No branch and no table depends on a secret; what
// depends on the places of shares alone, which are public, may. Thread-safe.
#ifndef DURE_CRYPTO_SHAMIR_H_
#define DURE_CRYPTO_SHAMIR_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "crypto/digest.h"
#include "crypto/random.h"
#include "crypto/secret_bytes.h"

namespace dure {

inline constexpr int kMaxShamirShares = 254;

// Products and inverses in the field; the inverse of 0 is 0.
uint8_t Gf256Multiply(uint8_t a, uint8_t b);
uint8_t Gf256Inverse(uint8_t a);

struct ShamirSize {
  int threshold = 0;  // t: shares that rebuild the secret
  int shares = 0;     // k
};

// Shares 1..k of `secret`; the one at x is element x - 1. 1 <= t <= k <= 254 (DURE_CHECK).
// Draws c_1, ..., c_{t-1} from `random`, each as long as the secret; share(x) = secret + c_1 x +
// c_2 x^2 + ...
std::vector<SecretBytes> ShamirSplit(ByteView secret, ShamirSize size, Random& random);

struct ShamirShare {
  uint8_t x = 0;
  ByteView value;
};

// The secret through `shares`, all of which count: pass exactly t of them. InvalidArgument if there
// is none, if an x is 0 or occurs twice, or if lengths differ.
absl::StatusOr<SecretBytes> ShamirRebuild(std::span<const ShamirShare> shares);

}  // namespace dure

#endif  // DURE_CRYPTO_SHAMIR_H_
