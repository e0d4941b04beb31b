// Exact comparisons of a uniform number with scale exp(-a / b), for the discrete Gaussian. Slow:
// called where a table of integers leaves the decision open, about once in 10^10 samples.
// Thread-safe but for the words that are handed in.
#ifndef DURE_PRIVACY_DP_SCALED_EXP_H_
#define DURE_PRIVACY_DP_SCALED_EXP_H_

#include <cstdint>
#include <vector>

#include "privacy/dp/random_words.h"

namespace dure::dp {

// scale 2^shift exp(-numerator / denominator).
struct ScaledExp {
  uint64_t scale = 1;        // at least 1
  int shift = 0;             // 0 or more
  uint64_t numerator = 0;    // below 2^63
  uint64_t denominator = 1;  // 1 to 2^63
};

// The digits of a ScaledExp: low <= value <= high, both fixed-point numbers, least significant limb
// first, of which the last is the whole part. Precondition: the value is below 2^64.
struct ExpBounds {
  std::vector<uint64_t> low;
  std::vector<uint64_t> high;  // low + 2^(-64 fraction_limbs) or better
};
ExpBounds BoundScaledExp(const ScaledExp& value, size_t fraction_limbs);

// Whether whole + U < value, where the digits of U, uniform on [0, 1), are those of `words`. Exact:
// digits of both are made until they differ. Precondition: as BoundScaledExp.
bool IsBelowScaledExp(uint64_t whole, const ScaledExp& value, RandomWords& words);

}  // namespace dure::dp

#endif  // DURE_PRIVACY_DP_SCALED_EXP_H_
