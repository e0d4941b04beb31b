// Accountants and RDP curves against tests/golden/*.csv; monotone where they must be.
#include "privacy/dp/record_accountant.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "privacy/dp/rdp.h"
#include "tests/support/golden.h"

namespace dure::dp {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

void ExpectRelative(double actual, double expected, double tolerance, const std::string& what) {
  EXPECT_NEAR(actual, expected, tolerance * std::abs(expected)) << what;
}

RecordGradientParams Params(double noise_multiplier = 1) {
  return {
      .dim = 26010, .clip_norm = 1, .noise_multiplier = noise_multiplier, .honest_survivors = 8};
}

double Epsilon(double q, double z, uint64_t attempts, double delta) {
  return RecordAccountant::Create(Params(z), q)->Epsilon(attempts, delta)->epsilon;
}

TEST(RdpTest, SumOfDiscreteGaussiansIsTheKnownBound) {
  for (const testing::Row& row : testing::ReadGolden("ddgauss_rdp.csv")) {
    const double sigma = std::stod(row.at("sigma_local"));
    const double l2 = std::stod(row.at("l2_sensitivity"));
    const double rdp = DiscreteGaussianSumRdp({.dim = std::stoull(row.at("dim")),
                                               .parties = std::stod(row.at("n")),
                                               .sigma2_local = sigma * sigma,
                                               .norm_bound_sq = l2 * l2},
                                              std::stod(row.at("alpha")));
    ExpectRelative(rdp, std::stod(row.at("rdp_bound")), 1e-9, row.at("rdp_bound"));
  }
}

TEST(RdpTest, BoundIsNotBelowTheExactDivergence) {
  for (const testing::Row& row : testing::ReadGolden("ddgauss_exact_1d.csv")) {
    const double sigma = std::stod(row.at("sigma_local"));
    const double shift = std::stod(row.at("shift"));
    const double rdp = DiscreteGaussianSumRdp({.dim = 1,
                                               .parties = std::stod(row.at("n")),
                                               .sigma2_local = sigma * sigma,
                                               .norm_bound_sq = shift * shift},
                                              std::stod(row.at("alpha")));
    ExpectRelative(rdp, std::stod(row.at("rdp_bound")), 1e-9, row.at("rdp_bound"));
    EXPECT_GE(rdp, std::stod(row.at("renyi_divergence_exact")) * (1 - 1e-12));
  }
}

TEST(RdpTest, ManyPartiesAreBoundedNotSummed) {
  const DiscreteGaussianSum few = {
      .dim = 1, .parties = 4097, .sigma2_local = 1, .norm_bound_sq = 1};
  DiscreteGaussianSum many = few;
  many.parties = 1e9;
  EXPECT_GT(DiscreteGaussianSumRdp(few, 2), 0);
  EXPECT_TRUE(std::isfinite(DiscreteGaussianSumRdp(many, 2)));
}

TEST(RdpTest, SubsampledGaussianIsTheKnownDivergence) {
  for (const testing::Row& row : testing::ReadGolden("rdp_orders.csv")) {
    const double order = std::stod(row.at("alpha"));
    if (order != std::floor(order)) continue;
    const double expected = std::stod(row.at("rdp_one_step"));
    EXPECT_NEAR(SubsampledGaussianRdp(std::stod(row.at("q")), std::stod(row.at("z")),
                                      static_cast<int>(order)),
                expected, 1e-8 * expected + 1e-14)
        << row.at("q") << " " << row.at("z") << " " << order;
  }
}

TEST(RdpTest, SamplingNeverCostsMoreThanNoSampling) {
  std::vector<double> rdp;
  for (int order : SubsampledOrders()) rdp.push_back(order / (2 * 0.5 * 0.5));
  for (double q : {1e-6, 0.01, 0.5, 0.99, 1.0}) {
    const std::vector<double> sampled = PoissonSubsampledRdp(q, rdp);
    for (size_t i = 0; i < rdp.size(); ++i) {
      EXPECT_LE(sampled[i], rdp[i]);
      // At order 2 the general theorem is the Gaussian's own formula; above, it is never below.
      EXPECT_GE(sampled[i], SubsampledGaussianRdp(q, 0.5, static_cast<int>(i) + 2) * (1 - 1e-9));
    }
  }
}

TEST(RdpTest, HugeDivergencesDoNotOverflow) {
  std::vector<double> rdp(63, 1e6);
  for (double r : PoissonSubsampledRdp(0.01, rdp)) EXPECT_TRUE(std::isfinite(r));
  EXPECT_TRUE(std::isfinite(SubsampledGaussianRdp(0.01, 0.01, 1024)));
  EXPECT_GT(SubsampledGaussianRdp(1e-9, 100, 2), 0);  // (q/z)^2 = 1e-22 is not lost beside 1
}

TEST(RdpTest, WithoutSamplingEpsilonIsTheKnownOne) {
  int rows = 0;
  for (const testing::Row& row : testing::ReadGolden("distributed_epsilon.csv")) {
    if (row.at("mechanism") != "ddgauss") continue;
    const DiscreteGaussianSum sum = {
        .dim = std::stoull(row.at("dim")),
        .parties = std::stod(row.at("u_min")) - std::stod(row.at("c_max")),
        .sigma2_local = std::stod(row.at("sigma2_local_int")),
        .norm_bound_sq = std::stod(row.at("norm_bound_sq_int"))};
    std::vector<double> rdp;
    for (int order : AllOrders()) rdp.push_back(DiscreteGaussianSumRdp(sum, order));
    const EpsilonAtOrder result =
        RdpCurve(AllOrders(), rdp)
            .Epsilon(std::stoull(row.at("participations")), std::stod(row.at("delta")));
    ExpectRelative(result.epsilon, std::stod(row.at("epsilon_rdp_int")), 1e-6, row.at("delta"));
    EXPECT_EQ(std::to_string(result.order), row.at("rdp_order"));
    ++rows;
  }
  EXPECT_GT(rows, 5);
}

TEST(RecordAccountantTest, EpsilonAndOrderAreTheKnownOnes) {
  for (const testing::Row& row : testing::ReadGolden("record_distributed_epsilon.csv")) {
    auto accountant = RecordAccountant::Create(
        {.dim = std::stoull(row.at("dim")),
         .clip_norm = std::stod(row.at("clip")),
         .noise_multiplier = std::stod(row.at("noise_multiplier")),
         .honest_survivors = static_cast<uint32_t>(std::stoul(row.at("honest_survivors")))},
        std::stod(row.at("sampling_rate")));
    ASSERT_TRUE(accountant.ok()) << accountant.status();
    auto result = accountant->Epsilon(std::stoull(row.at("steps")), std::stod(row.at("delta")));
    ASSERT_TRUE(result.ok());
    ExpectRelative(result->epsilon, std::stod(row.at("epsilon")), 1e-6, row.at("epsilon"));
    EXPECT_EQ(std::to_string(result->order), row.at("order"));
    EXPECT_EQ(std::to_string(accountant->gradient().norm_bound_sq), row.at("norm_bound_sq_int"));
  }
}

TEST(RecordAccountantTest, EpsilonGrowsWithAttemptsAndRate) {
  double last = 0;
  for (uint64_t attempts : {0, 1, 2, 10, 300, 5000, 1'000'000}) {
    const double epsilon = Epsilon(0.01, 1, attempts, 1e-5);
    EXPECT_GE(epsilon, last);
    EXPECT_TRUE(std::isfinite(epsilon));
    last = epsilon;
  }
  last = 0;
  for (double q : {1e-6, 1e-4, 0.01, 0.1, 0.5, 0.9, 1.0}) {
    const double epsilon = Epsilon(q, 1, 100, 1e-5);
    EXPECT_GT(epsilon, last);
    last = epsilon;
  }
}

TEST(RecordAccountantTest, EpsilonFallsWithNoiseAndDelta) {
  double last = kInfinity;
  for (double z : {0.3, 0.5, 1.0, 1.5, 3.0, 10.0}) {
    const double epsilon = Epsilon(0.01, z, 300, 1e-5);
    EXPECT_LT(epsilon, last);
    last = epsilon;
  }
  last = kInfinity;
  for (double delta : {1e-12, 1e-8, 1e-5, 1e-3, 0.1}) {
    const double epsilon = Epsilon(0.01, 1, 300, delta);
    EXPECT_LT(epsilon, last);
    last = epsilon;
  }
}

TEST(RecordAccountantTest, NoAttemptCostsNothing) { EXPECT_EQ(Epsilon(0.01, 1, 0, 1e-5), 0); }

TEST(RecordAccountantTest, BadSamplingRateIsRefused) {
  for (double q : {0.0, -0.1, 1.0001, kNan, kInfinity}) {
    EXPECT_EQ(RecordAccountant::Create(Params(), q).status().code(),
              absl::StatusCode::kInvalidArgument)
        << q;
  }
}

TEST(RecordAccountantTest, WithoutNoiseThereIsNothingToAccountFor) {
  EXPECT_EQ(RecordAccountant::Create(
                {.dim = 10, .clip_norm = 1, .honest_survivors = 1, .noiseless = true}, 0.5)
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(RecordAccountantTest, BadParametersAreRefused) {
  EXPECT_EQ(RecordAccountant::Create({}, 0.01).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(RecordAccountant::Create(Params(kNan), 0.01).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(RecordAccountantTest, BadDeltaIsRefused) {
  const RecordAccountant accountant = RecordAccountant::Create(Params(), 0.01).value();
  for (double delta : {0.0, -1e-5, 1.0, 2.0, kNan, kInfinity, 1e-320}) {
    EXPECT_EQ(accountant.Epsilon(1, delta).status().code(), absl::StatusCode::kInvalidArgument)
        << delta;
  }
}

}  // namespace
}  // namespace dure::dp
