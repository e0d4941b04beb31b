// Client-level epsilon: monotone, of the integers that are derived, and errors. The bounds
// themselves are held against tests/golden in record_accountant_test.cc and
// gaussian_accountant_test.cc.
#include "privacy/dp/distributed_accountant.h"

#include <limits>
#include <string>

#include "gtest/gtest.h"
#include "tests/support/golden.h"

namespace dure::dp {
namespace {

ClientEncodingParams Params(double noise_multiplier = 1) {
  return {.dim = 1000,
          .clip_norm = 1,
          .noise_multiplier = noise_multiplier,
          .invited = 100,
          .honest_survivors = 70};
}

double Epsilon(const ClientEncodingParams& params, uint64_t participations, double delta,
               DistributedMechanism mechanism = DistributedMechanism::kDiscreteGaussian) {
  auto accountant = DistributedAccountant::Create(params, mechanism);
  EXPECT_TRUE(accountant.ok()) << accountant.status();
  return accountant->Epsilon(participations, delta)->epsilon;
}

TEST(DistributedAccountantTest, SkellamEpsilonIsTheKnownOne) {
  int rows = 0;
  for (const testing::Row& row : testing::ReadGolden("distributed_epsilon.csv")) {
    if (row.at("mechanism") != "skellam") continue;
    const double norm_bound_sq = std::stod(row.at("norm_bound_sq_int"));
    const double parties = std::stod(row.at("u_min")) - std::stod(row.at("c_max"));
    std::vector<double> rdp;
    for (int order : AllOrders()) {
      rdp.push_back(
          SkellamSumRdp({.variance = parties * std::stod(row.at("sigma2_local_int")),
                         .norm_bound_sq = norm_bound_sq,
                         .l1_bound = IntegerL1Bound(std::stoull(row.at("dim")), norm_bound_sq)},
                        order));
    }
    const EpsilonAtOrder result =
        RdpCurve(AllOrders(), rdp)
            .Epsilon(std::stoull(row.at("participations")), std::stod(row.at("delta")));
    const double expected = std::stod(row.at("epsilon_rdp_int"));
    EXPECT_NEAR(result.epsilon, expected, 1e-6 * expected);
    EXPECT_EQ(std::to_string(result.order), row.at("rdp_order"));
    ++rows;
  }
  EXPECT_GT(rows, 5);
}

TEST(DistributedAccountantTest, NoiseIsThatOfTheMultiplier) {
  // Rounded up, so at most the epsilon of the continuous Gaussian at z plus the sum's own distance.
  const double continuous = RdpCurve(AllOrders(),
                                     [] {
                                       std::vector<double> rdp;
                                       for (int order : AllOrders()) {
                                         rdp.push_back(SubsampledGaussianRdp(1, 2, order));
                                       }
                                       return rdp;
                                     }())
                                .Epsilon(10, 1e-6)
                                .epsilon;
  const double epsilon = Epsilon(Params(2), 10, 1e-6);
  EXPECT_LE(epsilon, continuous * (1 + 1e-9));
  EXPECT_GE(epsilon, continuous * 0.99);
  EXPECT_GE(Epsilon(Params(2), 10, 1e-6, DistributedMechanism::kSkellam), epsilon);
}

TEST(DistributedAccountantTest, Monotone) {
  double last = 0;
  for (uint64_t participations : {0, 1, 2, 10, 1000, 1'000'000}) {
    const double epsilon = Epsilon(Params(), participations, 1e-6);
    EXPECT_GE(epsilon, last);
    last = epsilon;
  }
  last = std::numeric_limits<double>::infinity();
  for (double z : {0.3, 0.5, 1.0, 3.0, 10.0}) {
    const double epsilon = Epsilon(Params(z), 10, 1e-6);
    EXPECT_LT(epsilon, last);
    last = epsilon;
  }
  last = std::numeric_limits<double>::infinity();
  for (double delta : {1e-100, 1e-12, 1e-6, 1e-3, 0.5}) {
    const double epsilon = Epsilon(Params(), 10, delta);
    EXPECT_LT(epsilon, last);
    last = epsilon;
  }
}

TEST(DistributedAccountantTest, BadParametersAreRefused) {
  const auto mechanism = DistributedMechanism::kDiscreteGaussian;
  for (double z : {0.0, -1.0, std::numeric_limits<double>::quiet_NaN(), 1e308}) {
    EXPECT_EQ(DistributedAccountant::Create(Params(z), mechanism).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
  ClientEncodingParams noiseless = Params(0);
  noiseless.noiseless = true;
  EXPECT_EQ(DistributedAccountant::Create(noiseless, mechanism).status().code(),
            absl::StatusCode::kInvalidArgument);
  auto accountant = DistributedAccountant::Create(Params(), mechanism);
  for (double delta : {0.0, -1.0, 1.0, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_EQ(accountant->Epsilon(1, delta).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace dure::dp
