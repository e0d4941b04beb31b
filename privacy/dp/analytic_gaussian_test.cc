// The exact Gaussian against tests/golden/gaussian_epsilon.csv, and where numbers are extreme.
#include "privacy/dp/analytic_gaussian.h"

#include <cmath>
#include <string>

#include "gtest/gtest.h"
#include "tests/support/golden.h"

namespace dure::dp {
namespace {

TEST(AnalyticGaussianTest, EpsilonIsTheKnownOne) {
  int rows = 0;
  for (const testing::Row& row : testing::ReadGolden("gaussian_epsilon.csv")) {
    if (row.at("epsilon_exact").empty()) continue;
    const double mu = std::sqrt(std::stod(row.at("steps"))) / std::stod(row.at("noise_multiplier"));
    const double expected = std::stod(row.at("epsilon_exact"));
    EXPECT_NEAR(GaussianEpsilon(mu, std::stod(row.at("delta"))), expected, 1e-9 * expected);
    ++rows;
  }
  EXPECT_GT(rows, 5);
}

TEST(AnalyticGaussianTest, NoiseOfTheKnownCalibrationReachesItsTarget) {
  for (const testing::Row& row : testing::ReadGolden("calibration.csv")) {
    if (row.at("tight_method") != "exact") continue;
    const double z = std::stod(row.at("noise_multiplier_tight"));
    const double mu = std::sqrt(std::stod(row.at("steps"))) / z;
    const double target = std::stod(row.at("target_epsilon"));
    EXPECT_NEAR(GaussianEpsilon(mu, std::stod(row.at("delta"))), target, 1e-5 * target);
  }
}

TEST(AnalyticGaussianTest, DeltaAndEpsilonAreInverse) {
  for (double mu : {1e-9, 1e-6, 1e-3, 0.1, 1.0, 5.0, 100.0, 1e6, 1e12}) {
    for (double delta : {0.9, 0.5, 1e-2, 1e-5, 1e-12, 1e-50, 1e-100}) {
      const double epsilon = GaussianEpsilon(mu, delta);
      ASSERT_TRUE(std::isfinite(epsilon)) << mu << " " << delta;
      if (epsilon == 0) {
        EXPECT_LE(GaussianDelta(mu, 0), delta) << mu;
      } else if (mu < 1e5) {
        EXPECT_LE(GaussianDelta(mu, epsilon), delta) << mu << " " << epsilon;
        EXPECT_GT(GaussianDelta(mu, epsilon * (1 - 1e-5)), delta) << mu << " " << epsilon;
      }
    }
  }
}

TEST(AnalyticGaussianTest, SmallShiftsAreSmallTotalVariation) {
  // delta(0) = 2 Phi(mu/2) - 1, about mu / sqrt(2 pi).
  for (double mu : {1e-9, 1e-5, 1e-2}) {
    EXPECT_NEAR(GaussianDelta(mu, 0) / (mu * 0.3989422804014327), 1, 1e-5);
  }
}

TEST(AnalyticGaussianTest, ASampleCostsLess) {
  for (double z : {0.5, 1.0, 4.0}) {
    double last = 0;
    for (double q : {1e-12, 1e-6, 1e-3, 0.1, 0.5, 0.999, 1.0}) {
      const double epsilon = SampledGaussianEpsilon(q, z, 1e-7);
      EXPECT_GE(epsilon, last);
      last = epsilon;
    }
    EXPECT_NEAR(last, GaussianEpsilon(1 / z, 1e-7), 1e-12 * last);
    EXPECT_EQ(SampledGaussianEpsilon(1e-8, z, 1e-7), 0);
  }
}

}  // namespace
}  // namespace dure::dp
