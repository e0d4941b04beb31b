// Accountants of Gaussian noise against tests/golden/*.csv; monotone where they must be; errors.
#include "privacy/dp/gaussian_accountant.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/golden.h"

namespace dure::dp {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

absl::StatusOr<EpsilonAtOrder> Account(const GaussianUses& uses, double delta,
                                       Accountant accountant = Accountant::kRdp) {
  return AccountGaussian({&uses, 1}, delta, accountant);
}

TEST(GaussianAccountantTest, RdpIsTheKnownOneAndNotBelowTheTruth) {
  for (const testing::Row& row : testing::ReadGolden("gaussian_epsilon.csv")) {
    const GaussianUses uses = {std::stod(row.at("q")), std::stod(row.at("noise_multiplier")),
                               std::stoull(row.at("steps"))};
    auto result = Account(uses, std::stod(row.at("delta")));
    ASSERT_TRUE(result.ok());
    const double expected = std::stod(row.at("epsilon_rdp_int"));
    EXPECT_NEAR(result->epsilon, expected, 1e-6 * expected + 1e-8);
    if (!row.at("epsilon_prv_lower").empty()) {
      EXPECT_GE(result->epsilon, std::stod(row.at("epsilon_prv_lower")));
    }
    if (!row.at("epsilon_exact").empty()) {
      EXPECT_GE(result->epsilon, std::stod(row.at("epsilon_exact")));
    }
  }
}

TEST(GaussianAccountantTest, PldIsNeverAboveRdp) {
  for (double q : {1e-5, 0.01, 0.3, 1.0}) {
    for (double z : {0.4, 1.0, 8.0}) {
      for (uint64_t steps : {0, 1, 7, 500}) {
        for (double delta : {1e-12, 1e-5, 0.4}) {
          const double rdp = Account({q, z, steps}, delta)->epsilon;
          auto pld = Account({q, z, steps}, delta, Accountant::kPld);
          ASSERT_TRUE(pld.ok()) << pld.status();
          EXPECT_LE(pld->epsilon, rdp) << q << " " << z << " " << steps << " " << delta;
          EXPECT_EQ(pld->order, 0);
        }
      }
    }
  }
}

TEST(GaussianAccountantTest, SegmentsAreTheKnownOnes) {
  for (const testing::Row& row : testing::ReadGolden("heterogeneous_composition.csv")) {
    std::vector<GaussianUses> uses;
    std::string segments = row.at("segments_q_z_T") + ";";
    for (size_t start = 0, end; (end = segments.find(';', start)) != std::string::npos;
         start = end + 1) {
      double q, z;
      unsigned long long steps;
      ASSERT_EQ(std::sscanf(segments.c_str() + start, "%lf:%lf:%llu", &q, &z, &steps), 3);
      uses.push_back({q, z, steps});
    }
    const double delta = std::stod(row.at("delta"));
    const EpsilonAtOrder rdp = AccountGaussian(uses, delta, Accountant::kRdp).value();
    const double expected = std::stod(row.at("epsilon_rdp_int"));
    EXPECT_NEAR(rdp.epsilon, expected, 1e-6 * expected);
    EXPECT_EQ(std::to_string(rdp.order), row.at("rdp_order"));
    const double pld = AccountGaussian(uses, delta, Accountant::kPld)->epsilon;
    EXPECT_LT(pld, rdp.epsilon);
    EXPECT_GT(pld, 0.5 * rdp.epsilon);
  }
}

TEST(WithoutReplacementTest, EpsilonIsTheKnownOne) {
  for (const testing::Row& row : testing::ReadGolden("wor_replace_one.csv")) {
    const GaussianUses uses = {std::stod(row.at("cohort")) / std::stod(row.at("population")),
                               std::stod(row.at("noise_multiplier_vs_replace_sensitivity")),
                               std::stoull(row.at("steps"))};
    const double delta = std::stod(row.at("delta"));
    auto result = AccountWithoutReplacement(uses, delta);
    ASSERT_TRUE(result.ok()) << result.status();
    const double plain = std::stod(row.at("epsilon_rdp_no_amplification"));
    const double expected = std::min(std::stod(row.at("epsilon_rdp_wbk19")), plain);
    EXPECT_NEAR(result->epsilon, expected, 1e-6 * expected);
    EXPECT_EQ(std::to_string(result->order), row.at("rdp_order"));
  }
}

TEST(WithoutReplacementTest, GrowsWithTheSample) {
  for (double z : {0.3, 1.0, 5.0, 1000.0}) {
    double last = 0;
    for (double q : {1e-6, 1e-3, 0.1, 0.5, 0.9, 1.0}) {
      const double epsilon = AccountWithoutReplacement({q, z, 50}, 1e-6)->epsilon;
      EXPECT_GE(epsilon, last) << q << " " << z;
      last = epsilon;
    }
  }
}

TEST(TreeTest, EpsilonIsTheKnownOne) {
  for (const testing::Row& row : testing::ReadGolden("dpftrl_tree.csv")) {
    const GaussianUses uses = {1, std::stod(row.at("noise_multiplier")),
                               std::stoull(row.at("steps"))};
    auto result = AccountTree(uses, std::stod(row.at("delta")));
    ASSERT_TRUE(result.ok()) << result.status();
    const double expected = std::stod(row.at("epsilon_rdp_int"));
    EXPECT_NEAR(result->epsilon, expected, 1e-6 * expected);
    EXPECT_EQ(std::to_string(result->order), row.at("rdp_order"));
  }
  EXPECT_EQ(AccountTree({1, 1, 0}, 1e-5)->epsilon, 0);
  EXPECT_EQ(AccountTree({0.5, 1, 1}, 1e-5).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(SkellamTest, BoundIsTheKnownOneAndNotBelowTheExactDivergence) {
  for (const testing::Row& row : testing::ReadGolden("skellam_rdp.csv")) {
    const double shift = std::stod(row.at("shift"));
    const double rdp = SkellamSumRdp({.variance = std::stod(row.at("variance_mu")),
                                      .norm_bound_sq = shift * shift,
                                      .l1_bound = IntegerL1Bound(1, shift * shift)},
                                     std::stoi(row.at("alpha")));
    const double expected = std::stod(row.at("rdp_bound"));
    EXPECT_NEAR(rdp, expected, 1e-9 * expected);
    EXPECT_GE(rdp, std::stod(row.at("renyi_divergence_exact")));
  }
}

TEST(SkellamTest, VectorBoundIsTheKnownOne) {
  for (const testing::Row& row : testing::ReadGolden("skellam_vector_bound.csv")) {
    const double l2 = std::stod(row.at("l2_sensitivity"));
    EXPECT_EQ(IntegerL1Bound(std::stoull(row.at("dim")), l2 * l2),
              std::stod(row.at("l1_sensitivity")));
    const double rdp = SkellamSumRdp({.variance = std::stod(row.at("variance_mu")),
                                      .norm_bound_sq = l2 * l2,
                                      .l1_bound = std::stod(row.at("l1_sensitivity"))},
                                     std::stoi(row.at("alpha")));
    const double expected = std::stod(row.at("rdp_bound"));
    EXPECT_NEAR(rdp, expected, 1e-9 * expected);
  }
}

// One discrete Gaussian: the divergence by summation is the file's, and at integer orders that of
// the continuous Gaussian (docs/privacy.md).
TEST(DiscreteGaussianRdpTest, ExactDivergenceIsTheKnownOneAndBelowTheBound) {
  for (const testing::Row& row : testing::ReadGolden("discrete_gaussian_rdp.csv")) {
    const long double sigma2 = std::stold(row.at("sigma2"));
    const long double shift = std::stold(row.at("shift"));
    const long double alpha = std::stold(row.at("alpha"));
    const auto reach = static_cast<int64_t>(20 * std::sqrt(sigma2) + alpha * shift) + 20;
    // (P/Q)^alpha Q, with P around 0 and Q around `shift`; its logarithm peaks at `peak`.
    const long double peak = alpha * (alpha - 1) * shift * shift / (2 * sigma2);
    long double norm = 0, moment = 0;
    for (int64_t x = -reach; x <= reach; ++x) {
      const auto at = static_cast<long double>(x);
      norm += std::exp(-at * at / (2 * sigma2));
      moment += std::exp(
          (-alpha * at * at + (alpha - 1) * (at - shift) * (at - shift)) / (2 * sigma2) - peak);
    }
    const auto divergence = static_cast<double>((std::log(moment / norm) + peak) / (alpha - 1));
    const double expected = std::stod(row.at("renyi_divergence_exact"));
    EXPECT_NEAR(divergence, expected, 1e-10 * expected);
    const double bound = static_cast<double>(alpha * shift * shift / (2 * sigma2));
    EXPECT_NEAR(bound, std::stod(row.at("zcdp_bound")), 1e-10 * bound);
    EXPECT_LE(divergence, bound * (1 + 1e-12));
    if (alpha == std::floor(alpha)) {
      const double z = static_cast<double>(std::sqrt(sigma2) / shift);
      EXPECT_NEAR(divergence, SubsampledGaussianRdp(1, z, static_cast<int>(alpha)),
                  1e-10 * expected);
    }
  }
}

TEST(GaussianAccountantTest, BadNumbersAreNamed) {
  auto expect_named = [](const GaussianUses& uses, double delta, const std::string& name) {
    for (Accountant accountant : {Accountant::kRdp, Accountant::kPld}) {
      auto result = Account(uses, delta, accountant);
      EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
      EXPECT_NE(std::string(result.status().message()).find(name), std::string::npos)
          << result.status();
    }
    EXPECT_EQ(AccountWithoutReplacement(uses, delta).status().code(),
              absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(AccountTree(uses, delta).status().code(), absl::StatusCode::kInvalidArgument);
  };
  for (double q : {0.0, -0.1, 1.5, kNan, kInfinity, 1e-320}) {
    expect_named({q, 1, 10}, 1e-5, "sampling_rate");
  }
  for (double z : {0.0, -1.0, kNan, kInfinity, 1e-320, 1e308}) {
    expect_named({1, z, 10}, 1e-5, "noise_multiplier");
  }
  for (double delta : {0.0, -1e-5, 1.0, kNan, kInfinity, 1e-320}) {
    expect_named({1, 1, 10}, delta, "delta");
  }
  expect_named({1, 1, kMaxSteps + 1}, 1e-5, "steps");
}

}  // namespace
}  // namespace dure::dp
