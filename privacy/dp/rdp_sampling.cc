// RDP of samples without replacement and of trees: the second part of privacy/dp/rdp.h.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "base/check.h"
#include "privacy/dp/rdp.h"

namespace dure::dp {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int kMostOrder = 64;

// ln(e^a + e^b).
double LogAdd(double a, double b) {
  const double most = std::max(a, b);
  if (most == -kInfinity) return most;
  return most + std::log1p(std::exp(std::min(a, b) - most));
}

double LogBinomial(int n, int k) {
  long double log = 0;
  for (int i = 1; i <= k; ++i) log += std::log(static_cast<long double>(n - k + i) / i);
  return static_cast<double>(log);
}

// ln B(l) for even l, where B(l) = sum_i (-1)^i C(l, i) e^(i (i - 1) / (2 z^2)) is the l-th forward
// difference of Theorem 27. The sum cancels; it is E[(dP/dQ - 1)^l] under Q = N(0, z^2) against
// P = N(1, z^2), whose integrand is positive and analytic, so that the trapezoidal rule over
// standard deviations u is exact to rounding: dP/dQ = e^(u/z - 1/(2 z^2)).
double LogForwardDifference(int l, double z) {
  constexpr double kStep = 1.0 / 16;
  const double s = 1 / z;
  // The integrand has its weight where u is near 0 and up to l s + 10.
  const double from = -12 - std::sqrt(static_cast<double>(l));
  const double to = l * s + 12 + std::sqrt(static_cast<double>(l));
  const auto count = static_cast<int64_t>((to - from) / kStep) + 1;
  if (count > 1'000'000) return kInfinity;  // the other bound of the theorem is the smaller one
  double log_sum = -kInfinity;
  for (int64_t i = 0; i < count; ++i) {
    const double u = from + static_cast<double>(i) * kStep;
    const double exponent = u * s - s * s / 2;
    const double log_excess = exponent > 36 ? exponent : std::log(std::abs(std::expm1(exponent)));
    log_sum = LogAdd(log_sum, l * log_excess - u * u / 2);
  }
  return log_sum + std::log(kStep / std::sqrt(2 * std::numbers::pi));
}

}  // namespace

std::vector<double> WithoutReplacementRdp(double sampling_rate, double noise_multiplier) {
  DURE_CHECK(sampling_rate > 0 && sampling_rate <= 1 && noise_multiplier > 0);
  const double z2 = noise_multiplier * noise_multiplier;
  // ln of the bound on the j-th moment of the loss, without C(order, j) q^j.
  std::vector<double> log_moments(kMostOrder + 1);
  const double two = 1 / z2;  // R(2)
  const double log_expm1 = two > 36 ? two : std::log(std::expm1(two));
  log_moments[2] = std::min(std::log(4.0) + log_expm1, std::log(2.0) + two);
  double below = 0;  // ln B(2 floor(j / 2)), ln B(2 ceil(j / 2))
  double above = LogForwardDifference(2, noise_multiplier);
  for (int j = 3; j <= kMostOrder; ++j) {
    below = above;
    if (j % 2 == 1) above = LogForwardDifference(j + 1, noise_multiplier);
    log_moments[j] = std::min(std::log(4.0) + (below + above) / 2,
                              std::log(2.0) + static_cast<double>(j) * (j - 1) / (2 * z2));
  }
  std::vector<double> rdp;
  for (int order = 2; order <= kMostOrder; ++order) {
    double log_sum = 0;
    for (int j = 2; j <= order; ++j) {
      log_sum =
          LogAdd(log_sum, LogBinomial(order, j) + j * std::log(sampling_rate) + log_moments[j]);
    }
    rdp.push_back(log_sum / (order - 1));
  }
  return rdp;
}

double TreeRdp(uint64_t steps, double noise_multiplier, double order) {
  DURE_CHECK(steps >= 1 && noise_multiplier > 0);
  const int height = std::bit_width(steps);  // ceil(log2(steps + 1))
  return order * height / (2 * noise_multiplier * noise_multiplier);
}

}  // namespace dure::dp
