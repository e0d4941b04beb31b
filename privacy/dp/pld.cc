#include "privacy/dp/pld.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "privacy/dp/analytic_gaussian.h"
#include "privacy/dp/convolution.h"
#include "privacy/dp/sampled_loss.h"

namespace dure::dp {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Of delta, what is cut off at the ends of all losses together.
constexpr double kTailShare = 1e-7;
// ln of the probability of the tilted sum that may lie outside the window at each side.
constexpr double kLogOutside = -25;
// What the grid may add to epsilon: so much, and so much of epsilon. The promise is 2e-3 and 0.5 %.
constexpr double kGridSlack = 2e-5;
constexpr double kGridSlackRelative = 1e-4;
// Where it is cheap, only so much of epsilon.
constexpr double kFineSlack = 1e-5;
constexpr double kPromise = 2e-3;
constexpr double kPromiseRelative = 5e-3;
// Grid points of window or loss up to which a finer grid than needed is taken.
constexpr double kCheapSize = 0x1p16;
// Below it, a coarser grid will do.
constexpr double kLeastEpsilon = 1e-4;
constexpr int kMostAttempts = 2;
// Grid points of one use's loss.
constexpr double kMostPoints = 0x1p21;

struct Component {
  SampledLoss loss;
  double steps = 0;
};

using Cumulants = SampledLoss::Cumulants;

// ln E[e^(theta X)], mean and variance of the tilted sum X of all losses.
Cumulants Estimate(const std::vector<Component>& components, double theta) {
  Cumulants sum;
  for (const Component& component : components) {
    const Cumulants one = component.loss.EstimateCumulants(theta);
    sum.value += component.steps * one.value;
    sum.mean += component.steps * one.mean;
    sum.variance += component.steps * one.variance;
  }
  return sum;
}

// The theta at which `rises`, which is false below it and true above, changes.
template <typename Rises>
double FindTilt(Rises rises) {
  double low = 1e-12;
  double high = 1e30;
  while (high > low * 1.0005) {
    const double middle = std::sqrt(low) * std::sqrt(high);
    (rises(middle) ? high : low) = middle;
  }
  return high;
}

// The theta at which the Chernoff bound (K(theta) - ln delta) / theta on epsilon is least: there
// theta K' - K = -ln delta.
double ChernoffTilt(const std::vector<Component>& components, double delta) {
  return FindTilt([&](double theta) {
    const Cumulants at = Estimate(components, theta);
    return theta * at.mean - at.value >= -std::log(delta);
  });
}

// The theta at which the tilted sum has the mean `epsilon`.
double SaddleTilt(const std::vector<Component>& components, double epsilon) {
  return FindTilt([&](double theta) { return Estimate(components, theta).mean >= epsilon; });
}

// Where the sum is looked at: from (first) h on, `size` grid points.
struct Window {
  double theta = 0;
  double step = 0;  // h
  int64_t first = 0;
  int64_t size = 0;     // 0: no window was found
  double chernoff = 0;  // the tilt at which what is above is bounded, beyond theta
  double grid_slack = 0;
};

// Both ends of the tilted sum by Chernoff, the least over some tilts.
struct Ends {
  double bottom = -kInfinity;
  double top = kInfinity;
  double chernoff = 0;
};
Ends FindEnds(const std::vector<Component>& components, double theta) {
  const Cumulants at = Estimate(components, theta);
  const double deviation = std::sqrt(std::max(at.variance, 1e-300));
  Ends ends;
  for (double factor = 1.0 / 16; factor <= 64; factor *= 1.5) {
    const double tilt = factor / deviation;
    const double top = (Estimate(components, theta + tilt).value - at.value - kLogOutside) / tilt;
    if (top < ends.top) ends = {.bottom = ends.bottom, .top = top, .chernoff = tilt};
    const double bottom =
        (at.value - Estimate(components, theta - tilt).value + kLogOutside) / tilt;
    ends.bottom = std::max(ends.bottom, bottom);
  }
  return ends;
}

// The largest step of a grid that tells epsilons of about `epsilon` apart.
double Resolution(double epsilon) { return std::max(epsilon, kLeastEpsilon) / 128; }

// What a grid of `step` adds to the Chernoff bound on epsilon.
double GridSlack(const std::vector<Component>& components, double theta, double step) {
  double cost = 0;
  for (const Component& component : components) {
    cost += component.steps * component.loss.EstimateGridCost(theta, step);
  }
  return cost / theta;
}

// A window for the tilt `theta`, and a grid fine enough for `epsilon`, about what is expected.
Window ChooseWindow(const std::vector<Component>& components, double theta, double epsilon) {
  Window window = {.theta = theta};
  const Ends ends = FindEnds(components, window.theta);
  window.chernoff = ends.chernoff;
  double most = 0;  // of all losses together
  double least = 0;
  double range = 0;  // of one loss
  for (const Component& component : components) {
    most += component.steps * component.loss.greatest();
    least += component.steps * component.loss.least();
    range = std::max(range, component.loss.greatest() - component.loss.least());
  }
  const double top = std::min(ends.top, most);
  const double bottom = std::max(ends.bottom, least);
  const double span = top - bottom;
  if (!(span > 0) || !std::isfinite(span)) return window;
  const double cheap = std::max(span, range) / kCheapSize;
  const double finest =
      std::max(range / kMostPoints, span / static_cast<double>(CircularSum::kMaxSize - 4));
  double step = span / 64;
  for (; step > finest; step /= std::numbers::sqrt2) {
    if (step > Resolution(epsilon)) continue;
    const double slack = GridSlack(components, window.theta, step);
    if (slack <= kFineSlack * epsilon) break;
    if (step <= cheap && slack <= kGridSlack + kGridSlackRelative * epsilon) break;
  }
  step = std::max(step, finest);
  window.size = std::bit_ceil(static_cast<uint64_t>(std::max(span / step + 4, 16.0)));
  // The power of two may leave room for a finer grid.
  window.step = std::max(span / static_cast<double>(window.size - 4), std::min(step, cheap));
  window.first = static_cast<int64_t>(std::floor(bottom / window.step)) - 1;
  window.grid_slack = GridSlack(components, window.theta, window.step);
  return window;
}

// The sum of all losses under the tilt, and what turns it into probabilities.
struct TiltedSum {
  std::vector<double> mass;  // at first, first + 1, ... steps, what is outside wrapped around
  double error = 0;          // Euclidean norm of the rounding error of `mass`
  double log_scale = 0;      // ln E[e^(theta X)], errors of the masses included
  double log_above = 0;      // ln of the tilted probability above the window, or above
  double infinite = 0;       // probability of an infinite loss
  double loss_error = 0;     // of the sum of all losses
};

// ln sum of mass e^(tilt k), k the grid point.
long double LogMoment(const DiscreteLoss& loss, long double tilt) {
  double largest = -kInfinity;
  auto exponent = [&](size_t i) {
    return tilt * static_cast<long double>(loss.first + static_cast<int64_t>(i));
  };
  for (size_t i = 0; i < loss.mass.size(); ++i) {
    if (loss.mass[i] > 0)
      largest = std::max(largest, static_cast<double>(exponent(i)) + std::log(loss.mass[i]));
  }
  long double sum = 0;
  for (size_t i = 0; i < loss.mass.size(); ++i) {
    if (loss.mass[i] > 0) {
      sum += loss.mass[i] * std::exp(static_cast<double>(exponent(i) - largest));
    }
  }
  return largest + std::log(sum);
}

TiltedSum ComposeTilted(const std::vector<Component>& components, const Window& window) {
  TiltedSum total;
  CircularSum sum(window.size);
  const long double tilt = static_cast<long double>(window.theta) * window.step;
  const long double beyond = static_cast<long double>(window.chernoff) * window.step;
  long double log_scale = 0;
  long double log_above = -beyond * static_cast<long double>(window.first + window.size);
  for (const Component& component : components) {
    const DiscreteLoss loss = component.loss.Discretise(window.step);
    const long double log_moment = LogMoment(loss, tilt);
    const long double steps = component.steps;
    log_scale += steps * (log_moment + kMassError);
    log_above += steps * (LogMoment(loss, tilt + beyond) - log_moment + kMassError);
    total.infinite += component.steps * loss.infinite;
    total.loss_error += component.steps * component.loss.loss_error();
    std::vector<double> tilted(window.size);
    for (size_t i = 0; i < loss.mass.size(); ++i) {
      const int64_t k = loss.first + static_cast<int64_t>(i);
      tilted[k & (window.size - 1)] +=
          loss.mass[i] *
          std::exp(static_cast<double>(tilt * static_cast<long double>(k) - log_moment));
    }
    sum.Add(tilted, static_cast<uint64_t>(component.steps));
  }
  CircularSum::Result result = std::move(sum).Finish();
  total.mass.resize(window.size);
  for (int64_t i = 0; i < window.size; ++i) {
    total.mass[i] = std::max(0.0, result.mass[(window.first + i) & (window.size - 1)]);
  }
  total.error = result.error;
  total.log_scale = static_cast<double>(log_scale);
  total.log_above = static_cast<double>(std::min<long double>(log_above, 0));
  return total;
}

struct Answer {
  double epsilon = 0;
  double slack = 0;  // how far above the true one it may be, an estimate
};

// The least epsilon with delta(epsilon) <= delta. At the grid point J h
//   delta = infinite + e^(log_scale - theta J h) (D_J + error),
//   D_J = sum_{j > J} mass_j e^(-theta (j - J) h) (1 - e^(-(j - J) h)),
// by a recurrence without a difference; between two points delta is linear in e^epsilon.
Answer Solve(const TiltedSum& sum, const Window& window, double delta) {
  const double h = window.step;
  const double tilt = window.theta * h;
  const double fall = std::exp(-tilt);
  const double fall_faster = std::exp(-tilt - h);
  const double rise = -std::expm1(-h);
  double weight_norm = 0;  // of e^(-theta k h) (1 - e^(-k h)), k = 1, 2, ...
  for (int64_t k = 1; k < window.size; ++k) {
    const double weight =
        std::exp(-tilt * static_cast<double>(k)) * -std::expm1(-h * static_cast<double>(k));
    weight_norm += weight * weight;
    if (weight * weight < 1e-18 * weight_norm) break;
  }
  const double error = sum.error * std::sqrt(weight_norm);
  // Each step of the recurrence rounds a few times.
  const double log_rounding = 0x1p-50 * static_cast<double>(window.size);
  double d = 0;     // D_J
  double mass = 0;  // sum_{j >= J} mass_j e^(-(theta + 1) (j - J) h)
  double last = 0;  // delta at J + 1
  double slack = window.grid_slack;
  for (int64_t i = window.size - 1;; --i) {
    const int64_t point = window.first + i;
    if (i < window.size - 1) d = fall * (d + rise * mass);
    if (i >= 0) mass = sum.mass[i] + fall_faster * mass;
    const double above = std::exp(sum.log_above - tilt * static_cast<double>(window.size - i));
    const double log_factor = sum.log_scale + log_rounding - tilt * static_cast<double>(point);
    const double now = sum.infinite + std::exp(log_factor) * (d + error + above);
    if (now > delta) {
      if (i == window.size - 1) return {.epsilon = kInfinity, .slack = kInfinity};
      if (point < 0) return {.epsilon = 0, .slack = 0};
      const double share = (delta - last) / (now - last);
      const double epsilon = static_cast<double>(point + 1) * h + std::log1p(-rise * share);
      // What was added to delta, by the slope of delta there.
      slack += sum.loss_error + std::exp(log_factor) * (error + above) * h / (now - last);
      return {.epsilon = std::max(0.0, epsilon) + sum.loss_error, .slack = slack};
    }
    if (point <= 0) return {.epsilon = 0, .slack = 0};
    // Below the window nothing is known, and nothing is lost but tightness.
    if (i < 0) return {.epsilon = static_cast<double>(point) * h, .slack = kInfinity};
    last = now;
  }
}

// IsTight: whether the answer keeps what pld.h promises.
bool IsTight(const Answer& answer) {
  return answer.epsilon <= kPromise ||
         answer.slack <= std::max(kPromise, kPromiseRelative * answer.epsilon);
}

Answer EpsilonOf(const std::vector<GaussianUses>& uses, LossDirection direction, double delta) {
  double steps = 0;
  for (const GaussianUses& use : uses) steps += static_cast<double>(use.steps);
  const double tail = std::max(1e-300, kTailShare * delta / steps);
  std::vector<Component> components;
  for (const GaussianUses& use : uses) {
    components.push_back(
        {.loss = SampledLoss({use.sampling_rate, use.noise_multiplier}, direction, tail),
         .steps = static_cast<double>(use.steps)});
  }
  double theta = ChernoffTilt(components, delta);
  double expected = (Estimate(components, theta).value - std::log(delta)) / theta;
  Answer best = {.epsilon = kInfinity, .slack = kInfinity};
  for (int attempt = 0; attempt < kMostAttempts; ++attempt) {
    const Window window = ChooseWindow(components, theta, expected);
    if (window.size == 0) break;
    const Answer answer = Solve(ComposeTilted(components, window), window, delta);
    if (answer.epsilon < best.epsilon) best = answer;
    if (!std::isfinite(best.epsilon) || best.epsilon == 0) break;
    if (IsTight(best) && window.step <= 2 * Resolution(best.epsilon)) break;
    // The Chernoff bound misleads where a few uses make most of the loss.
    expected = best.epsilon;
    theta = SaddleTilt(components, expected);
  }
  return best;
}

// The largest loss of the add direction: pure differential privacy with this epsilon.
double LargestWithout(const std::vector<GaussianUses>& uses) {
  double sum = 0;
  for (const GaussianUses& use : uses) {
    sum -= static_cast<double>(use.steps) * std::log1p(-use.sampling_rate);  // infinite at q = 1
  }
  return sum;
}

}  // namespace

