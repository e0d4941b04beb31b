// Known answers of Krum and Multi-Krum, and the same again by the definition.
#include "aggregation/krum.h"

#include <algorithm>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dure {
namespace {

using ::testing::ElementsAre;
using Vectors = std::vector<std::vector<float>>;

TEST(KrumTest, ChoosesTheVectorWithTheNearestOthers) {
  // Squared distances on a line; with one poisoned of five, the two nearest count:
  // 0: 1 + 9, 1: 1 + 4, 3: 4 + 1, 4: 1 + 9, 100: huge. The smaller of the equals.
  EXPECT_EQ(Krum(Vectors{{0}, {1}, {3}, {4}, {100}}, 1), 1u);
  EXPECT_EQ(Krum(Vectors{{100}, {4}, {3.5}, {1}, {0}}, 1), 2u);
  EXPECT_EQ(Krum(Vectors{{7}}, 3), 0u);
  EXPECT_EQ(Krum(Vectors{{7}, {8}}, 3), 0u);
}

TEST(KrumTest, EqualsComeInTheSameOrderHoweverTheyCame) {
  EXPECT_EQ(Krum(Vectors{{3}, {100}, {1}, {0}, {4}}, 1), 2u);  // {1}, as above
}

TEST(KrumTest, MultiKrumAveragesTheFirstOfTheOrder) {
  // Scores of {100, 4, 3.5, 1, 0} with the two nearest: 4: 0.25 + 9; 3.5: 0.25 + 6.25;
  // 1: 1 + 6.25; 0: 1 + 12.25; 100: huge.
  const Vectors vectors = {{100}, {4}, {3.5}, {1}, {0}};
  EXPECT_THAT(KrumOrder(vectors, 1), ElementsAre(2, 3, 1, 4, 0));
  EXPECT_THAT(MultiKrum(vectors, 1, 1), ElementsAre(3.5));
  EXPECT_THAT(MultiKrum(vectors, 1, 2), ElementsAre(2.25));
  EXPECT_THAT(MultiKrum(vectors, 1, 4), ElementsAre(2.125));
  // All of them are the plain mean.
  EXPECT_THAT(MultiKrum(vectors, 1, 5), ElementsAre(21.7f));
  EXPECT_DEATH((void)MultiKrum(vectors, 1, 6), "");
  EXPECT_DEATH((void)MultiKrum(vectors, 1, 0), "");
}

TEST(KrumTest, TheRuleKeepsAllButThePresumedPoisonedAndTwo) {
  // Of seven with a share of 0.2 one is presumed, the four nearest count and four are kept.
  const Vectors vectors = {{0}, {1}, {2}, {3}, {4}, {50}, {-60}};
  // 2: 1+1+4+4; 1: 1+1+4+9, 3 the same; 0 and 4: 1+4+9+16.
  EXPECT_THAT(kMultiKrumRule.combine({.max_poisoned = 0.2}, vectors), ElementsAre(1.5));
  // Krum presumes two, and the three nearest count: 6 for 1, 2 and 3. The smallest of the equals.
  EXPECT_THAT(kKrumRule.combine({}, vectors), ElementsAre(1));
}

TEST(KrumTest, EqualsTheDefinition) {
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  for (const size_t m : {2u, 3u, 5u, 8u, 13u, 30u}) {
    for (const size_t dim : {1u, 7u, 8u, 1500u, 5000u}) {
      Vectors vectors(m, std::vector<float>(dim));
      for (std::vector<float>& vector : vectors) {
        for (float& value : vector) value = normal(random);
      }
      const size_t poisoned = m < 5 ? 0 : (m - 3) / 2;
      const size_t nearest = m > poisoned + 2 ? m - poisoned - 2 : 1;
      std::vector<std::pair<double, size_t>> scores;
      for (size_t a = 0; a < m; ++a) {
        std::vector<double> others;
        for (size_t b = 0; b < m; ++b) {
          double sum = 0;
          for (size_t i = 0; i < dim; ++i) {
            const double difference = vectors[a][i] - double{vectors[b][i]};
            sum += difference * difference;
          }
          if (b != a) others.push_back(sum);
        }
        std::sort(others.begin(), others.end());
        double score = 0;
        for (size_t i = 0; i < nearest; ++i) score += others[i];
        scores.emplace_back(score, a);
      }
      std::sort(scores.begin(), scores.end());
      const std::vector<size_t> order = KrumOrder(vectors, static_cast<uint32_t>(poisoned));
      // Two have but one distance: which comes first is a matter of their values.
      for (size_t i = 0; m > 3 && i < m; ++i) EXPECT_EQ(order[i], scores[i].second) << m << dim;
      std::vector<size_t> all = order;
      std::sort(all.begin(), all.end());
      for (size_t i = 0; i < m; ++i) EXPECT_EQ(all[i], i);
    }
  }
}

}  // namespace
}  // namespace dure
