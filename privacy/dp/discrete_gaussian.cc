#include "privacy/dp/discrete_gaussian.h"

#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "privacy/dp/bernoulli_exp.h"
#include "privacy/dp/random_words.h"

namespace dure::dp {
namespace {

using Uint128 = unsigned __int128;

// A little more than a sample takes on average: one block mostly serves one Sample().
constexpr size_t kWordsPerSample = 16;

// Uniform on [0, range) without bias (Lemire 2019); `reject_below` = 2^64 mod range.
inline uint64_t UniformBelow(uint64_t range, uint64_t reject_below, RandomWords& words) {
  for (;;) {
    Uint128 product = static_cast<Uint128>(words.Next()) * range;
    if (static_cast<uint64_t>(product) >= reject_below) return static_cast<uint64_t>(product >> 64);
  }
}

}  // namespace

DiscreteGaussian::DiscreteGaussian(uint64_t sigma2) : sigma2_(sigma2) {
  auto root = static_cast<uint64_t>(std::sqrt(static_cast<double>(sigma2)));
  while (root * root > sigma2) --root;
  while ((root + 1) * (root + 1) <= sigma2) ++root;
  t_ = root + 1;
  reject_below_ = -t_ % t_;
  inv_t_ = 1.0 / static_cast<double>(t_);
  two_sigma2_t2_ = Uint128{2} * sigma2_ * t_ * t_;
  inv_two_sigma2_t2_ = 1.0 / static_cast<double>(two_sigma2_t2_);
}

absl::StatusOr<DiscreteGaussian> DiscreteGaussian::Create(uint64_t sigma2) {
  if (sigma2 < 1 || sigma2 > kMaxSigma2) {
    return absl::InvalidArgumentError(
        absl::StrCat("sigma2 = ", sigma2, " is outside 1 to 2^40 = ", kMaxSigma2));
  }
  return DiscreteGaussian(sigma2);
}

int64_t DiscreteGaussian::Draw(RandomWords& words) const {
  constexpr Rational kOne = {1.0, 1, 1};
  for (;;) {
    // Algorithm 2: |y| = u + t v of a discrete Laplace of scale t.
    uint64_t u = UniformBelow(t_, reject_below_, words);
    if (!BernoulliExp({static_cast<double>(u) * inv_t_, u, t_}, words)) continue;
    uint64_t v = 0;
    while (BernoulliExp(kOne, words)) ++v;
    uint64_t magnitude = u + t_ * v;
    bool negative = words.Next() >> 63;
    if (negative && magnitude == 0) continue;

    // Algorithm 3. Bernoulli(exp(-g)) with g above 1 is m tosses of Bernoulli(exp(-g / m)). Up to
    // v = 2^18 no integer overflows; that v reaches it has probability exp(-2^18).
    auto excess = static_cast<int64_t>(magnitude * t_) - static_cast<int64_t>(sigma2_);
    double excess_rounded = static_cast<double>(excess);
    double exponent = excess_rounded * excess_rounded * inv_two_sigma2_t2_;
    Rational ratio = {exponent, static_cast<Uint128>(static_cast<__int128>(excess) * excess),
                      two_sigma2_t2_};
    uint64_t tosses = 1;
    if (exponent > 1 - kBinary64Doubt) {
      tosses = static_cast<uint64_t>(exponent * (1 + kBinary64Doubt) + kBinary64Doubt) + 1;
      ratio.rounded /= static_cast<double>(tosses);
      ratio.denominator *= tosses;
    }
    bool accepted = true;
    for (uint64_t i = 0; accepted && i < tosses; ++i) accepted = BernoulliExp(ratio, words);
    if (accepted) {
      auto value = static_cast<int64_t>(magnitude);
      return negative ? -value : value;
    }
  }
}

void DiscreteGaussian::Fill(AesCtrRandom& random, std::span<int64_t> out) const {
  RandomWords words(random, kWordsPerSample * out.size());
  for (int64_t& sample : out) sample = Draw(words);
}

int64_t DiscreteGaussian::Sample(AesCtrRandom& random) const {
  RandomWords words(random, kWordsPerSample);
  return Draw(words);
}

}  // namespace dure::dp
