// What Gaussian noise costs in (epsilon, delta), by the accountant that is asked for: plain and on
// Poisson samples (add-or-remove adjacency), any number of kinds of steps composed; on fixed-size
// samples without replacement (replace-one adjacency); in a tree (DP-FTRL). At integer orders all
// but pld hold for ONE discrete Gaussian of the same multiplier too (docs/privacy.md).
// Thread-safe: pure functions.
#ifndef DURE_PRIVACY_DP_GAUSSIAN_ACCOUNTANT_H_
#define DURE_PRIVACY_DP_GAUSSIAN_ACCOUNTANT_H_

#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "privacy/dp/pld.h"
#include "privacy/dp/rdp.h"

namespace dure::dp {

// What accountants take; numbers beyond are mistakes.
inline constexpr double kMinNoiseMultiplier = 1e-6;
inline constexpr double kMaxNoiseMultiplier = 1e9;
inline constexpr double kMinSamplingRate = 1e-12;
inline constexpr double kMinDelta = 1e-100;
inline constexpr uint64_t kMaxSteps = 1'000'000'000'000'000;

// InvalidArgument, naming the value and its limits.
absl::Status CheckNoiseMultiplier(double noise_multiplier);
absl::Status CheckSamplingRate(double sampling_rate);
absl::Status CheckDelta(double delta);

enum class Accountant {
  kRdp,  // Renyi, orders 2..128, 256, 512, 1024
  kPld,  // privacy/dp/pld.h, tighter; never above kRdp
};

// After all `uses`; 0 for none. `order` is 0 for kPld.
// InvalidArgument for a number beyond the limits above; OutOfRange as PldEpsilon, or if epsilon has
// no finite bound.
absl::StatusOr<EpsilonAtOrder> AccountGaussian(std::span<const GaussianUses> uses, double delta,
                                               Accountant accountant);

// `uses.steps` samples without replacement of the fixed size sampling_rate * population. The noise
// multiplier is relative to the sensitivity under replacement of one: 2 C of a clipped sum. The
// smaller of WithoutReplacementRdp at orders 2..64 and of no amplification. Errors as above.
absl::StatusOr<EpsilonAtOrder> AccountWithoutReplacement(const GaussianUses& uses, double delta);

// All prefix sums of `uses.steps` values by a tree; uses.sampling_rate must be 1. Errors as above.
absl::StatusOr<EpsilonAtOrder> AccountTree(const GaussianUses& uses, double delta);

}  // namespace dure::dp

#endif  // DURE_PRIVACY_DP_GAUSSIAN_ACCOUNTANT_H_
