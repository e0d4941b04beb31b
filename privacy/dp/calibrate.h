// The inverse of every accountant: the least noise whose epsilon is at most a target.
// Thread-safe: pure.
#ifndef DURE_PRIVACY_DP_CALIBRATE_H_
#define DURE_PRIVACY_DP_CALIBRATE_H_

#include <functional>

#include "absl/status/statusor.h"

namespace dure::dp {

// epsilon of a noise multiplier; falls, or stays, as the multiplier rises.
using EpsilonOfNoise = std::function<absl::StatusOr<double>(double noise_multiplier)>;

struct CalibrationParams {
  double epsilon = 0;    // the target, 1e-9 to 1e9
  double tolerance = 0;  // relative, of the multiplier: it may be so much above the least
  double start = 1;      // a guess at the multiplier, from which the search goes up and down
};

// The least z, kMinNoiseMultiplier to kMaxNoiseMultiplier, with epsilon_of(z) <= params.epsilon,
// and within tolerance of the largest z found to miss it; epsilon_of(z) itself was seen to be at
// most the target. InvalidArgument if the target is outside its limits. Otherwise the error of
// `epsilon_of` at the largest z tried, or OutOfRange, if no noise reaches the target. An
// OutOfRange of `epsilon_of` below a z that reaches it counts as above the target.
absl::StatusOr<double> CalibrateNoise(const CalibrationParams& params,
                                      const EpsilonOfNoise& epsilon_of);

}  // namespace dure::dp

#endif  // DURE_PRIVACY_DP_CALIBRATE_H_
