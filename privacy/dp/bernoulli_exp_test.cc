// The exact coins against integers, and their frequencies. The seeds are fixed; each of the five
// statistical checks would fail correct coins with probability 1e-6 if they were drawn anew.
#include "privacy/dp/bernoulli_exp.h"

#include <cmath>

#include "gtest/gtest.h"

namespace dure::dp {
namespace {

using Uint128 = unsigned __int128;

constexpr double kFalseAlarmDeviations = 4.8917;  // |N(0, 1)| above it: 1e-6

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
