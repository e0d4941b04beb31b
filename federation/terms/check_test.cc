#include "federation/terms/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
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
using ::testing::AllOf;
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

// Cohort 40 in groups of 4.
std::string RobustToml(const std::string& rule, const std::string& secure_aggregation = "") {
  return absl::StrReplaceAll(
      DemoWithUnit("mode = \"epochs\"", "unit = \"none\"",
                   secure_aggregation.empty()
                       ? "max_corrupt = 0.05\ngroup_size = 4\nrobust = " + rule
                       : secure_aggregation),
      {{"cohort = 10", "cohort = 40"}, {"minimum = 8", "minimum = 32"}});
}

TEST(CheckTest, EveryRuleSaysWhatItBears) {
  const struct {
    std::string rule, text;
  } cases[] = {
      {"\"median\"",
       "The median of the groups bears poisoned members in 4 of 10 groups, so at "
       "least 4 members"},
      {"\"trimmed_mean\"\ntrim = 0.3",
       "The trimmed mean of the groups bears poisoned members in 3 of 10 groups"},
      {"\"krum\"", "Krum of the groups bears poisoned members in 3 of 10 groups"},
      {"\"multi_krum\"\nmax_poisoned = 0.25",
       "Multi-Krum of the groups bears poisoned members in 2 of 10 groups"},
      {"\"geometric_median\"",
       "The geometric median of the groups bears poisoned members in 4 of 10 groups"},
      {"\"norm_bound\"", "The norm bound of the groups bears poisoned members in 4 of 10 groups"},
      {"\"norm_bound\"\nnorm_bound = 2.0", "It bounds lengths only"},
  };
  for (const auto& c : cases) {
    EXPECT_THAT(TextOf(RobustToml(c.rule)), HasSubstr(c.text)) << c.rule;
    EXPECT_THAT(TextOf(RobustToml(c.rule)), HasSubstr("No rule bears pushes that are small"));
  }
  const auto json = nlohmann::json::parse(CheckToJson(Good(RobustToml("\"geometric_median\""))));
  EXPECT_EQ(json["robust"], "geometric_median");
  EXPECT_EQ(json["poisoned_groups"], 4);
  EXPECT_EQ(nlohmann::json::parse(CheckToJson(Good(DemoToml())))["robust"], "off");
}

TEST(CheckTest, RulesThatCannotHoldAreRefusedWithTheRemedy) {
  for (const char* rule : {"krum", "multi_krum"}) {
    ExpectRefused(absl::StrReplaceAll(RobustToml("\"" + std::string(rule) + "\""),
                                      {{"group_size = 4", "group_size = 10"}}),
                  "40 members make 4 groups of 10 or more, and a rule combines one vector of each");
    ExpectRefused(absl::StrReplaceAll(RobustToml("\"" + std::string(rule) + "\""),
                                      {{"group_size = 4", "group_size = 10"}}),
                  "Choose a smaller group_size or more members");
  }
  ExpectRefused(RobustToml("\"multi_krum\"\nmax_poisoned = 0.45"),
                "of 10 vectors Multi-Krum bears at most 3 poisoned ones; a share of 0.45 is 4, "
                "which needs 11 or more");
  for (const char* rule :
       {"median", "trimmed_mean", "krum", "multi_krum", "geometric_median", "norm_bound"}) {
    const std::string robust = "robust = \"" + std::string(rule) + "\"";
    EXPECT_THAT(std::string(Check(RobustToml("", "enabled = false\n" + robust)).status().message()),
                HasSubstr("goes with enabled = true only"));
    EXPECT_THAT(std::string(Check(RobustToml("", robust)).status().message()),
                HasSubstr("group_size is missing: of the whole cohort the coordinator sees one "
                          "sum, in which a robust rule has nothing to compare"));
  }
}

