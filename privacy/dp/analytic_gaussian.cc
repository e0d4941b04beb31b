#include "privacy/dp/analytic_gaussian.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "base/check.h"

namespace dure::dp {
namespace {

using Real = long double;

Real Density(Real x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi_v<Real>); }

// P[N(0, 1) >= x].
Real UpperTail(Real x) { return std::erfc(x / std::numbers::sqrt2_v<Real>) / 2; }

// UpperTail(x) / Density(x) for x >= 0.
Real MillsRatio(Real x) {
  if (x < 30) return UpperTail(x) / Density(x);
  // 1 / (x + 1 / (x + 2 / (x + 3 / ...))), Laplace's continued fraction.
  Real denominator = x;
  for (int k = 30; k >= 1; --k) denominator = x + k / denominator;
  return 1 / denominator;
}

// delta at epsilon = mu (a + mu/2). With b = a + mu, e^epsilon UpperTail(b) = Density(a) Mills(b),
// in which nothing overflows.
Real DeltaAt(Real mu, Real a) {
  if (a <= 0) return std::max<Real>(0, UpperTail(a) - Density(a) * MillsRatio(a + mu));
  return Density(a) * std::max<Real>(0, MillsRatio(a) - MillsRatio(a + mu));
}

// As GaussianEpsilon, not yet rounded.
Real EpsilonOf(Real mu, Real delta) {
  // The ratios are good to 1e-17 or so; their difference, of about mu/a^2 where they are 1/a, loses
  // digits where mu is small.
  const Real aim = delta / (1 + 1e-13L + 1e-15L / mu);
  Real low = -mu / 2;  // epsilon = 0
  if (DeltaAt(mu, low) <= aim) return 0;
  Real high = 1;  // delta <= UpperTail(a), so the end is far below the largest number
  while (DeltaAt(mu, high) > aim) high *= 2;
  for (int i = 0; i < 200; ++i) {
    const Real middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) break;
    (DeltaAt(mu, middle) > aim ? low : high) = middle;
  }
  return mu * (high + mu / 2);
}

double RoundUp(Real x) {
  if (x <= 0) return 0;
  return std::nextafter(static_cast<double>(x), std::numeric_limits<double>::infinity());
}

}  // namespace

double GaussianDelta(double mu, double epsilon) {
  DURE_CHECK(std::isfinite(mu) && mu > 0 && std::isfinite(epsilon) && epsilon >= 0);
  const Real shift = mu;
  return static_cast<double>(DeltaAt(shift, epsilon / shift - shift / 2));
}

double GaussianEpsilon(double mu, double delta) {
  DURE_CHECK(mu >= 1e-10 && mu <= 1e15 && delta > 0 && delta < 1);
  return RoundUp(EpsilonOf(mu, delta));
}

double SampledGaussianEpsilon(double sampling_rate, double noise_multiplier, double delta) {
  DURE_CHECK(sampling_rate > 0 && sampling_rate <= 1 && delta > 0 && delta < 1);
  const Real mu = 1 / static_cast<Real>(noise_multiplier);
  DURE_CHECK(mu >= 1e-10L && mu <= 1e15L);
  const Real q = sampling_rate;
  if (delta >= q) return 0;  // whoever is not in the sample loses nothing
  const Real whole = EpsilonOf(mu, delta / q);
  if (whole > 30) return RoundUp(whole + std::log(q + (1 - q) * std::exp(-whole)));
  return RoundUp(std::log1p(q * std::expm1(whole)));
}

}  // namespace dure::dp
