// Geometric medians that geometry knows, and that no other point has a smaller sum of distances.
#include "aggregation/geometric_median.h"

#include <cmath>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dure {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using Vectors = std::vector<std::vector<float>>;

double SumOfDistances(const Vectors& vectors, const std::vector<double>& point) {
  double sum = 0;
  for (const std::vector<float>& vector : vectors) {
    double squares = 0;
    for (size_t i = 0; i < point.size(); ++i) squares += std::pow(vector[i] - point[i], 2);
    sum += std::sqrt(squares);
  }
  return sum;
}

TEST(GeometricMedianTest, OneAndTwoVectors) {
  EXPECT_THAT(GeometricMedian(Vectors{{2, -1}}), ElementsAre(2, -1));
  EXPECT_THAT(GeometricMedian(Vectors{{0, 0}, {2, 4}}), ElementsAre(1, 2));
}

TEST(GeometricMedianTest, TheFermatPointOfATriangle) {
  // All sides are seen from it at 120 degrees. Of a triangle with two equal sides it lies on the
  // axis, at base / (2 sqrt 3) above the base.
  const float height = static_cast<float>(3 / std::sqrt(3.0));
  EXPECT_THAT(GeometricMedian(Vectors{{-3, 0}, {3, 0}, {0, 9}}),
              ElementsAre(FloatNear(0, 1e-5f), FloatNear(height, 1e-4f)));
  // A corner of 120 degrees or more is it.
  EXPECT_THAT(GeometricMedian(Vectors{{-3, 0}, {3, 0}, {0, 1}}),
              ElementsAre(FloatNear(0, 1e-4f), FloatNear(1, 1e-3f)));
}

TEST(GeometricMedianTest, TheCrossingOfTheDiagonals) {
  EXPECT_THAT(GeometricMedian(Vectors{{0, 0}, {8, 8}, {0, 2}, {2, 0}}),
              ElementsAre(FloatNear(1, 1e-3f), FloatNear(1, 1e-3f)));
}

TEST(GeometricMedianTest, OnALineTheMedian) {
  EXPECT_THAT(GeometricMedian(Vectors{{0, 0}, {1, 1}, {3, 3}, {10, 10}, {400, 400}}),
              ElementsAre(FloatNear(3, 1e-3f), FloatNear(3, 1e-3f)));
}

TEST(GeometricMedianTest, WhereHalfOfThemAre) {
  EXPECT_THAT(GeometricMedian(Vectors{{5, 6}, {5, 6}, {5, 6}, {1e30f, 2}, {-7, 1e9f}}),
              ElementsAre(5, 6));
}

// The sum of distances is convex: where no small step in any direction lowers it, it is smallest.
TEST(GeometricMedianTest, NoPointNearbyIsNearerToAll) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  for (const size_t m : {3u, 4u, 7u, 20u}) {
    for (const size_t dim : {2u, 5u, 11u}) {
      Vectors vectors(m, std::vector<float>(dim));
      for (std::vector<float>& vector : vectors) {
        for (float& value : vector) value = normal(random);
      }
      const std::vector<float> median = GeometricMedian(vectors);
      const std::vector<double> point(median.begin(), median.end());
      const double least = SumOfDistances(vectors, point);
      for (size_t i = 0; i < dim; ++i) {
        for (const double step : {0.02, -0.02}) {
          std::vector<double> beside = point;
          beside[i] += step;
          EXPECT_GT(SumOfDistances(vectors, beside) + 1e-6, least) << m << " " << dim;
        }
      }
    }
  }
}

TEST(GeometricMedianTest, MovesWithTheVectors) {
  const Vectors vectors = {{1, 2, 0}, {3, -1, 4}, {0, 0, 1}, {2, 2, 2}, {-1, 5, 3}};
  const std::vector<float> median = GeometricMedian(vectors);
  Vectors moved = vectors;
  for (std::vector<float>& vector : moved) {
    for (float& value : vector) value = 1000 * value + 64;
  }
  const std::vector<float> of_moved = GeometricMedian(moved);
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(of_moved[i], 1000 * median[i] + 64, 0.01);
}

// 2 (m - f) / (m - 2 f) times what honest vectors reach, whatever the others are.
TEST(GeometricMedianTest, MovesNoFurtherThanTheTheoremSays) {
  std::mt19937 random(4);
  std::normal_distribution<float> normal;
  constexpr size_t kDim = 20;
  for (const size_t m : {5u, 9u, 21u}) {
    for (size_t poisoned = 1; 2 * poisoned < m; ++poisoned) {
      for (const float far : {3.0f, 1e3f, 1e12f, 1e37f}) {
        Vectors vectors(m, std::vector<float>(kDim));
        double reach = 0;
        for (size_t v = 0; v < m; ++v) {
          double squares = 0;
          for (float& value : vectors[v]) {
            value = normal(random);
            squares += double{value} * value;
          }
          if (v < poisoned) {
            vectors[v].assign(kDim, far);
          } else {
            reach = std::max(reach, std::sqrt(squares));
          }
        }
        double squares = 0;
        for (const float value : GeometricMedian(vectors)) squares += double{value} * value;
        const double f = static_cast<double>(poisoned), n = static_cast<double>(m);
        EXPECT_LE(std::sqrt(squares), 2 * (n - f) / (n - 2 * f) * reach) << m << " " << poisoned;
      }
    }
  }
}

}  // namespace
}  // namespace dure
