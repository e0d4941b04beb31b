// Known answers of norm bounding.
#include "aggregation/norm_bound.h"

#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dure {
namespace {

using ::testing::ElementsAre;
using Vectors = std::vector<std::vector<float>>;

TEST(NormBoundTest, TheNorms) {
  EXPECT_THAT(Norms(Vectors{{3, 4}, {0, 0}, {-5, 12}}), ElementsAre(5, 0, 13));
  EXPECT_THAT(Norms(Vectors{{1, 1, 1, 1, 1, 1, 1, 1, 1}}), ElementsAre(3));
}

TEST(NormBoundTest, LongerOnesAreShortened) {
  // {30, 40} becomes {6, 8}.
  EXPECT_THAT(NormBoundedMean(Vectors{{30, 40}, {1, 2}}, 10), ElementsAre(3.5, 5));
  EXPECT_THAT(NormBoundedMean(Vectors{{30, 40}, {1, 2}}, 50), ElementsAre(15.5, 21));
  EXPECT_DEATH((void)NormBoundedMean(Vectors{{1}}, 0), "");
  EXPECT_DEATH((void)NormBoundedMean(Vectors{{1}}, std::numeric_limits<double>::infinity()), "");
}

TEST(NormBoundTest, TheBoundIsTheMedianOfTheNorms) {
  // Norms 5, 1, 500: {300, 400} becomes {3, 4}.
  EXPECT_THAT(NormBoundedMean(Vectors{{3, 4}, {0, 1}, {300, 400}}), ElementsAre(2, 3));
  // Norms 2, 4, 6, 8: the smaller of the middle two.
  EXPECT_THAT(NormBoundedMean(Vectors{{2}, {4}, {6}, {8}}), ElementsAre(3.5));
  // Most send nothing: nothing is the bound.
  EXPECT_THAT(NormBoundedMean(Vectors{{0}, {0}, {6}}), ElementsAre(0));
}

TEST(NormBoundTest, TheRuleTakesTheAgreedBoundOrTheMedian) {
  const Vectors vectors = {{3, 4}, {0, 1}, {300, 400}};
  EXPECT_THAT(kNormBoundRule.combine({.norm_bound = 0}, vectors), ElementsAre(2, 3));
  EXPECT_THAT(kNormBoundRule.combine({.norm_bound = 500}, vectors), ElementsAre(101, 135));
}

TEST(NormBoundTest, EachVectorMovesTheMeanByTwiceTheBoundOverTheNumber) {
  const Vectors honest = {{1, 0}, {1, 0}, {1, 0}, {1, 0}};
  Vectors vectors = honest;
  vectors[0] = {-1e30f, 0};
  EXPECT_THAT(NormBoundedMean(vectors, 1), ElementsAre(0.5, 0));  // 1 - 2 * 1 / 4
}

}  // namespace
}  // namespace dure
