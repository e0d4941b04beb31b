// The exact discrete Gaussian: P(x) proportional to exp(-x^2 / (2 sigma2)) over the integers.
//
// Canonne, Kamath, Steinke 2020, Algorithms 1 to 3 (docs/secure-aggregation.md section 2.2): a
// discrete Laplace candidate, accepted with probability exp(-(|y| t - sigma2)^2 / (2 sigma2 t^2)),
// every coin of the form Bernoulli(exp(-a/b)) tossed exactly (privacy/dp/bernoulli_exp.h). So the
// distribution is exact for uniform words.
//
// The time depends on the values drawn: draw the noise before the data is touched.
// Thread-safe: constant once created; each thread brings its own AesCtrRandom.
#ifndef DURE_PRIVACY_DP_DISCRETE_GAUSSIAN_H_
#define DURE_PRIVACY_DP_DISCRETE_GAUSSIAN_H_

#include <cstdint>
#include <span>

#include "absl/status/statusor.h"
#include "crypto/random.h"

namespace dure::dp {

class RandomWords;

class DiscreteGaussian {
 public:
  static constexpr uint64_t kMaxSigma2 = uint64_t{1} << 40;

  // `sigma2` is the variance parameter; for sigma2 >= 1 the variance equals it but for a relative
  // 1e-6 and less. InvalidArgument unless 1 <= sigma2 <= 2^40.
  static absl::StatusOr<DiscreteGaussian> Create(uint64_t sigma2);

  uint64_t sigma2() const { return sigma2_; }

  // Overwrites `out` with independent samples. What is drawn from `random` and not used is
  // dropped, so the samples depend on how many are asked for at a time.
  void Fill(AesCtrRandom& random, std::span<int64_t> out) const;

  // One sample. For many, Fill is several times faster.
  int64_t Sample(AesCtrRandom& random) const;

 private:
  explicit DiscreteGaussian(uint64_t sigma2);
  int64_t Draw(RandomWords& words) const;

  uint64_t sigma2_;
  uint64_t t_;             // floor(sigma) + 1, the scale of the Laplace candidate
  uint64_t reject_below_;  // 2^64 mod t
  unsigned __int128 two_sigma2_t2_;
  double inv_t_;              // 1 / t, rounded
  double inv_two_sigma2_t2_;  // 1 / (2 sigma2 t^2), rounded
};

}  // namespace dure::dp

#endif  // DURE_PRIVACY_DP_DISCRETE_GAUSSIAN_H_
