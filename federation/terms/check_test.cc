#include "federation/terms/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/str_split.h"
#include "federation/spec.h"
#include "tests/support/demo_spec.h"

namespace dure {
namespace {

using ::dure::testing::DemoToml;
using ::dure::testing::DemoWith;
using ::testing::Contains;
using ::testing::HasSubstr;

absl::StatusOr<CheckReport> Check(const std::string& toml) {
  absl::StatusOr<FederationSpec> spec = ParseFederation(toml, "f.toml");
  if (!spec.ok()) return spec.status();
  return CheckFederation(*spec);
}

CheckReport Good(const std::string& toml) {
  absl::StatusOr<CheckReport> report = Check(toml);
  EXPECT_TRUE(report.ok()) << report.status();
  return report.value_or(CheckReport());
}

void ExpectRefused(const std::string& toml, const char* text) {
  absl::StatusOr<CheckReport> report = Check(toml);
  EXPECT_EQ(report.status().code(), absl::StatusCode::kFailedPrecondition) << report.status();
  EXPECT_THAT(std::string(report.status().message()), HasSubstr(text));
}

TEST(CheckTest, TheDemo) {
  const CheckReport report = Good(DemoToml());
  EXPECT_EQ(report.name, "fashion");
  EXPECT_EQ(report.architecture, "cnn");
  EXPECT_EQ(report.model_bytes, 104'040u);
  EXPECT_TRUE(report.members_known);
  EXPECT_EQ(report.rounds, 300u);
  ASSERT_EQ(report.quarters.size(), 4u);
  EXPECT_EQ(report.quarters[0].rounds, 75u);
  EXPECT_EQ(report.quarters[3].rounds, 300u);
  EXPECT_NEAR(report.quarters[3].epsilon, 1.64, 0.01);
  EXPECT_EQ(report.affordable_attempts, 340u);
  EXPECT_NEAR(report.noise_excess, std::sqrt(10.0 / 6.0), 1e-12);
  EXPECT_GT(report.epsilon_own_noise, report.quarters[3].epsilon);
  // docs/secure-aggregation.md section 3, k = 9, Q = 7, paths of 4 hashes.
  EXPECT_EQ(report.bytes_up, report.terms.upload_bytes + 144 * 9 + 36 * 9 + 600);
  EXPECT_EQ(report.bytes_down, 104'040u + 4000 + 9 * (240 + 32 * 4) + 9 * (96 + 1) + 68 * 7 + 2);
}

TEST(CheckTest, TheTextIsShortAndNarrow) {
  for (const std::string& toml : {DemoToml(), DemoWith("cohort = 10", "")}) {
    const std::string text = CheckToText(Good(toml));
    EXPECT_EQ(text.back(), '\n');
    std::vector<std::string> lines = absl::StrSplit(text, '\n');
    EXPECT_LE(lines.size(), 36u) << text;
    for (const std::string& line : lines) EXPECT_LE(line.size(), 79u) << line;
  }
}

TEST(CheckTest, TheTextSaysWhatMatters) {
  const std::string text = CheckToText(Good(DemoToml()));
  for (const char* part :
       {"fashion: this federation can run.", "26,010 parameters, 104 kB", "300 rounds",
        "10 in a round; only a sum over 8 or more", "after round 75", "after round 300", "limit 4",
        "delta 1e-5", "1.29 times", "enrolment CA", "A person with g records"}) {
    EXPECT_THAT(text, HasSubstr(part)) << text;
  }
}

TEST(CheckTest, TheJsonHoldsTheNumbers) {
  const auto json = nlohmann::json::parse(CheckToJson(Good(DemoToml())));
  EXPECT_EQ(json["name"], "fashion");
  EXPECT_EQ(json["parameters"], 26'010);
  EXPECT_EQ(json["minimum"], 8);
  EXPECT_EQ(json["may_vanish"], 2);
  EXPECT_EQ(json["epsilon"].size(), 4u);
  EXPECT_EQ(json["epsilon"][3]["rounds"], 300);
  EXPECT_EQ(json["spec_digest"].get<std::string>().size(), 64u);
  EXPECT_GE(json["warnings"].size(), 4u);
}

TEST(CheckTest, WithoutACohortTheNumbersAreForTheMinimum) {
  const CheckReport report = Good(DemoWith("cohort = 10", ""));
  EXPECT_FALSE(report.members_known);
  EXPECT_EQ(report.terms.invited, 8u);
  EXPECT_THAT(report.warnings, Contains(HasSubstr("rounds.cohort is not set")));
  EXPECT_THAT(report.warnings, Contains(HasSubstr("Nobody may vanish")));
}

TEST(CheckTest, ShortRunsHaveFewerQuarters) {
  const CheckReport report = Good(DemoWith("count = 300", "count = 2"));
  ASSERT_EQ(report.quarters.size(), 2u);
  EXPECT_EQ(report.quarters[0].rounds, 1u);
  EXPECT_EQ(report.quarters[1].rounds, 2u);
}

TEST(CheckTest, ABudgetThatEndsEarlyIsRefused) {
  ExpectRefused(DemoWith("max_epsilon = 4.0", "max_epsilon = 1"),
                "privacy.max_epsilon is 1 and does not pay for a single round; all 300 need 1.64: "
                "raise");
  ExpectRefused(DemoWith("max_epsilon = 4.0", "max_epsilon = 1.5"),
                "privacy.max_epsilon is 1.5 and would stop the run after 203 rounds");
}

TEST(CheckTest, ABudgetThatPaysForSomeRetriesIsGood) {
  const CheckReport report = Good(DemoWith("max_epsilon = 4.0", "max_epsilon = 1.68"));
  EXPECT_GE(report.affordable_attempts, 300u);
  EXPECT_LT(report.affordable_attempts, 340u);
}

TEST(CheckTest, WhatCannotWorkIsRefused) {
  ExpectRefused(DemoWith("shape = [1, 28, 28]", "shape = [1, 8, 8]"), "at least 14x14");
  ExpectRefused(DemoWith("max_records_per_member = 15000", "max_records_per_member = 60001"),
                "more than privacy.total_records");
  ExpectRefused(DemoWith("noise_multiplier = 1.0", "noise_multiplier = 900"),
                "change privacy.clip_norm or privacy.noise_multiplier");
}

TEST(CheckTest, InvalidSpecsAreRefused) {
  EXPECT_EQ(CheckFederation(FederationSpec()).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(CheckTest, SettingsThatAreUnwiseAreNamed) {
  EXPECT_THAT(Good(DemoWith("delta = 1e-5", "delta = 1e-4")).warnings,
              Contains(HasSubstr("delta is 0.0001: with 60000 records")));
  EXPECT_THAT(
      Good(DemoWith("max_records_per_member = 15000", "max_records_per_member = 100")).warnings,
      Contains(HasSubstr("10 members of at most 100 records hold 1000, fewer than "
                         "total_records, 60000")));
  EXPECT_THAT(Good(DemoWith("max_dropout = 0.1", "max_dropout = 0.4")).warnings,
              Contains(HasSubstr("4 members are expected to vanish (max_dropout), but an attempt "
                                 "survives only 2")));
  EXPECT_THAT(Good(DemoWith("sampling_rate = 0.01", "sampling_rate = 1e-6")).warnings,
              Contains(HasSubstr("0.06 records on average")));
}

}  // namespace
}  // namespace dure
