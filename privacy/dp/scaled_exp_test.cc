// Digits of exponentials against those of mpmath (2000 bits), and the comparison's frequencies.
#include "privacy/dp/scaled_exp.h"

#include <cmath>

#include "gtest/gtest.h"

namespace dure::dp {
namespace {

constexpr double kFalseAlarmDeviations = 4.8917;  // |N(0, 1)| above it: 1e-6

TEST(ScaledExpTest, DigitsAreTheKnownOnes) {
  using Limbs = std::vector<uint64_t>;
  // exp(-1).
  EXPECT_EQ(
      BoundScaledExp({.numerator = 1, .denominator = 1}, 4).low,
      (Limbs{0x3024b9d0a507daed, 0xda9805aab56c7733, 0xbadec7829054f90d, 0x5e2d58d8b3bcdf1a, 0}));
  // exp(-1/3).
  EXPECT_EQ(BoundScaledExp({.numerator = 5, .denominator = 15}, 2).low,
            (Limbs{0xc5984c9c50ebe4c9, 0xb76e989179752689, 0}));
  // (2^41 - 12345) 2^6 exp(-90).
  const ScaledExp far = {.scale = (uint64_t{1} << 41) - 12345,
                         .shift = 6,
                         .numerator = 900'000'000'000'000,
                         .denominator = 10'000'000'000'000};
  EXPECT_EQ(BoundScaledExp(far, 3).low, (Limbs{0x900913a1447670ac, 0x23b0a11bf3c0, 0, 0}));
}

TEST(ScaledExpTest, BoundsAreOneUnitApartAndNarrowWithMoreDigits) {
  for (uint64_t a : {0ul, 1ul, 77ul, 5'000'000'000ul, 140'000'000'000ul}) {
    const ScaledExp value = {.scale = uint64_t{1} << 41, .numerator = a, .denominator = 1999999999};
    const ExpBounds rough = BoundScaledExp(value, 2);
    const ExpBounds fine = BoundScaledExp(value, 6);
    const auto expected = static_cast<double>(std::exp(-static_cast<long double>(a) / 1999999999) *
                                              std::ldexp(1.0L, 41));
    double found = 0;
    for (uint64_t limb : rough.low) found = found * 0x1p-64 + static_cast<double>(limb);
    EXPECT_NEAR(found, expected, expected * 1e-15);
    for (size_t i = 1; i <= 2; ++i) {  // the last limb of `rough` may be one less
      EXPECT_EQ(rough.low[i], fine.low[i + 4]) << a;
    }
    const uint64_t apart = rough.high[0] - rough.low[0];
    EXPECT_TRUE(apart == 1 || apart == 2 || apart == 3) << apart;
  }
}

// Above the value never, below it always, beside it with the probability of its fraction.
TEST(ScaledExpTest, ComparisonIsDecidedByTheFraction) {
  AesCtrRandom random(AesCtrRandom::Seed{21});
  RandomWords words(random, 512);
  const ScaledExp value = {.scale = 1000, .numerator = 123, .denominator = 456};
  const double expected = 1000 * std::exp(-123.0 / 456);  // 763.6...
  const auto whole = static_cast<uint64_t>(expected);
  constexpr int kTosses = 20'000;
  int below = 0;
  for (int i = 0; i < kTosses; ++i) below += IsBelowScaledExp(whole, value, words);
  const double p = expected - static_cast<double>(whole);
  EXPECT_NEAR(below, kTosses * p, kFalseAlarmDeviations * std::sqrt(kTosses * p * (1 - p)));
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(IsBelowScaledExp(whole - 1, value, words));
    EXPECT_FALSE(IsBelowScaledExp(whole + 1, value, words));
  }
}

TEST(ScaledExpTest, ShiftMultipliesTheProbability) {
  AesCtrRandom random(AesCtrRandom::Seed{22});
  RandomWords words(random, 512);
  // 2^100 exp(-70) = 0.5040.
  const ScaledExp value = {.scale = 1, .shift = 100, .numerator = 210, .denominator = 3};
  const double p = std::ldexp(std::exp(-70.0), 100);
  constexpr int kTosses = 2'000;
  int below = 0;
  for (int i = 0; i < kTosses; ++i) below += IsBelowScaledExp(0, value, words);
  EXPECT_NEAR(below, kTosses * p, kFalseAlarmDeviations * std::sqrt(kTosses * p * (1 - p)));
}

// exp(0) = 1 is never reached by a fraction, though no digit of it ever says so before the whole.
TEST(ScaledExpTest, WholeNumbersAreDecidedToo) {
  AesCtrRandom random(AesCtrRandom::Seed{23});
  RandomWords words(random, 512);
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(IsBelowScaledExp(6, {.scale = 7}, words));
    EXPECT_FALSE(IsBelowScaledExp(7, {.scale = 7}, words));
  }
}

}  // namespace
}  // namespace dure::dp
