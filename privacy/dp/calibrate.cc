#include "privacy/dp/calibrate.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "privacy/dp/gaussian_accountant.h"

namespace dure::dp {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kMinTarget = 1e-9;
constexpr double kMaxTarget = 1e9;

}  // namespace

absl::StatusOr<double> CalibrateNoise(const CalibrationParams& params,
                                      const EpsilonOfNoise& epsilon_of) {
  const double target = params.epsilon;
  if (!(target >= kMinTarget && target <= kMaxTarget)) {
    return absl::InvalidArgumentError(
        absl::StrCat("epsilon = ", target, " is outside ", kMinTarget, " to ", kMaxTarget));
  }
  DURE_CHECK(params.start >= kMinNoiseMultiplier && params.start <= kMaxNoiseMultiplier);
  double low = 0;  // misses the target
  double low_epsilon = kInfinity;
  double high = params.start;  // reaches it, once found
  double high_epsilon = 0;
  for (;;) {
    absl::StatusOr<double> epsilon = epsilon_of(high);
    if (epsilon.ok() && *epsilon <= target) {
      high_epsilon = *epsilon;
      break;
    }
    if (!epsilon.ok() && !absl::IsOutOfRange(epsilon.status())) return epsilon.status();
    if (high == kMaxNoiseMultiplier) {
      if (!epsilon.ok()) return epsilon.status();
      return absl::OutOfRangeError(absl::StrCat("epsilon = ", target,
                                                " is not reached by any noise_multiplier up to ",
                                                kMaxNoiseMultiplier));
    }
    low = high;
    low_epsilon = epsilon.ok() ? *epsilon : kInfinity;
    high = std::min(high * 2, kMaxNoiseMultiplier);
  }
  while (low == 0) {
    if (high == kMinNoiseMultiplier) return high;
    const double next = std::max(high / 2, kMinNoiseMultiplier);
    absl::StatusOr<double> epsilon = epsilon_of(next);
    if (epsilon.ok() && *epsilon <= target) {
      high = next;
      high_epsilon = *epsilon;
    } else {
      low = next;
      low_epsilon = epsilon.ok() ? *epsilon : kInfinity;
    }
  }
  for (int i = 0; high / low > 1 + params.tolerance; ++i) {
    // ln epsilon is nearly linear in ln z: aim a little above the crossing of the chord, so that
    // the upper end comes down; every third step halves.
    double middle = std::sqrt(low) * std::sqrt(high);
    if (i % 3 != 2 && std::isfinite(low_epsilon) && high_epsilon > 0) {
      const double share = std::log(low_epsilon / target) / std::log(low_epsilon / high_epsilon);
      const double guess = low * std::pow(high / low, share);
      const double aside = i % 3 == 0 ? 1 + params.tolerance / 3 : 1 - params.tolerance / 3;
      if (guess * aside > low && guess * aside < high) middle = guess * aside;
    }
    if (!(middle > low && middle < high)) break;
    absl::StatusOr<double> epsilon = epsilon_of(middle);
    if (epsilon.ok() && *epsilon <= target) {
      high = middle;
      high_epsilon = *epsilon;
    } else {
      low = middle;
      low_epsilon = epsilon.ok() ? *epsilon : kInfinity;
    }
  }
  return high;
}

}  // namespace dure::dp
