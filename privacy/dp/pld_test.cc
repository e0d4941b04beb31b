// Numerical composition against tests/golden/gaussian_epsilon.csv, against an exact formula for two
// uses, against the exact Gaussian, and at extreme numbers.
#include "privacy/dp/pld.h"

#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "privacy/dp/analytic_gaussian.h"
#include "privacy/dp/convolution.h"
#include "privacy/dp/sampled_loss.h"
#include "tests/support/golden.h"

namespace dure::dp {
namespace {

double Epsilon(double q, double z, uint64_t steps, double delta) {
  const GaussianUses uses = {.sampling_rate = q, .noise_multiplier = z, .steps = steps};
  auto epsilon = PldEpsilon({&uses, 1}, delta);
  EXPECT_TRUE(epsilon.ok()) << epsilon.status() << " q " << q << " z " << z << " T " << steps;
  return epsilon.value_or(-1);
}

// ---- an independent, exact account of two uses ----
using Real = long double;
Real Tail(Real x) { return std::erfc(x / std::numbers::sqrt2_v<Real>) / 2; }

struct Use {
  Real q, z;
};
Real LogRatio(const Use& use, Real x) {
  return std::log(1 - use.q + use.q * std::exp((2 * x - 1) / (2 * use.z * use.z)));
}
// delta of one use at any real epsilon, negative too.
Real DeltaOfOne(const Use& use, bool add, Real epsilon) {
  const Real ratio = std::exp(add ? -epsilon : epsilon);  // of densities at the threshold
  const Real excess = (ratio - (1 - use.q)) / use.q;
  if (add && excess <= 0) return 0;
  if (excess <= 0) return 1 - std::exp(epsilon);
  const Real x = use.z * use.z * std::log(excess) + 0.5L;
  if (add) {
    const Real zero = Tail(-x / use.z), one = Tail(-(x - 1) / use.z);
    return zero - std::exp(epsilon) * ((1 - use.q) * zero + use.q * one);
  }
  const Real zero = Tail(x / use.z), one = Tail((x - 1) / use.z);
  return (1 - use.q) * zero + use.q * one - std::exp(epsilon) * zero;
}
// delta of two uses: E[delta of the second at epsilon less the loss of the first].
Real DeltaOfTwo(const Use& first, const Use& second, bool add, Real epsilon) {
  // Fine enough for the second use's delta, which changes within a loss of about q.
  const Real step = std::min(first.z, first.z * first.z * std::max<Real>(second.q, 0.002L)) / 16;
  Real sum = 0;
  for (Real x = -14 * first.z; x < 1 + 14 * first.z; x += step) {
    const Real zero = std::exp(-x * x / (2 * first.z * first.z));
    const Real one = std::exp(-(x - 1) * (x - 1) / (2 * first.z * first.z));
    const Real density = add ? zero : (1 - first.q) * zero + first.q * one;
    const Real loss = LogRatio(first, x) * (add ? -1 : 1);
    sum += density * DeltaOfOne(second, add, epsilon - loss);
  }
  return sum * step / (first.z * std::sqrt(2 * std::numbers::pi_v<Real>));
}
TEST(PldTest, TwoUsesAreTheExactFormula) {
  struct Case {
    Use first, second;
    double delta;
  };
  for (const Case& c : {Case{{0.5L, 1.0L}, {0.5L, 1.0L}, 1e-5},
                        {{0.01L, 0.7L}, {0.01L, 0.7L}, 1e-8},
                        {{0.001L, 3.0L}, {0.001L, 3.0L}, 1e-6},
                        {{0.9L, 0.4L}, {0.9L, 0.4L}, 1e-3},
                        {{0.1L, 0.5L}, {0.7L, 2.0L}, 1e-6},
                        {{0.3L, 50.0L}, {0.3L, 50.0L}, 1e-9}}) {
    std::vector<GaussianUses> uses;
    for (const Use& use : {c.first, c.second}) {
      uses.push_back({static_cast<double>(use.q), static_cast<double>(use.z), 1});
    }
    auto epsilon = PldEpsilon(uses, c.delta);
    ASSERT_TRUE(epsilon.ok()) << epsilon.status();
    auto delta_at = [&](double at) {
      return std::max(DeltaOfTwo(c.first, c.second, false, at),
                      DeltaOfTwo(c.first, c.second, true, at));
    };
    EXPECT_LE(delta_at(*epsilon), c.delta) << *epsilon;
    EXPECT_GT(delta_at(*epsilon * (1 - 1e-4) - 2e-5), c.delta) << *epsilon;
  }
}

TEST(PldTest, KnownEpsilonsAreMatched) {
  for (const testing::Row& row : testing::ReadGolden("gaussian_epsilon.csv")) {
    const double q = std::stod(row.at("q"));
    const double epsilon = Epsilon(q, std::stod(row.at("noise_multiplier")),
                                   std::stoull(row.at("steps")), std::stod(row.at("delta")));
    const double known = std::stod(row.at("epsilon_pld"));
    EXPECT_LE(epsilon, known + std::max(2e-3, 0.005 * known)) << row.at("epsilon_pld");
    EXPECT_LE(epsilon, std::stod(row.at("epsilon_rdp")) * (1 + 1e-6));
    if (!row.at("epsilon_prv_lower").empty()) {
      EXPECT_GE(epsilon, std::stod(row.at("epsilon_prv_lower")));
      EXPECT_LE(epsilon, std::stod(row.at("epsilon_prv_upper")));
    }
    if (!row.at("epsilon_exact").empty()) {
      const double exact = std::stod(row.at("epsilon_exact"));
      EXPECT_NEAR(epsilon, exact, 1e-9 * exact);
    }
  }
}

// Near q = 1 the numerical path must not fall below the exact Gaussian of a slightly smaller rate;
// the mixture with one exact step keeps the shortcuts out.
TEST(PldTest, LongRunsAreNotBelowTheExactGaussian) {
  for (uint64_t steps : {10u, 1'000u, 100'000u}) {
    const std::vector<GaussianUses> uses = {{1 - 1e-9, 10, steps}, {1, 10, 1}};
    auto epsilon = PldEpsilon(uses, 1e-6);
    ASSERT_TRUE(epsilon.ok()) << epsilon.status();
    const double exact = GaussianEpsilon(std::sqrt(static_cast<double>(steps + 1)) / 10, 1e-6);
    EXPECT_GE(*epsilon, exact * (1 - 1e-6)) << steps;
    EXPECT_LE(*epsilon, exact * (1 + 1e-12)) << steps;
  }
}

TEST(PldTest, SegmentsAreOneRun) {
  const std::vector<GaussianUses> parts = {{0.01, 1, 400}, {0.3, 2, 0}, {0.01, 1, 600}};
  auto epsilon = PldEpsilon(parts, 1e-5);
  ASSERT_TRUE(epsilon.ok());
  EXPECT_EQ(*epsilon, Epsilon(0.01, 1, 1000, 1e-5));
  EXPECT_EQ(PldEpsilon({}, 1e-5).value(), 0);
}

TEST(PldTest, MixedSegmentsCostMoreThanEachAlone) {
  const std::vector<GaussianUses> uses = {{0.001, 0.8, 1000}, {0.5, 5, 20}, {1, 20, 3}};
  const double all = PldEpsilon(uses, 1e-5).value();
  for (const GaussianUses& use : uses) EXPECT_GT(all, PldEpsilon({&use, 1}, 1e-5).value());
  EXPECT_LT(all, 2.12608915205);  // heterogeneous_composition.csv, RDP
}

TEST(PldTest, EpsilonGrowsWithStepsAndRate) {
  double last = 0;
  for (uint64_t steps : {0, 1, 2, 3, 10, 100, 1000, 10'000, 1'000'000}) {
    const double epsilon = Epsilon(0.01, 1, steps, 1e-6);
    EXPECT_GE(epsilon, last) << steps;
    last = epsilon;
  }
  last = 0;
  for (double q : {1e-6, 1e-4, 0.01, 0.1, 0.5, 0.9, 1.0}) {
    const double epsilon = Epsilon(q, 1, 100, 1e-6);
    EXPECT_GE(epsilon, last) << q;
    last = epsilon;
  }
}

TEST(PldTest, EpsilonFallsWithNoiseAndDelta) {
  double last = 1e300;
  for (double z : {0.02, 0.3, 0.5, 1.0, 2.0, 10.0, 1000.0}) {
    const double epsilon = Epsilon(0.1, z, 100, 1e-6);
    EXPECT_LT(epsilon, last) << z;
    last = epsilon;
  }
  last = 1e300;
  for (double delta : {1e-100, 1e-30, 1e-12, 1e-8, 1e-5, 1e-2, 0.5, 0.999}) {
    const double epsilon = Epsilon(0.1, 0.7, 100, delta);
    EXPECT_LT(epsilon, last) << delta;
    last = epsilon;
  }
}

TEST(PldTest, ExtremesGiveAnAnswerOrAReason) {
  for (double q : {1e-12, 1e-6, 0.5, 1 - 1e-16}) {
    for (double z : {1e-6, 0.009, 0.02, 0.3, 1000.0, 1e9}) {
      for (uint64_t steps : {1ull, 2ull, 1000ull, 1'000'000'001ull}) {
        for (double delta : {1e-100, 0.5}) {
          const GaussianUses uses = {.sampling_rate = q, .noise_multiplier = z, .steps = steps};
          auto epsilon = PldEpsilon({&uses, 1}, delta);
          if (!epsilon.ok()) {
            EXPECT_EQ(epsilon.status().code(), absl::StatusCode::kOutOfRange);
            EXPECT_NE(std::string(epsilon.status().message()).find("pld"), std::string::npos);
            continue;
          }
          EXPECT_TRUE(std::isfinite(*epsilon) && *epsilon >= 0) << q << " " << z << " " << steps;
          const double exact = GaussianEpsilon(std::sqrt(static_cast<double>(steps)) / z, delta);
          EXPECT_LE(*epsilon, exact * (1 + 1e-12)) << q << " " << z << " " << steps;
        }
      }
    }
  }
}

TEST(SampledLossTest, ProbabilityAndRatioAreKept) {
  for (double q : {1e-6, 0.01, 0.5, 1.0}) {
    for (double z : {0.05, 0.7, 30.0}) {
      for (LossDirection direction : {LossDirection::kRemove, LossDirection::kAdd}) {
        const SampledLoss loss({q, z}, direction, 1e-18);
        const DiscreteLoss discrete = loss.Discretise((loss.greatest() - loss.least()) / 1000);
        long double probability = discrete.infinite, ratio = 0;
        for (size_t i = 0; i < discrete.mass.size(); ++i) {
          EXPECT_GE(discrete.mass[i], 0);
          probability += discrete.mass[i];
          ratio += discrete.mass[i] *
                   std::exp(-static_cast<long double>(discrete.step) *
                            static_cast<long double>(discrete.first + static_cast<int64_t>(i)));
        }
        EXPECT_NEAR(static_cast<double>(probability), 1, 1e-12) << q << " " << z;
        // E[e^-loss] = 1, but for what the other distribution has where this one is cut off.
        if (z > 0.1) {
          EXPECT_NEAR(static_cast<double>(ratio), 1, 1e-9) << q << " " << z;
        }
      }
    }
  }
}

TEST(CircularSumTest, SumsOfDiceAreExactWithinTheBound) {
  CircularSum sum(64);
  std::vector<double> die(64);
  for (int i = 1; i <= 6; ++i) die[i] = 1.0 / 6;
  sum.Add(die, 2);
  std::vector<double> coin(64);
  coin[0] = coin[63] = 0.5;  // 0 or -1
  sum.Add(coin, 1);
  const CircularSum::Result result = std::move(sum).Finish();
  for (int total = 1; total <= 12; ++total) {
    auto of_dice = [](int t) { return t < 2 || t > 12 ? 0.0 : (6 - std::abs(t - 7)) / 36.0; };
    EXPECT_NEAR(result.mass[total], (of_dice(total) + of_dice(total + 1)) / 2, 1e-15);
  }
  EXPECT_GT(result.error, 0);
  EXPECT_LT(result.error, 1e-12);
}

TEST(CircularSumTest, BoundCoversManyUses) {
  // A sum of `count` bits: binomial, wrapped.
  constexpr uint64_t kCount = 1'000'000;
  constexpr int64_t kSize = 1 << 14;
  std::vector<double> bit(kSize);
  bit[0] = bit[1] = 0.5;
  CircularSum sum(kSize);
  sum.Add(bit, kCount);
  const CircularSum::Result result = std::move(sum).Finish();
  double squares = 0;
  for (int64_t k = -6000; k <= 6000; ++k) {
    const long double n = kCount;
    const long double x = n / 2 + k;
    const long double exact = std::exp(std::lgamma(n + 1) - std::lgamma(x + 1) -
                                       std::lgamma(n - x + 1) - n * std::log(2.0L));
    const auto index = static_cast<uint64_t>(kCount / 2 + k) % kSize;
    squares += std::pow(static_cast<double>(result.mass[index] - exact), 2);
  }
  EXPECT_LE(std::sqrt(squares), result.error);
  EXPECT_LT(result.error, 1e-7);
}

}  // namespace
}  // namespace dure::dp
