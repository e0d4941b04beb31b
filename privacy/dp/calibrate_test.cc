// Calibration against tests/golden/calibration.csv, as the inverse of each accountant, and errors.
#include "privacy/dp/calibrate.h"

#include <cmath>
#include <limits>
#include <string>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "privacy/dp/distributed_accountant.h"
#include "privacy/dp/gaussian_accountant.h"
#include "privacy/dp/record_accountant.h"
#include "tests/support/golden.h"

namespace dure::dp {
namespace {

EpsilonOfNoise Gaussian(double q, uint64_t steps, double delta, Accountant accountant) {
  return [=](double z) -> absl::StatusOr<double> {
    const GaussianUses uses = {q, z, steps};
    auto result = AccountGaussian({&uses, 1}, delta, accountant);
    if (!result.ok()) return result.status();
    return result->epsilon;
  };
}

TEST(CalibrateTest, NoiseIsTheKnownOne) {
  for (const testing::Row& row : testing::ReadGolden("calibration.csv")) {
    const double target = std::stod(row.at("target_epsilon"));
    const double delta = std::stod(row.at("delta"));
    const double q = std::stod(row.at("q"));
    const uint64_t steps = std::stoull(row.at("steps"));
    const EpsilonOfNoise rdp = Gaussian(q, steps, delta, Accountant::kRdp);
    auto found = CalibrateNoise({.epsilon = target, .tolerance = 1e-10}, rdp);
    ASSERT_TRUE(found.ok()) << found.status();
    const double expected = std::stod(row.at("noise_multiplier_rdp_int"));
    EXPECT_NEAR(*found, expected, 1e-5 * expected);
    EXPECT_LE(*rdp(*found), target);

    const EpsilonOfNoise pld = Gaussian(q, steps, delta, Accountant::kPld);
    const bool exact = row.at("tight_method") == "exact";
    auto tight =
        CalibrateNoise({.epsilon = target, .tolerance = exact ? 1e-7 : 1e-4, .start = *found}, pld);
    ASSERT_TRUE(tight.ok()) << tight.status();
    const double known = std::stod(row.at("noise_multiplier_tight"));
    EXPECT_NEAR(*tight, known, exact ? 1e-5 * known : std::max(2e-3, 0.005 * known));
    EXPECT_LE(*pld(*tight), target);
    EXPECT_GE(*pld(*tight), target * (1 - 1e-3));
    EXPECT_LE(*tight, *found * (1 + 1e-6));
  }
}

TEST(CalibrateTest, RecordAndDistributedAreInverted) {
  const EpsilonOfNoise record = [](double z) -> absl::StatusOr<double> {
    auto accountant = RecordAccountant::Create(
        {.dim = 26010, .clip_norm = 1, .noise_multiplier = z, .honest_survivors = 6}, 0.01);
    if (!accountant.ok()) return accountant.status();
    return accountant->Epsilon(300, 1e-5)->epsilon;
  };
  const EpsilonOfNoise distributed = [](double z) -> absl::StatusOr<double> {
    auto accountant = DistributedAccountant::Create({.dim = 1000,
                                                     .clip_norm = 1,
                                                     .noise_multiplier = z,
                                                     .invited = 100,
                                                     .honest_survivors = 70},
                                                    DistributedMechanism::kDiscreteGaussian);
    if (!accountant.ok()) return accountant.status();
    return accountant->Epsilon(10, 1e-5)->epsilon;
  };
  for (const EpsilonOfNoise& epsilon_of : {record, distributed}) {
    for (double target : {0.5, 2.0, 8.0}) {
      auto z = CalibrateNoise({.epsilon = target, .tolerance = 1e-9}, epsilon_of);
      ASSERT_TRUE(z.ok()) << z.status();
      EXPECT_LE(*epsilon_of(*z), target);
      EXPECT_GT(*epsilon_of(*z), target * 0.99);
      EXPECT_GT(*epsilon_of(*z * 0.98), target);
    }
    // No sampler takes the noise that this would need.
    auto impossible = CalibrateNoise({.epsilon = 1e-9, .tolerance = 1e-9}, epsilon_of);
    EXPECT_EQ(impossible.status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(CalibrateTest, ATargetThatAnyNoiseReachesTakesTheLeast) {
  auto z = CalibrateNoise({.epsilon = 1, .tolerance = 1e-6},
                          [](double) -> absl::StatusOr<double> { return 0.5; });
  ASSERT_TRUE(z.ok());
  EXPECT_EQ(*z, kMinNoiseMultiplier);
}

TEST(CalibrateTest, ATargetThatNoNoiseReachesIsAnError) {
  auto z = CalibrateNoise({.epsilon = 1, .tolerance = 1e-6},
                          [](double) -> absl::StatusOr<double> { return 2; });
  EXPECT_EQ(z.status().code(), absl::StatusCode::kOutOfRange);
}

TEST(CalibrateTest, BadTargetsAreNamed) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (double target : {0.0, -1.0, std::nan(""), infinity, 1e308, 1e-320}) {
    auto z = CalibrateNoise({.epsilon = target, .tolerance = 1e-6},
                            Gaussian(1, 1, 1e-5, Accountant::kRdp));
    EXPECT_EQ(z.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(std::string(z.status().message()).find("epsilon"), std::string::npos);
  }
}

}  // namespace
}  // namespace dure::dp
