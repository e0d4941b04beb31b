// Known answers of each rule, and that poisoned vectors move nothing far.
#include "aggregation/robust_rule.h"

#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dure {
namespace {

using ::testing::ElementsAre;
using Vectors = std::vector<std::vector<float>>;

TEST(RobustRuleTest, TheMedianOfEachCoordinate) {
  EXPECT_THAT(CoordinateMedian(Vectors{{1, 9}, {5, 2}, {3, 4}}), ElementsAre(3, 4));
  EXPECT_THAT(CoordinateMedian(Vectors{{1, 9}, {5, 2}, {3, 4}, {7, 0}}), ElementsAre(4, 3));
  EXPECT_THAT(CoordinateMedian(Vectors{{2, -1}}), ElementsAre(2, -1));
}

TEST(RobustRuleTest, TheTrimmedMeanLeavesOutBothEnds) {
  const Vectors vectors = {{1}, {2}, {3}, {10}, {-100}};
  EXPECT_THAT(TrimmedMean(vectors, 1), ElementsAre(2));
  EXPECT_THAT(TrimmedMean(vectors, 2), ElementsAre(2));
  EXPECT_THAT(TrimmedMean(Vectors{{1}, {2}, {6}}, 0), ElementsAre(3));
  EXPECT_DEATH((void)TrimmedMean(Vectors{{1}, {2}}, 1), "");
}

TEST(RobustRuleTest, KrumChoosesTheVectorWithTheNearestOthers) {
  // Squared distances on a line; with one poisoned of five, the two nearest count:
  // 0: 1 + 9, 1: 1 + 4, 3: 4 + 1, 4: 1 + 9, 100: huge. The first of the equals.
  EXPECT_EQ(Krum(Vectors{{0}, {1}, {3}, {4}, {100}}, 1), 1u);
  EXPECT_EQ(Krum(Vectors{{100}, {4}, {3.5}, {1}, {0}}, 1), 2u);
  EXPECT_EQ(Krum(Vectors{{7}}, 3), 0u);
  EXPECT_EQ(Krum(Vectors{{7}, {8}}, 3), 0u);
}

TEST(RobustRuleTest, AMinorityOfPoisonedVectorsMovesNothingFar) {
  constexpr float kFar = std::numeric_limits<float>::max() / 4;
  const Vectors honest = {{1, 1}, {1.1f, 0.9f}, {0.9f, 1.2f}, {1.2f, 1.1f}, {1.05f, 1}};
  for (float far : {kFar, -kFar}) {
    Vectors vectors = honest;
    vectors[0] = {far, far};
    for (const std::vector<float>& result :
         {CoordinateMedian(vectors), TrimmedMean(vectors, 1), vectors[Krum(vectors, 1)]}) {
      for (float value : result) {
        EXPECT_GE(value, 0.9f);
        EXPECT_LE(value, 1.2f);
      }
    }
    vectors[1] = {-far, far};
    for (float value : CoordinateMedian(vectors)) {
      EXPECT_GE(value, 0.9f);
      EXPECT_LE(value, 1.2f);
    }
  }
}

}  // namespace
}  // namespace dure
