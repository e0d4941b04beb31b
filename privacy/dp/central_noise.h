// Noise that a trusted coordinator adds to the sum of encoded updates, where secure aggregation is
// off (docs/secure-aggregation.md section 2.3): an exact discrete Gaussian of
// sigma2 = ceil(z^2 B^2) in every coordinate, on the grid of the integers.
//
// One member moves the sum by at most B in L2 (privacy/dp/client_update.h, record_gradient.h), so
// the release satisfies B^2 / (2 sigma2)-zCDP, its Renyi divergence is order B^2 / (2 sigma2) at
// most: as with a continuous Gaussian (Canonne, Kamath, Steinke 2020, Theorem 14). That is
// AttemptCost with one party. Thread-safe: pure functions.
#ifndef DURE_PRIVACY_DP_CENTRAL_NOISE_H_
#define DURE_PRIVACY_DP_CENTRAL_NOISE_H_

#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "crypto/random.h"

namespace dure::dp {

// Adds independent noise to every coordinate, on up to `threads` threads (0: as many as the machine
// has). `random` must be fresh for every sum: noise that is used twice protects nothing. The same
// state of `random` gives the same noise for any number of threads.
// InvalidArgument unless 1 <= sigma2 <= 2^40; then nothing is added.
// Precondition: no coordinate is within 2^41 of the ends of int64_t.
absl::Status AddCentralNoise(uint64_t sigma2, AesCtrRandom& random, int threads,
                             std::span<int64_t> sum);

}  // namespace dure::dp

#endif  // DURE_PRIVACY_DP_CENTRAL_NOISE_H_
