// Each of the two statistical checks would fail a correct program with probability 1e-6 if its
// seed were drawn anew.
#include "privacy/dp/central_noise.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "privacy/dp/discrete_gaussian.h"

namespace dure::dp {
namespace {

constexpr double kFalseAlarmDeviations = 4.8917;  // |N(0, 1)| above it: 1e-6

TEST(CentralNoiseTest, AddsNoiseOfTheVarianceToEveryCoordinate) {
  constexpr int kDim = 200'000;
  constexpr double kSigma2 = 12'345;
  std::vector<int64_t> sum(kDim, 1'000'000'000'000);
  AesCtrRandom random(AesCtrRandom::Seed{1});
  ASSERT_TRUE(AddCentralNoise(12'345, random, 1, sum).ok());
  double mean = 0, squares = 0;
  for (int64_t x : sum) {
    const auto noise = static_cast<double>(x - 1'000'000'000'000);
    mean += noise / kDim;
    squares += noise * noise / kDim;
  }
  EXPECT_NEAR(mean, 0, kFalseAlarmDeviations * std::sqrt(kSigma2 / kDim));
  EXPECT_NEAR(squares, kSigma2, kFalseAlarmDeviations * kSigma2 * std::sqrt(2.0 / kDim));
}

TEST(CentralNoiseTest, SameNoiseOnAnyNumberOfThreadsAndNeverTwice) {
  std::vector<int64_t> one(100'000), four(100'000), again(100'000);
  AesCtrRandom first(AesCtrRandom::Seed{2}), second(AesCtrRandom::Seed{2});
  ASSERT_TRUE(AddCentralNoise(100, first, 1, one).ok());
  ASSERT_TRUE(AddCentralNoise(100, second, 4, four).ok());
  EXPECT_EQ(one, four);
  ASSERT_TRUE(AddCentralNoise(100, first, 1, again).ok());
  EXPECT_NE(one, again);
}

TEST(CentralNoiseTest, VarianceOutsideTheLimitsIsRefusedAndNothingIsAdded) {
  std::vector<int64_t> sum(10, 7);
  AesCtrRandom random(AesCtrRandom::Seed{3});
  for (uint64_t sigma2 : {uint64_t{0}, DiscreteGaussian::kMaxSigma2 + 1}) {
    EXPECT_EQ(AddCentralNoise(sigma2, random, 1, sum).code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(sum, std::vector<int64_t>(10, 7));
}

}  // namespace
}  // namespace dure::dp
