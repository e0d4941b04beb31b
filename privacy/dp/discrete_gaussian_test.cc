// The sampler against tests/golden/discrete_gaussian_pmf.csv. The seeds are fixed, so that a run
// never differs from the last; every statistical check would fail a correct sampler with
// probability 1e-6, all of this file together below 2e-5, if the seeds were drawn anew.
#include "privacy/dp/discrete_gaussian.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "privacy/dp/bernoulli_exp.h"
#include "tests/support/golden.h"

namespace dure::dp {
namespace {

using Uint128 = unsigned __int128;

constexpr double kFalseAlarm = 1e-6;
constexpr double kFalseAlarmDeviations = 4.8917;  // |N(0, 1)| above it: 1e-6
constexpr size_t kDraws = 400'000;                // for each of four variances

std::vector<int64_t> Draw(uint64_t sigma2, size_t count, uint8_t seed) {
  AesCtrRandom random(AesCtrRandom::Seed{seed});
  std::vector<int64_t> samples(count);
  DiscreteGaussian::Create(sigma2).value().Fill(random, samples);
  return samples;
}

// P[chi-square with `freedom` degrees of freedom >= x]: the finite sums for even and odd.
double ChiSquareTail(double x, int freedom) {
  const double y = x / 2;
  double sum = freedom % 2 == 1 ? std::erfc(std::sqrt(y)) : 0;
  double term = freedom % 2 == 1 ? std::exp(-y) * std::sqrt(y) / std::tgamma(1.5) : std::exp(-y);
  for (double next = freedom % 2 == 1 ? 1.5 : 1; next <= freedom / 2.0; ++next) {
    sum += term;
    term *= y / next;
  }
  return sum;
}

// Pearson's statistic of `counts` against `probabilities`, which sum to 1.
double PValue(const std::vector<double>& counts, const std::vector<double>& probabilities) {
  EXPECT_NEAR(std::accumulate(probabilities.begin(), probabilities.end(), 0.0), 1, 1e-9);
  const double total = std::accumulate(counts.begin(), counts.end(), 0.0);
  double statistic = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    const double expected = total * probabilities[i];
    EXPECT_GE(expected, 5);
    statistic += (counts[i] - expected) * (counts[i] - expected) / expected;
  }
  return ChiSquareTail(statistic, static_cast<int>(counts.size()) - 1);
}

TEST(ChiSquareTailTest, KnownQuantiles) {
  EXPECT_NEAR(ChiSquareTail(3.841458820694124, 1), 0.05, 1e-12);
  EXPECT_NEAR(ChiSquareTail(5.991464547107979, 2), 0.05, 1e-12);
  EXPECT_NEAR(ChiSquareTail(18.307038053275146, 10), 0.05, 1e-12);
  EXPECT_NEAR(ChiSquareTail(7.814727903251179, 3), 0.05, 1e-12);
}

struct Known {
  std::vector<int64_t> x;          // 0 = x[0] < x[1] < ...
  std::vector<double> upper_tail;  // P[X >= x]
  double pmf_0 = 0;
  double variance = 0;
  double fourth_moment = 0;
};

std::map<uint64_t, Known> KnownBySigma2() {
  std::map<uint64_t, Known> known;
  for (const testing::Row& row : testing::ReadGolden("discrete_gaussian_pmf.csv")) {
    const double sigma2 = std::stod(row.at("sigma2"));
    if (sigma2 < 1) continue;
    Known& one = known[static_cast<uint64_t>(sigma2)];
    one.x.push_back(std::stoll(row.at("x")));
    one.upper_tail.push_back(std::stod(row.at("upper_tail_ge_x")));
    if (one.x.back() == 0) one.pmf_0 = std::stod(row.at("pmf"));
    one.variance = std::stod(row.at("variance"));
    one.fourth_moment = std::stod(row.at("fourth_moment"));
  }
  return known;
}

// Cells: 0; on each side x[i] .. x[i + 1] - 1, the last one without an end.
TEST(DiscreteGaussianTest, FrequenciesAreThoseOfThePmf) {
  auto known = KnownBySigma2();
  ASSERT_EQ(known.size(), 4u);
  for (const auto& [sigma2, one] : known) {
    size_t last = one.x.size() - 1;
    while (one.upper_tail[last] * kDraws < 20) --last;
    std::vector<double> probabilities(1 + 2 * last);
    std::vector<double> counts(1 + 2 * last);
    probabilities[0] = one.pmf_0;
    for (size_t i = 1; i <= last; ++i) {
      const double next = i < last ? one.upper_tail[i + 1] : 0;
      probabilities[i] = probabilities[last + i] = one.upper_tail[i] - next;
    }
    for (int64_t sample : Draw(sigma2, kDraws, 1)) {
      auto above = std::upper_bound(one.x.begin(), one.x.begin() + static_cast<long>(last) + 1,
                                    std::abs(sample));
      auto cell = static_cast<size_t>(above - one.x.begin()) - 1;
      ++counts[sample < 0 ? last + cell : cell];
    }
    EXPECT_GT(PValue(counts, probabilities), kFalseAlarm) << "sigma2 = " << sigma2;
  }
}

TEST(DiscreteGaussianTest, MomentsAreThoseOfThePmf) {
  for (const auto& [sigma2, one] : KnownBySigma2()) {
    double sum = 0;
    double squares = 0;
    for (int64_t sample : Draw(sigma2, kDraws, 2)) {
      const auto x = static_cast<double>(sample);
      sum += x;
      squares += x * x;
    }
    const double root_draws = std::sqrt(static_cast<double>(kDraws));
    const double spread = std::sqrt(one.fourth_moment - one.variance * one.variance);
    EXPECT_NEAR(sum / kDraws, 0, kFalseAlarmDeviations * std::sqrt(one.variance) / root_draws);
    EXPECT_NEAR(squares / kDraws, one.variance, kFalseAlarmDeviations * spread / root_draws);
  }
}

// At sigma = 2^20 the continuous Gaussian differs from the discrete one by less than 1e-6 in any
// cell: cells of half a sigma.
TEST(DiscreteGaussianTest, LargestVarianceLooksContinuous) {
  constexpr int kSide = 7;
  const double sigma = 0x1p20;
  auto upper = [](double x) { return std::erfc(x / std::sqrt(2.0)) / 2; };
  std::vector<double> probabilities, counts(2 * kSide);
  for (int side = 0; side < 2; ++side) {
    for (int i = 0; i < kSide; ++i) {
      probabilities.push_back(upper(i * 0.5) - (i + 1 < kSide ? upper((i + 1) * 0.5) : 0));
    }
  }
  for (int64_t sample : Draw(DiscreteGaussian::kMaxSigma2, kDraws, 3)) {
    const double x = static_cast<double>(sample) / sigma;
    const int cell = std::min(kSide - 1, static_cast<int>(std::abs(x) * 2));
    ++counts[x < 0 ? kSide + cell : cell];
  }
  EXPECT_GT(PValue(counts, probabilities), kFalseAlarm);
}

// Samples in a row do not know of each other: the lag-one products have mean 0.
TEST(DiscreteGaussianTest, NeighboursAreUncorrelated) {
  std::vector<int64_t> samples = Draw(1000, kDraws, 4);
  double sum = 0;
  for (size_t i = 1; i < samples.size(); ++i) {
    sum += static_cast<double>(samples[i]) * static_cast<double>(samples[i - 1]);
  }
  const double root_draws = std::sqrt(static_cast<double>(kDraws));
  EXPECT_NEAR(sum / kDraws, 0, kFalseAlarmDeviations * 1000 / root_draws);
}

TEST(DiscreteGaussianTest, SameSeedSameSamples) {
  EXPECT_EQ(Draw(1000, 1000, 5), Draw(1000, 1000, 5));
  EXPECT_NE(Draw(1000, 1000, 5), Draw(1000, 1000, 6));
}

TEST(DiscreteGaussianTest, SingleSamplesHaveTheSameVariance) {
  const DiscreteGaussian gaussian = DiscreteGaussian::Create(16).value();
  AesCtrRandom random(AesCtrRandom::Seed{7});
  constexpr int kSingles = 50'000;
  double squares = 0;
  for (int i = 0; i < kSingles; ++i) {
    const auto x = static_cast<double>(gaussian.Sample(random));
    squares += x * x;
  }
  EXPECT_NEAR(squares / kSingles, 16,
              kFalseAlarmDeviations * std::sqrt((768.0 - 256.0) / kSingles));
}

TEST(DiscreteGaussianTest, ZeroVarianceIsRefused) {
  EXPECT_EQ(DiscreteGaussian::Create(0).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(DiscreteGaussianTest, VarianceAboveTheLimitIsRefused) {
  EXPECT_EQ(DiscreteGaussian::Create(DiscreteGaussian::kMaxSigma2 + 1).status().code(),
            absl::StatusCode::kInvalidArgument);
}

// Words at, beside and far from the threshold: the decision is that of 128-bit integers wherever
// the first word settles it, whichever way it is made.
TEST(BernoulliExpTest, BothComparisonsAgreeWithIntegers) {
  AesCtrRandom random(AesCtrRandom::Seed{8});
  RandomWords words(random, 512);
  int close = 0;
  for (int i = 0; i < 20'000; ++i) {
    const uint32_t k = 1 + static_cast<uint32_t>(words.Next() % 40);
    const uint64_t b = 1 + words.Next() % (uint64_t{1} << (1 + words.Next() % 50));
    const uint64_t a = words.Next() % (b + 1);
    const Rational ratio = {static_cast<double>(a) / static_cast<double>(b), a, b};
    const Uint128 threshold = (static_cast<Uint128>(a) << 64) / (static_cast<Uint128>(b) * k);
    const uint64_t beside = words.Next() % 9 - 4;
    const uint64_t nearby = static_cast<uint64_t>(threshold) + beside;
    const uint64_t around = static_cast<uint64_t>(threshold) + (words.Next() >> 40) - (1 << 23);
    for (uint64_t word : {nearby, around, words.Next()}) {
      const Uint128 scaled_a = static_cast<Uint128>(a) << 64;
      const Uint128 low = static_cast<Uint128>(word) * b * k;
      const bool surely_below = low + static_cast<Uint128>(b) * k <= scaled_a;
      const bool surely_above = low >= scaled_a;
      if (!surely_below && !surely_above) continue;  // the next words decide
      close += std::abs(static_cast<double>(word) * 0x1p-64 - ratio.rounded / k) < kBinary64Doubt;
      ASSERT_EQ(IsBelow(word, ratio, k, words), surely_below) << a << "/" << b << "/" << k;
      ASSERT_EQ(IsBelowByDigits(word, ratio, k, words), surely_below) << a << "/" << b << "/" << k;
    }
  }
  EXPECT_GT(close, 10'000);
}

// A first word that is exactly the digits of a/b leaves the decision to the rest: here 1/3, whose
// rest is 1/3 again.
TEST(BernoulliExpTest, TieIsDecidedByTheNextWord) {
  AesCtrRandom random(AesCtrRandom::Seed{9});
  RandomWords words(random, 512);
  const Rational third = {1.0 / 3, 1, 3};
  constexpr int kTosses = 100'000;
  int heads = 0;
  for (int i = 0; i < kTosses; ++i) heads += IsBelow(0x5555555555555555, third, 1, words);
  EXPECT_NEAR(heads, kTosses / 3.0, kFalseAlarmDeviations * std::sqrt(kTosses * 2.0 / 9));
}

TEST(BernoulliExpTest, HeadsAreAsFrequentAsTheExponential) {
  AesCtrRandom random(AesCtrRandom::Seed{10});
  RandomWords words(random, 512);
  constexpr int kTosses = 200'000;
  for (uint64_t a : {0, 1, 2, 5, 7}) {
    const Rational ratio = {static_cast<double>(a) / 7, a, 7};
    int heads = 0;
    for (int i = 0; i < kTosses; ++i) heads += BernoulliExp(ratio, words);
    const double p = std::exp(-static_cast<double>(a) / 7);
    EXPECT_NEAR(heads, kTosses * p, kFalseAlarmDeviations * std::sqrt(kTosses * p * (1 - p)));
  }
}

}  // namespace
}  // namespace dure::dp
