// Tight epsilon of composed Gaussian mechanisms on Poisson samples, by numerical composition of
// privacy loss distributions: add-or-remove adjacency, both directions, pessimistic throughout.
//
// How, for each direction:
//   1. one use's loss on a grid, dominating the true one           privacy/dp/sampled_loss.h
//   2. tilted: w_k ~ p_k e^(theta k h), so that the losses near epsilon carry the weight and errors
//      of the transform are relative to delta (theta from the Chernoff bound)
//   3. composed by a discrete Fourier transform on a window        privacy/dp/convolution.h
//   4. delta(epsilon) at each grid point, from the tilted sum; the first below the target
// Never below the true epsilon: losses cut off go up; what the window wraps around only adds
// probability, and what lies above it is bounded by Chernoff and added; so are the quadrature's
// error of each mass (to the power of the number of uses), the transform's rounding error (by
// Cauchy and Schwarz), and the rounding of the losses themselves.
// The result is also held below the exact Gaussian at q = 1, which dominates by post-processing.
//
// Sources: Sommer, Meiser, Mohammadi 2019; Koskela, Jalko, Honkela 2020; Doroshenko and others 2022
// (grid); Gopi, Lee, Wutschitz 2021 (window); Alghamdi and others 2023 (tilting).
// Thread-safe: pure functions. Up to 200 MB and a second or two for the largest.
#ifndef DURE_PRIVACY_DP_PLD_H_
#define DURE_PRIVACY_DP_PLD_H_

#include <cstdint>
#include <span>

#include "absl/status/statusor.h"

namespace dure::dp {

// `steps` uses of the Gaussian mechanism with noise multiplier z on Poisson samples of rate q.
struct GaussianUses {
  double sampling_rate = 1;
  double noise_multiplier = 0;
  uint64_t steps = 0;
};

// Most uses in all.
inline constexpr uint64_t kMaxPldSteps = 1'000'000'000;

// The least epsilon >= 0 for which all `uses` together are (epsilon, delta)-private, from above; in
// practice within 0.1 % of it. Uses of 0 steps cost nothing. Exact with q = 1 throughout, and for
// one step alone.
// OutOfRange, with the reason, where the numbers are too extreme for a tight answer.
// Preconditions: 0 < q <= 1; 1e-9 <= z <= 1e9; sum of steps / z^2 at most 1e24; 1e-100 <= delta
// < 1.
absl::StatusOr<double> PldEpsilon(std::span<const GaussianUses> uses, double delta);

}  // namespace dure::dp

#endif  // DURE_PRIVACY_DP_PLD_H_
