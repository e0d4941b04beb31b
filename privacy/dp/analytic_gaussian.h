// The exact privacy profile of one Gaussian mechanism (Balle, Wang 2018, Theorem 8), and of one use
// of it on a Poisson sample (Balle, Barthe, Gaboardi 2018, Theorem 8). T uses with multiplier z are
// one use with mu = sqrt(T) / z. Long double throughout; what is left of rounding is added on the
// safe side, so that no epsilon is below the true one. Thread-safe: pure functions.
#ifndef DURE_PRIVACY_DP_ANALYTIC_GAUSSIAN_H_
#define DURE_PRIVACY_DP_ANALYTIC_GAUSSIAN_H_

namespace dure::dp {

// delta(epsilon) = Phi(mu/2 - epsilon/mu) - e^epsilon Phi(-mu/2 - epsilon/mu) of N(0, 1) against
// N(mu, 1), to about 15 digits. Precondition: mu > 0 and finite, epsilon >= 0 and finite.
double GaussianDelta(double mu, double epsilon);

// The least epsilon >= 0 with GaussianDelta(mu, epsilon) <= delta, rounded up; relative error below
// 1e-11 where mu is 1e-5 or more. Precondition: 1e-10 <= mu <= 1e15, 0 < delta < 1.
double GaussianEpsilon(double mu, double delta);

// The same of one use with noise multiplier z on a Poisson sample of rate q, add-or-remove:
//   ln(1 + q (e^epsilon' - 1)), where GaussianDelta(1/z, epsilon') = delta / q.
// Precondition: 0 < q <= 1, 1e-10 <= 1/z <= 1e15, 0 < delta < 1.
double SampledGaussianEpsilon(double sampling_rate, double noise_multiplier, double delta);

}  // namespace dure::dp

#endif  // DURE_PRIVACY_DP_ANALYTIC_GAUSSIAN_H_