TEST(CheckTest, RatesThatChangeAreSaid) {
  const std::string toml = DemoWithUnit(
      "mode = \"epochs\"\nlearning_rate = 0.1\nschedule = \"cosine\"\nwarmup = 10\n"
      "final_fraction = 0.05\nproximal_mu = 0.3",
      "unit = \"none\"");
  EXPECT_THAT(TextOf(toml), HasSubstr("Rates local.learning_rate rises over 10 rounds; it falls by "
                                      "half a cosine, from 0.1 to 0.005 in round 300"));
  EXPECT_THAT(TextOf(toml), HasSubstr("drawn back to the round's model by 0.3 (FedProx)"));
  EXPECT_THAT(
      TextOf(DemoWith("tau = 1e-3", "tau = 1e-3\nschedule = \"exponential\"\ndecay = 0.9\n")),
      HasSubstr("Rates server.learning_rate is multiplied by 0.9 every round, from 0.01"));
  EXPECT_THAT(TextOf(DemoToml()), Not(HasSubstr("Rates")));
  const auto notes = [](const std::string& local) {
    return Good(DemoWithUnit("mode = \"epochs\"\n" + local, "unit = \"none\"")).warnings;
  };
  EXPECT_THAT(notes("schedule = \"linear\""),
              Contains(HasSubstr("local.learning_rate is 0 in the last round")));
  EXPECT_THAT(notes("warmup = 300"), Contains(HasSubstr("local.warmup is 300 of 300 rounds")));
  EXPECT_THAT(notes("learning_rate = 0.5\nproximal_mu = 4.0"),
              Contains(HasSubstr("local.proximal_mu times local.learning_rate is 2")));
}

TEST(CheckTest, EarlyStoppingIsSaid) {
  EXPECT_THAT(
      TextOf(DemoWith("every = 20", "every = 20\npatience = 3\nmin_improvement = 0.01\n")),
      HasSubstr("Stopping ends early once 3 measurements in a row, one every 20 rounds, did "
                "not lower the mean loss of the evaluators by more than 0.01."));
  EXPECT_THAT(TextOf(DemoToml()), Not(HasSubstr("Stopping")));
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

TEST(TravelCheckTest, SaysWhatStaysWithMembers) {
  const CheckReport report = Good(absl::StrReplaceAll(
      NoneToml(), {{"architecture = \"cnn\"", "architecture = \"cnn\"\npersonal = [\"fc2.*\"]"}}));
  EXPECT_EQ(report.parameters, 26'010u);
  EXPECT_EQ(report.terms.dim, 25'680u);
  EXPECT_THAT(CheckToText(report),
              AllOf(HasSubstr("26,010 parameters"), HasSubstr("330 of them stay with"),
                    HasSubstr("fc2.weight, fc2.bias")));
  const auto json = nlohmann::json::parse(CheckToJson(report));
  EXPECT_EQ(json["parameters"], 26'010);
  EXPECT_EQ(json["parameters_travelling"], 25'680);
  EXPECT_EQ(json["personal"], nlohmann::json::array({"fc2.weight", "fc2.bias"}));
  ExpectRefused(
      absl::StrReplaceAll(NoneToml(), {{"architecture = \"cnn\"",
                                        "architecture = \"cnn\"\npersonal = [\"head.*\"]"}}),
      "\"head.*\" matches no parameter; there are conv1.weight, conv1.bias");
}

TEST(TravelCheckTest, SaysWhatNarrowerNumbersSave) {
  const CheckReport plain = Good(DemoToml());
  EXPECT_EQ(plain.bytes_down_fp32, plain.bytes_down);
  EXPECT_EQ(plain.bytes_up_automatic, plain.bytes_up);
  const CheckReport report = Good(absl::StrCat(DemoToml(),
                                               "\n[communication]\ndownload = \"fp16\"\n"
                                               "quantization_bits = 11\n"));
  EXPECT_EQ(report.bytes_down_fp32, plain.bytes_down);
  EXPECT_EQ(report.bytes_down, plain.bytes_down - 2 * 26'010);
  EXPECT_EQ(report.bytes_up_automatic, plain.bytes_up);
  EXPECT_LT(report.bytes_up, plain.bytes_up);
  // (512 + 161.3) / 512 in the place of (16,384 + 161.3) / 16,384.
  EXPECT_NEAR(report.rounding_noise, 1.302, 0.001);
  // What it costs in privacy is the same.
  EXPECT_NEAR(report.costs.back().epsilon, plain.costs.back().epsilon, 0.02);
  const std::string text = absl::StrReplaceAll(CheckToText(report), {{"\n           ", " "}});
  EXPECT_THAT(text, AllOf(HasSubstr("Models travel in 16 bits a number"),
                          HasSubstr("at most 11 bits, in steps of 0.002"),
                          HasSubstr("left to itself they would have up to 16"),
                          HasSubstr("the noise is 1.3 times as large")));
}

}  // namespace
}  // namespace dure
