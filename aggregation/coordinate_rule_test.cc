// Known answers of the median and the trimmed mean, and the same again by plain sorting.
#include "aggregation/coordinate_rule.h"

#include <algorithm>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dure {
namespace {

using ::testing::ElementsAre;
using Vectors = std::vector<std::vector<float>>;

TEST(CoordinateRuleTest, TheMedianOfEachCoordinate) {
  EXPECT_THAT(CoordinateMedian(Vectors{{1, 9}, {5, 2}, {3, 4}}), ElementsAre(3, 4));
  EXPECT_THAT(CoordinateMedian(Vectors{{1, 9}, {5, 2}, {3, 4}, {7, 0}}), ElementsAre(4, 3));
  EXPECT_THAT(CoordinateMedian(Vectors{{2, -1}}), ElementsAre(2, -1));
}

TEST(CoordinateRuleTest, TheTrimmedMeanLeavesOutBothEnds) {
  const Vectors vectors = {{1}, {2}, {3}, {10}, {-100}};
  EXPECT_THAT(TrimmedMean(vectors, 1), ElementsAre(2));
  EXPECT_THAT(TrimmedMean(vectors, 2), ElementsAre(2));
  EXPECT_THAT(TrimmedMean(Vectors{{1}, {2}, {6}}, 0), ElementsAre(3));
  EXPECT_DEATH((void)TrimmedMean(Vectors{{1}, {2}}, 1), "");
}

TEST(CoordinateRuleTest, AShareIsRoundedDownButIsOneAtLeast) {
  EXPECT_EQ(TrimmedVectors(0.29, 100), 29u);
  EXPECT_EQ(TrimmedVectors(0.2, 9), 1u);
  EXPECT_EQ(TrimmedVectors(0.01, 3), 1u);
  EXPECT_EQ(TrimmedVectors(0.01, 2), 0u);
  EXPECT_EQ(TrimmedVectors(0.49, 4), 1u);
}

// Every number of vectors has a sorting network of its own.
TEST(CoordinateRuleTest, EqualsPlainSorting) {
  std::mt19937 random(1);
  std::uniform_int_distribution<int> small(-20, 20);  // with equals
  for (size_t count = 1; count <= 70; ++count) {
    Vectors vectors(count, std::vector<float>(37));
    for (std::vector<float>& vector : vectors) {
      for (float& value : vector) value = static_cast<float>(small(random)) / 4;
    }
    const auto trim = static_cast<uint32_t>((count - 1) / 3);
    const std::vector<float> mean = TrimmedMean(vectors, trim);
    const std::vector<float> median = CoordinateMedian(vectors);
    for (size_t i = 0; i < 37; ++i) {
      std::vector<double> column;
      for (const std::vector<float>& vector : vectors) column.push_back(vector[i]);
      std::sort(column.begin(), column.end());
      double sum = 0;
      for (size_t v = trim; v + trim < count; ++v) sum += column[v];
      ASSERT_FLOAT_EQ(mean[i], static_cast<float>(sum / static_cast<double>(count - 2 * trim)));
      ASSERT_EQ(median[i], (column[(count - 1) / 2] + column[count / 2]) / 2);
    }
  }
}

}  // namespace
}  // namespace dure
