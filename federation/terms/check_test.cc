#include "federation/terms/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "federation/spec.h"
#include "tests/support/demo_spec.h"

namespace dure {
namespace {

using ::dure::testing::ClientToml;
using ::dure::testing::DemoToml;
using ::dure::testing::DemoWith;
using ::dure::testing::DemoWithUnit;
using ::dure::testing::DpSgdToml;
using ::dure::testing::NoneToml;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kTrusted[] = "enabled = false";

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
  ASSERT_EQ(report.costs.size(), 5u);
  EXPECT_EQ(report.costs[1].rounds, 75u);
  EXPECT_EQ(report.costs[4].rounds, 300u);
  EXPECT_NEAR(report.costs[4].epsilon, 1.64, 0.01);
  EXPECT_EQ(report.affordable_attempts, 340u);
  EXPECT_NEAR(report.noise_excess, std::sqrt(10.0 / 6.0), 1e-12);
  EXPECT_GT(report.epsilon_own_noise.value_or(0), report.costs[4].epsilon);
  // docs/secure-aggregation.md section 3, k = 9, Q = 7, paths of 4 hashes.
  EXPECT_EQ(report.bytes_up, report.terms.upload_bytes + 144 * 9 + 36 * 9 + 600);
  EXPECT_EQ(report.bytes_down, 104'040u + 4000 + 9 * (240 + 32 * 4) + 9 * (96 + 1) + 68 * 7 + 2);
}

// On one line, as it was before it was broken.
std::string TextOf(const std::string& toml) {
  return absl::StrJoin(
      absl::StrSplit(CheckToText(Good(toml)), absl::ByAnyChar(" \n"), absl::SkipEmpty()), " ");
}

TEST(CheckTest, TheTextIsShortAndNarrow) {
  for (const std::string& toml :
       {DemoToml(), DemoWith("cohort = 10", ""), ClientToml(), ClientToml(kTrusted), DpSgdToml(),
        DpSgdToml(kTrusted), NoneToml(), NoneToml(kTrusted)}) {
    const std::string text = CheckToText(Good(toml));
    EXPECT_EQ(text.back(), '\n');
    std::vector<std::string> lines = absl::StrSplit(text, '\n');
    EXPECT_LE(lines.size(), 55u) << text;
    for (const std::string& line : lines) EXPECT_LE(line.size(), 79u) << line;
  }
  std::vector<std::string> demo = absl::StrSplit(CheckToText(Good(DemoToml())), '\n');
  EXPECT_LE(demo.size(), 44u);
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
  EXPECT_EQ(json["epsilon"].size(), 5u);
  EXPECT_EQ(json["epsilon"][4]["rounds"], 300);
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
  ASSERT_EQ(report.costs.size(), 2u);
  EXPECT_EQ(report.costs[0].rounds, 1u);
  EXPECT_EQ(report.costs[1].rounds, 2u);
}

TEST(CheckTest, ABudgetThatEndsEarlyIsRefused) {
  ExpectRefused(DemoWith("max_epsilon = 4.0", "max_epsilon = 1"),
                "privacy.max_epsilon is 1 and does not pay for a single round; all 300 need 1.64: "
                "raise privacy.max_epsilon, or privacy.noise_multiplier to 1.25, or lower "
                "local.sampling_rate or rounds.count");
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

TEST(CheckTest, NothingIsAlarmingInTheDemo) {
  for (const std::string& note : Good(DemoToml()).warnings) {
    EXPECT_THAT(note, Not(HasSubstr("too "))) << note;
    EXPECT_THAT(note, Not(HasSubstr("stops nothing"))) << note;
  }
  EXPECT_LT(Good(DemoToml()).round_noise.ratio(), 1);
}

TEST(CheckTest, EveryUnitSaysWhatIsProtected) {
  EXPECT_THAT(TextOf(DemoToml()),
              HasSubstr("One record of one member: whether it was used. The coordinator sees who "
                        "takes part and one noised sum a round, over 8 members or more."));
  std::string trusted = DemoToml();
  trusted.resize(trusted.find("max_corrupt"));
  EXPECT_THAT(TextOf(trusted + kTrusted),
              HasSubstr("The coordinator sees every member's update and is trusted to add the "
                        "noise: from the coordinator nothing is protected."));
  EXPECT_THAT(TextOf(DpSgdToml()), HasSubstr("this holds without trusting anybody else. Of a "
                                             "round the coordinator sees the sum alone."));
  EXPECT_THAT(TextOf(DpSgdToml(kTrusted)),
              HasSubstr("this holds without trusting anybody else. The coordinator sees every "
                        "member's update, with that noise."));
  EXPECT_THAT(TextOf(ClientToml()), HasSubstr("zeros (zero-out)"));
  EXPECT_THAT(TextOf(ClientToml()), HasSubstr("(no amplification by sampling)"));
  EXPECT_THAT(TextOf(ClientToml()), HasSubstr("epsilon per member"));
  EXPECT_THAT(TextOf(ClientToml(kTrusted)), HasSubstr("is trusted to add the noise"));
  EXPECT_THAT(TextOf(NoneToml()), HasSubstr("there is no privacy beyond the sum"));
  EXPECT_THAT(TextOf(NoneToml()), HasSubstr("and of their numbers of records"));
  EXPECT_THAT(TextOf(NoneToml(kTrusted)),
              HasSubstr("Nobody, not even by a sum: the coordinator sees each member's update"));
}

TEST(CheckTest, WithoutAnyPrivacyNothingIsInfiniteInTheOutput) {
  for (const std::string& toml : {NoneToml(), NoneToml(kTrusted)}) {
    const CheckReport report = Good(toml);
    EXPECT_TRUE(report.costs.empty());
    EXPECT_TRUE(report.reaches.empty());
    EXPECT_EQ(report.affordable_attempts, 340u);
    const std::string text = CheckToText(report);
    for (const char* odd : {" inf", "nan", "null", "unbounded"}) {
      // "infinite", in words, is meant.
      EXPECT_THAT(absl::StrReplaceAll(text, {{"epsilon is infinite", ""}}), Not(HasSubstr(odd)));
    }
    const auto json = nlohmann::json::parse(CheckToJson(report));
    EXPECT_EQ(json["unit"], "none");
    for (const char* key : {"epsilon", "delta", "max_epsilon", "epsilon_all_attempts",
                            "epsilon_own_noise", "noise_to_update"}) {
      ASSERT_TRUE(json.contains(key)) << key;
      EXPECT_TRUE(json[key].is_null()) << key;
    }
  }
}

TEST(CheckTest, TheNoiseOfOneRound) {
  // z C sqrt(10 / 6) sqrt(d) in the sum, 600 gradients of norm C: a little more for rounding.
  const RoundNoise gradient = Good(DemoToml()).round_noise;
  EXPECT_NEAR(gradient.noise, std::sqrt(10.0 / 6) * std::sqrt(26'010.0) / 600, 0.01);
  EXPECT_EQ(gradient.update, 1);
  // Ten updates of norm C; half of weight_max is a typical weight, so there is twice the noise.
  const RoundNoise client =
      Good(DemoWithUnit("mode = \"epochs\"\nweighting = \"records\"\nweight_max = "
                        "6000\nweight_mean = 3000",
                        "unit = \"client\"\nmax_epsilon = 1000.0"))
          .round_noise;
  EXPECT_NEAR(client.noise, 2 * std::sqrt(10.0 / 6) * std::sqrt(26'010.0) / 10, 5);
  // z sqrt(d) / (q N / n) in a step of one member; five steps of ten members.
  const RoundNoise steps = Good(DpSgdToml()).round_noise;
  EXPECT_NEAR(steps.ratio(), std::sqrt(26'010.0) / 60 / std::sqrt(50.0), 0.01);
  EXPECT_EQ(Good(NoneToml()).round_noise.noise, 0);
}

TEST(CheckTest, ClientNoiseWithTenMembersIsPointedOutWithTheBetterMode) {
  const CheckReport report = Good(ClientToml());
  ASSERT_FALSE(report.warnings.empty());
  EXPECT_THAT(report.warnings[0], HasSubstr("10 members are too few for unit = \"client\""));
  EXPECT_THAT(report.warnings[0], HasSubstr("Use unit = \"record\" with mode = \"gradient\""));
  EXPECT_THAT(report.warnings[0], HasSubstr("or about 490 members."));
  EXPECT_THAT(report.warnings, Contains(HasSubstr("is above 10 and promises next to nothing")));
  EXPECT_THAT(report.warnings, Contains(HasSubstr("rotation makes messages no smaller")));
}

TEST(CheckTest, TheMostImportantNoteIsFirst) {
  const std::string records = "\ntotal_records = 60000\nmax_records_per_member = 5000";
  const CheckReport report =
      Good(DemoWithUnit("mode = \"gradient\"\nsampling_rate = 0.002",
                        "max_epsilon = 1000.0\nnoise_multiplier = 0.28" + records));
  ASSERT_GE(report.warnings.size(), 4u);
  EXPECT_THAT(report.warnings[0], HasSubstr("promises next to nothing"));
  EXPECT_THAT(report.warnings[1], HasSubstr("noise_multiplier 0.28 is too little"));
  EXPECT_THAT(report.warnings[2], HasSubstr("fewer than total_records"));
  EXPECT_THAT(report.warnings.back(), HasSubstr("Who takes part"));
  EXPECT_THAT(Good(DemoWithUnit("mode = \"gradient\"\nsampling_rate = 1.0",
                                "max_epsilon = 1000.0" + records))
                  .warnings,
              Contains(HasSubstr("sampling_rate 1 takes every record")));
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
  EXPECT_THAT(Good(DemoWith("sampling_rate = 0.01", "sampling_rate = 0.001")).warnings,
              Contains(HasSubstr("A round takes 60 records, too few for this noise")));
  EXPECT_THAT(Good(DemoWith("max_epsilon = 4.0", "max_epsilon = 900")).warnings,
              Contains(HasSubstr("max_epsilon 900 stops nothing: all 340 attempts cost 1.70")));
}

TEST(CheckTest, UnwiseSettingsOfTheOtherUnitsAreNamed) {
  EXPECT_THAT(Good(DemoWithUnit("mode = \"dp_sgd\"\nsampling_rate = 0.01\nbatch_size = 600",
                                "max_epsilon = 100.0\ntotal_records = 60000\n"
                                "max_records_per_member = 15000"))
                  .warnings,
              Contains(HasSubstr("batch_size is 600, but a step takes about 60 records")));
  EXPECT_THAT(Good(DemoWithUnit("mode = \"dp_sgd\"\nsampling_rate = 1e-4",
                                "max_epsilon = 100.0\ntotal_records = 60000\n"
                                "max_records_per_member = 15000"))
                  .warnings,
              Contains(HasSubstr("Each member's own noise is too much for its data")));
  EXPECT_THAT(Good(DemoWithUnit("mode = \"epochs\"\nweighting = \"records\"\nweight_max = "
                                "6000\nweight_mean = 100",
                                "unit = \"client\"\nmax_epsilon = 1000.0"))
                  .warnings,
              Contains(HasSubstr("weight_max is 60 times weight_mean")));
  EXPECT_THAT(Good(DemoWithUnit("mode = \"epochs\"",
                                "unit = \"client\"\nmax_epsilon = 1000.0\nclipping = "
                                "\"adaptive\"\ntarget_quantile = 0.99"))
                  .warnings,
              Contains(HasSubstr("target_quantile 0.99 cannot be told apart with 10 members")));
  EXPECT_THAT(Good(DemoWithUnit("mode = \"epochs\"",
                                "unit = \"client\"\nmax_epsilon = 1000.0\ndelta = 0.01"))
                  .warnings,
              Not(Contains(HasSubstr("allows publishing"))));
}

}  // namespace
}  // namespace dure
