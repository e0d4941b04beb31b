// What holds of every rule: with few vectors, in any order, of vectors that are all alike, and with
// a minority of poisoned ones however far they are.
#include "aggregation/robust_rule.h"

#include <algorithm>
#include <limits>
#include <random>
#include <string>

#include "aggregation/coordinate_rule.h"
#include "aggregation/geometric_median.h"
#include "aggregation/krum.h"
#include "aggregation/norm_bound.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dure {
namespace {

using ::testing::HasSubstr;
using Vectors = std::vector<std::vector<float>>;

struct Case {
  const char* name;
  const RobustRule* rule;
  uint32_t least;  // vectors of which it bears one
};

class EveryRuleTest : public ::testing::TestWithParam<Case> {
 protected:
  const RobustRule& rule() const { return *GetParam().rule; }
  const RobustParams params_ = {.trim = 0.2, .max_poisoned = 0.2, .norm_bound = 0};
};

Vectors Gaussian(size_t count, size_t dim, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(1, 0.1f);
  Vectors vectors(count, std::vector<float>(dim));
  for (std::vector<float>& vector : vectors) {
    for (float& value : vector) value = normal(random);
  }
  return vectors;
}

TEST_P(EveryRuleTest, TooFewVectorsAreRefusedWithTheNumbers) {
  const uint32_t least = GetParam().least;
  for (uint32_t vectors = 1; vectors < least; ++vectors) {
    const auto borne = rule().borne(params_, vectors);
    ASSERT_EQ(borne.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(borne.status().message(),
              "of " + std::to_string(vectors) + " vectors " + std::string(rule().name) +
                  " bears no poisoned one; it needs " + std::to_string(least) + " or more");
  }
  for (uint32_t vectors = least; vectors < 100; ++vectors) {
    const auto borne = rule().borne(params_, vectors);
    ASSERT_TRUE(borne.ok()) << borne.status();
    EXPECT_GE(*borne, 1u);
    EXPECT_LT(2 * *borne, vectors);
  }
}

TEST_P(EveryRuleTest, AnyNumberOfVectorsIsCombined) {
  for (size_t count = 1; count <= 9; ++count) {
    const Vectors same(count, {3, -2, 0.5f});
    EXPECT_EQ(rule().combine(params_, same), same[0]) << count;
    EXPECT_EQ(rule().combine(params_, Vectors(count)).size(), 0u);
    EXPECT_GT(rule().noise(params_, static_cast<uint32_t>(count)), 0);
  }
}

TEST_P(EveryRuleTest, TheOrderOfTheVectorsDoesNotMatter) {
  Vectors vectors = Gaussian(11, 70, 5);
  const std::vector<float> expected = rule().combine(params_, vectors);
  std::mt19937 random(6);
  for (int i = 0; i < 20; ++i) {
    std::shuffle(vectors.begin(), vectors.end(), random);
    const std::vector<float> result = rule().combine(params_, vectors);
    for (size_t j = 0; j < result.size(); ++j) EXPECT_NEAR(result[j], expected[j], 1e-6);
  }
}

// Blocks, lanes and threads cut long vectors: every coordinate of many equal ones must be the same.
TEST_P(EveryRuleTest, LongVectorsAreCombinedInEveryCoordinate) {
  const std::vector<float> values = {4, 1, 2.5f, 3, -7};
  for (const size_t dim : {31, 33, 1023, 1025, 100001}) {
    Vectors vectors;
    for (const float value : values) vectors.emplace_back(dim, value);
    const std::vector<float> result = rule().combine(params_, vectors);
    ASSERT_EQ(result.size(), dim);
    for (const float value : result) ASSERT_EQ(value, result[0]) << dim;
  }
}

TEST_P(EveryRuleTest, APoisonedVectorHoweverFarMovesLittle) {
  constexpr float kFar = std::numeric_limits<float>::max();
  for (const float far : {10.0f, -10.0f, 1e9f, -1e20f, kFar, -kFar}) {
    Vectors vectors = Gaussian(5, 40, 8);
    vectors[2].assign(40, far);
    // Of five, one may be turned round: 2 / 5 of the length at most is lost by the norm bound.
    const double reach = &rule() == &kNormBoundRule ? 0.6 : 0.3;
    for (const float value : rule().combine(params_, vectors)) EXPECT_NEAR(value, 1, reach) << far;
  }
}

INSTANTIATE_TEST_SUITE_P(All, EveryRuleTest,
                         ::testing::Values(Case{"Median", &kMedianRule, 3},
                                           Case{"TrimmedMean", &kTrimmedMeanRule, 3},
                                           Case{"Krum", &kKrumRule, 5},
                                           Case{"MultiKrum", &kMultiKrumRule, 5},
                                           Case{"GeometricMedian", &kGeometricMedianRule, 3},
                                           Case{"NormBound", &kNormBoundRule, 3}),
                         [](const auto& info) { return info.param.name; });

TEST(RobustRuleTest, HowManyAreBorne) {
  EXPECT_EQ(MostInMinority(0), 0u);
  EXPECT_EQ(MostInMinority(3), 1u);
  EXPECT_EQ(MostInMinority(4), 1u);
  EXPECT_EQ(MostInMinority(5), 2u);
  EXPECT_EQ(MostBesideNeighbours(2), 0u);
  EXPECT_EQ(MostBesideNeighbours(4), 0u);
  EXPECT_EQ(MostBesideNeighbours(5), 1u);
  EXPECT_EQ(MostBesideNeighbours(7), 2u);
}

TEST(RobustRuleTest, MultiKrumRefusesAShareThatItDoesNotBear) {
  EXPECT_EQ(*kMultiKrumRule.borne({.max_poisoned = 0.4}, 20), 8u);
  const auto refused = kMultiKrumRule.borne({.max_poisoned = 0.45}, 20);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(
      refused.status().message(),
      HasSubstr("of 20 vectors Multi-Krum bears at most 8 poisoned ones; a share of 0.45 is "
                "9, which needs 21 or more"));
}

}  // namespace
}  // namespace dure