absl::StatusOr<double> PldEpsilon(std::span<const GaussianUses> uses, double delta) {
  std::vector<GaussianUses> sampled;
  double whole = 0;     // mu^2 of the uses with q = 1
  double dominant = 0;  // mu^2 if q were 1 throughout
  uint64_t steps = 0;
  for (const GaussianUses& use : uses) {
    if (use.steps == 0) continue;
    const double mu_sq =
        static_cast<double>(use.steps) / (use.noise_multiplier * use.noise_multiplier);
    dominant += mu_sq;
    steps += std::min(use.steps, kMaxPldSteps + 1);
    if (use.sampling_rate == 1) {
      whole += mu_sq;
      continue;
    }
    auto same = std::find_if(sampled.begin(), sampled.end(), [&](const GaussianUses& other) {
      return other.sampling_rate == use.sampling_rate &&
             other.noise_multiplier == use.noise_multiplier;
    });
    if (same == sampled.end()) {
      sampled.push_back(use);
    } else {
      same->steps += use.steps;
    }
  }
  if (dominant == 0) return 0;
  const double exact = GaussianEpsilon(std::sqrt(dominant) * (1 + 1e-15), delta);
  if (sampled.empty() || exact == 0) return exact;
  if (whole == 0 && sampled.size() == 1 && sampled.front().steps == 1) {
    return SampledGaussianEpsilon(sampled.front().sampling_rate, sampled.front().noise_multiplier,
                                  delta);
  }
  if (steps > kMaxPldSteps) {
    return absl::OutOfRangeError(
        absl::StrCat("accountant pld: more than ", kMaxPldSteps, " steps; use accountant rdp"));
  }
  // All Gaussians without sampling are one.
  if (whole > 0) sampled.push_back({1, 1 / std::sqrt(whole), 1});
  for (const GaussianUses& use : sampled) {
    if (use.noise_multiplier < SampledLoss::kMinNoiseMultiplier) {
      return absl::OutOfRangeError(
          absl::StrCat("accountant pld: noise_multiplier = ", use.noise_multiplier, " is below ",
                       SampledLoss::kMinNoiseMultiplier, "; use accountant rdp"));
    }
  }
  Answer answer = EpsilonOf(sampled, LossDirection::kRemove, delta);
  const double bound = LargestWithout(sampled) * (1 + 1e-12);
  if (bound > answer.epsilon) {
    Answer add = EpsilonOf(sampled, LossDirection::kAdd, delta);
    if (bound < add.epsilon) add = {.epsilon = bound, .slack = 0};
    if (add.epsilon > answer.epsilon) answer = add;
  }
  if (exact < answer.epsilon) {
    answer = {.epsilon = exact, .slack = answer.slack - (answer.epsilon - exact)};
  }
  if (!IsTight(answer)) {
    return absl::OutOfRangeError(absl::StrCat(
        "accountant pld: these rates, noise multipliers and steps spread too wide for a tight "
        "answer: epsilon is at most ",
        answer.epsilon, ", perhaps ", answer.slack, " less; use accountant rdp"));
  }
  return answer.epsilon;
}

}  // namespace dure::dp
