#include "federation/terms/reach.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "federation/spec.h"
#include "federation/terms/check.h"
#include "tests/support/demo_spec.h"

namespace dure {
namespace {

using ::dure::testing::ClientToml;
using ::dure::testing::DemoToml;
using ::dure::testing::DpSgdToml;
using ::dure::testing::NoneToml;
using ::testing::HasSubstr;

FederationSpec Parsed(const std::string& toml) {
  absl::StatusOr<FederationSpec> spec = ParseFederation(toml, "f.toml");
  EXPECT_TRUE(spec.ok()) << spec.status();
  return spec.value_or(FederationSpec());
}

// `toml` with `key`, which may be there, set to `value` in the section that `section` begins.
std::string With(std::string toml, const std::string& section, const std::string& key,
                 const std::string& value) {
  if (const size_t at = toml.find("\n" + key + " ="); at != std::string::npos) {
    toml.erase(at, toml.find('\n', at + 1) - at);
  }
  const std::string head = "[" + section + "]\n";
  return toml.insert(toml.find(head) + head.size(), absl::StrCat(key, " = ", value, "\n"));
}

CheckReport Checked(const std::string& toml, double target) {
  absl::StatusOr<CheckReport> report = CheckFederation(Parsed(toml), {.target_epsilon = target});
  EXPECT_TRUE(report.ok()) << report.status() << toml;
  return report.value_or(CheckReport());
}

// The answer, written into the file, gives an epsilon at or below the target, and not much below.
TEST(ReachTest, WhatIsSuggestedKeepsItsWord) {
  for (const std::string& base : {DemoToml(), ClientToml(), ClientToml("enabled = false"),
                                  DpSgdToml(), DpSgdToml("enabled = false")}) {
    const std::string file = With(base, "privacy", "max_epsilon", "1000.0");
    for (double target : {0.5, 1.0, 2.5, 8.0, 20.0}) {
      const CheckReport report = Checked(file, target);
      ASSERT_EQ(report.reaches.size(), 1u);
      const Reach& reach = report.reaches[0];
      EXPECT_EQ(reach.epsilon, target);
      ASSERT_TRUE(reach.noise_multiplier.has_value()) << target << base;
      const std::string noise = absl::StrCat(*reach.noise_multiplier);
      const CheckReport changed = Checked(With(file, "privacy", "noise_multiplier", noise), target);
      EXPECT_LE(changed.costs.back().epsilon, target) << noise << base;
      EXPECT_GT(changed.costs.back().epsilon, 0.95 * target) << noise << base;
      if (reach.rounds == 0) {
        EXPECT_GT(report.costs.front().epsilon, target);
        continue;
      }
      const std::string fewer = With(With(file, "rounds", "max_attempts", "2000000"), "rounds",
                                     "count", absl::StrCat(reach.rounds));
      const CheckReport shorter = Checked(fewer, target);
      EXPECT_LE(shorter.costs.back().epsilon, target) << reach.rounds << base;
      if (reach.rounds < 1'000'000) {
        EXPECT_GT(EpsilonAfter(report.terms, reach.rounds + 1), target) << base;
      }
    }
  }
}

TEST(ReachTest, MoreNoiseForLessEpsilon) {
  const FederationSpec spec = Parsed(DemoToml());
  const CheckReport report = Checked(DemoToml(), 1);
  double noise = std::numeric_limits<double>::infinity();
  for (double target : {0.01, 0.1, 1.0, 2.0, 4.0, 10.0}) {
    const Reach reach = WhatReaches(spec, report.terms, target);
    if (!reach.noise_multiplier) continue;
    EXPECT_LT(*reach.noise_multiplier, noise);
    noise = *reach.noise_multiplier;
  }
  EXPECT_LT(noise, 1);
}

TEST(ReachTest, ATargetOutOfReachIsSaidSo) {
  const Reach reach = Checked(DemoToml(), 1e-6).reaches[0];
  EXPECT_FALSE(reach.noise_multiplier.has_value());
  EXPECT_EQ(reach.rounds, 0u);
  EXPECT_EQ(ReachInWords(reach), "no noise_multiplier does; as it is, not one round");
}

TEST(ReachTest, InWords) {
  EXPECT_EQ(ReachInWords({.epsilon = 1, .noise_multiplier = 1.25, .rounds = 1}),
            "noise_multiplier 1.25; or, as it is, 1 round");
  EXPECT_EQ(Checked(DemoToml(), 8).reaches[0].needs_max_epsilon, 8);
  EXPECT_THAT(ReachInWords(Checked(DemoToml(), 8).reaches[0]),
              HasSubstr("both need privacy.max_epsilon 8"));
}

TEST(ReachTest, WithoutATargetUsualOnesUpToTheLimit) {
  const CheckReport report = Checked(DemoToml(), 0);
  ASSERT_EQ(report.reaches.size(), 3u);
  EXPECT_EQ(report.reaches[0].epsilon, 1);
  EXPECT_EQ(report.reaches[1].epsilon, 3);
  EXPECT_EQ(report.reaches[2].epsilon, 4);
}

TEST(ReachTest, TargetsThatMeanNothingAreRefused) {
  for (double target : {-1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    EXPECT_EQ(CheckFederation(Parsed(DemoToml()), {.target_epsilon = target}).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
  const absl::Status none = CheckFederation(Parsed(NoneToml()), {.target_epsilon = 1}).status();
  EXPECT_EQ(none.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(none.message()), HasSubstr("adds no noise"));
}

}  // namespace
}  // namespace dure
