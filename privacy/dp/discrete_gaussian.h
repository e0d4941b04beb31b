// The exact discrete Gaussian: P(x) proportional to exp(-x^2 / (2 sigma2)) over the integers, as
// docs/secure-aggregation.md section 2.2 asks for. The distribution is exact for uniform words.
//
// How. w is a power of two, 16 w <= sigma < 32 w where sigma is 16 or more, else 1. A magnitude is
// k w + u, 0 <= u < w:
//   1. a block k with probability proportional to g(k) = exp(-(k w)^2 / (2 sigma2));
//   2. u uniform on [0, w);
//   3. accepted with probability exp(-(2 k w u + u^2) / (2 sigma2)), else all is drawn anew; then
//   4. a sign; "minus zero" is drawn anew, so that 0 does not count twice.
// Proof. (k w)^2 + 2 k w u + u^2 = (k w + u)^2: a round of 1 to 3 ends with the magnitude m with
// probability c exp(-m^2 / (2 sigma2)), c the same for all m; step 4 gives half of it to m and -m
// each, and 0 its half once. So what is returned has the distribution above.
//
// Each step is exact. Step 3 tosses Bernoulli(exp(-a/b)) by Canonne, Kamath, Steinke 2020,
// Algorithm 1 (privacy/dp/bernoulli_exp.h); a/b is about 1/50, so that the first word nearly always
// decides. Step 1 takes 46 bits as one of 2^46 slots. Block k owns floor(S g(k)) - 1 slots (at
// least 0) as they are; in the next three slots V, V counted from the block's first, a uniform real
// with the whole part V is compared with S g(k) by digits without an end (privacy/dp/scaled_exp.h).
// The expectation of slots is S g(k) as long as binary64 finds S g(k) with an error below 1, and
// its error is below 2^-4. Blocks beyond 12 sigma share one slot: 32 of them at a time with
// probabilities 1/2, 1/4, ..., one of the 32, and a comparison by digits for what is wanted of it.
// Slots that are left over, and comparisons that fail, are drawn anew.
//
// The time, and which cells of a table of 4 KiB are read, depend on the values drawn: the noise is
// drawn before the data is touched, so they say nothing about data.
// Thread-safe: constant once created; each thread brings its own AesCtrRandom.
#ifndef DURE_PRIVACY_DP_DISCRETE_GAUSSIAN_H_
#define DURE_PRIVACY_DP_DISCRETE_GAUSSIAN_H_

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "crypto/random.h"

namespace dure::dp {

class RandomWords;

class DiscreteGaussian {
 public:
  static constexpr uint64_t kMaxSigma2 = uint64_t{1} << 40;

  // `sigma2` is the variance parameter; for sigma2 >= 1 the variance equals it but for a relative
  // 1e-6 and less. Some 20 microseconds and 8 KiB. InvalidArgument unless 1 <= sigma2 <= 2^40.
  static absl::StatusOr<DiscreteGaussian> Create(uint64_t sigma2);

  uint64_t sigma2() const { return sigma2_; }

  // Overwrites `out` with independent samples. What is drawn from `random` and not used is
  // dropped, so the samples depend on how many are asked for at a time.
  void Fill(AesCtrRandom& random, std::span<int64_t> out) const;
  // The same samples mod 2^32: all that a ring of up to 32 bits needs. As int32_t they are the
  // samples themselves, but for an event of probability exp(-2^21) at the largest sigma2.
  void Fill(AesCtrRandom& random, std::span<uint32_t> out) const;

  // One sample. For many, Fill is several times faster.
  int64_t Sample(AesCtrRandom& random) const;

 private:
  friend class SlotsForTest;  // defined in tests only: the table of step 1
  static constexpr int kGuideLog2 = 12;

  explicit DiscreteGaussian(uint64_t sigma2);
  void FillGuide();
  template <typename Int>
  void FillAs(AesCtrRandom& random, std::span<Int> out) const;
  template <bool kUnitBlocks>
  int64_t Draw(RandomWords& words) const;
  int64_t BlockOfSlot(uint64_t slot, RandomWords& words) const;
  int64_t TailBlock(RandomWords& words) const;
  bool IsAccepted(uint64_t block, uint64_t u, RandomWords& words) const;

  uint64_t sigma2_;
  int block_log2_ = 0;     // log2 w
  uint64_t scale_ = 0;     // S
  double inv_two_sigma2_;  // 1 / (2 sigma2), rounded
  // Slots of block k: from first_[k], of which those from undecided_[k] need more digits.
  // first_.back() is the tail's slot.
  std::vector<uint64_t> first_;
  std::vector<uint64_t> undecided_;
  // The block that owns all slots with these first bits, or kUnclear.
  std::array<uint8_t, size_t{1} << kGuideLog2> guide_;
};

}  // namespace dure::dp

#endif  // DURE_PRIVACY_DP_DISCRETE_GAUSSIAN_H_
