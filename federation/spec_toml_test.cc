#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "federation/spec.h"
#include "tests/support/demo_spec.h"

namespace dure {
namespace {

using ::dure::testing::DemoToml;
using ::dure::testing::DemoWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// The message of the error that `toml` must give.
std::string ErrorOf(const std::string& toml) {
  absl::StatusOr<FederationSpec> spec = ParseFederation(toml, "f.toml");
  if (spec.ok()) return "no error";
  EXPECT_EQ(spec.status().code(), absl::StatusCode::kInvalidArgument) << spec.status();
  return std::string(spec.status().message());
}

TEST(SpecTomlTest, ReadsTheDemo) {
  absl::StatusOr<FederationSpec> spec = ParseFederation(DemoToml(), "f.toml");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->federation().name(), "fashion");
  EXPECT_EQ(spec->federation().address(), "coordinator.example.org:7443");
  EXPECT_EQ(spec->model().architecture(), ModelSection::CNN);
  EXPECT_THAT(spec->model().input().shape(), ::testing::ElementsAre(1, 28, 28));
  EXPECT_EQ(spec->model().input().classes(), 10u);
  EXPECT_EQ(spec->model().seed(), 1u);
  EXPECT_EQ(spec->rounds().count(), 300u);
  EXPECT_EQ(spec->rounds().deadline().seconds(), 300);
  EXPECT_EQ(spec->local().mode(), LocalSection::GRADIENT);
  EXPECT_EQ(spec->server().optimizer(), ServerSection::FEDADAM);
  EXPECT_EQ(spec->privacy().total_records(), 60000u);
  EXPECT_EQ(spec->privacy().unit(), PrivacySection::RECORD);
  EXPECT_EQ(spec->secure_aggregation().max_corrupt(), 0.2);
  EXPECT_EQ(spec->evaluation().every(), 20u);
}

TEST(SpecTomlTest, IntegersAreNumbersToo) {
  absl::StatusOr<FederationSpec> spec =
      ParseFederation(DemoWith("clip_norm = 1.0", "clip_norm = 2"), "f.toml");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->privacy().clip_norm(), 2.0);
}

TEST(SpecTomlTest, DurationsAreReadFromText) {
  const struct {
    const char* text;
    int64_t seconds;
    int nanos;
  } cases[] = {{"90s", 90, 0}, {"1h30m", 5400, 0}, {"250ms", 0, 250'000'000}, {"1.5m", 90, 0}};
  for (const auto& c : cases) {
    absl::StatusOr<FederationSpec> spec = ParseFederation(
        DemoWith("deadline = \"5m\"", std::string("deadline = \"") + c.text + "\""), "f.toml");
    ASSERT_TRUE(spec.ok()) << c.text << spec.status();
    EXPECT_EQ(spec->rounds().deadline().seconds(), c.seconds) << c.text;
    EXPECT_EQ(spec->rounds().deadline().nanos(), c.nanos) << c.text;
  }
}

TEST(SpecTomlTest, BadDurationsAreErrors) {
  for (const char* bad : {"5", "5 minutes", "", "-5m", "inf", "1ns", "99999999999999h"}) {
    EXPECT_THAT(ErrorOf(DemoWith("deadline = \"5m\"", std::string("deadline = \"") + bad + "\"")),
                HasSubstr("it must be a duration of 100ms to 24h, such as"))
        << bad;
  }
}

TEST(SpecTomlTest, UnknownKeysSuggestTheNearest) {
  EXPECT_EQ(ErrorOf(DemoWith("count = 300", "cuont = 300")),
            "f.toml:15:1: unknown key \"cuont\" in [rounds]: did you mean \"count\"?");
  EXPECT_EQ(ErrorOf(DemoWith("[server]", "[sever]")),
            "f.toml:25:2: unknown section \"sever\": did you mean \"server\"?");
}

TEST(SpecTomlTest, UnknownKeysNameTheirSection) {
  EXPECT_EQ(ErrorOf(DemoWith("count = 300", "sampling_rate = 0.1")),
            "f.toml:15:1: unknown key \"sampling_rate\" in [rounds]: it belongs in [local]");
  EXPECT_EQ(ErrorOf(DemoWith("every = 20", "colour = 1")),
            "f.toml:46:1: unknown key \"colour\" in [evaluation]: there are every, patience, "
            "min_improvement, members, members_noise");
}

TEST(SpecTomlTest, WhatIsQuotedInMessagesIsEscaped) {
  EXPECT_THAT(ErrorOf(DemoWith("count = 300", "\"a\\u001b[2J\" = 1")),
              HasSubstr("unknown key \"a\\x1b[2J\""));
}

TEST(SpecTomlTest, UnknownChoicesSuggestTheNearest) {
  EXPECT_EQ(ErrorOf(DemoWith("optimizer = \"fedadam\"", "optimizer = \"FedAdam\"")),
            "f.toml:26:13: server.optimizer is \"FedAdam\": did you mean \"fedadam\"?");
  EXPECT_EQ(
      ErrorOf(DemoWith("architecture = \"cnn\"", "architecture = \"transformer\"")),
      "f.toml:8:16: model.architecture is \"transformer\"; it must be one of \"cnn\", \"mlp\", "
      "\"logistic_regression\", \"cnn_mcmahan\", \"resnet18\", \"gru\", \"lstm\", "
      "\"torchscript\", \"own\"");
}

TEST(SpecTomlTest, UnspecifiedIsNoChoice) {
  EXPECT_THAT(ErrorOf(DemoWith("mode = \"gradient\"", "mode = \"mode_unspecified\"")),
              HasSubstr("it must be one of \"gradient\""));
}

TEST(SpecTomlTest, WrongTypesNameTheExpectedOne) {
  EXPECT_EQ(ErrorOf(DemoWith("count = 300", "count = \"300\"")),
            "f.toml:15:9: rounds.count is a text; it must be an integer, 1 to 1000000");
  EXPECT_EQ(ErrorOf(DemoWith("count = 300", "count = 300.0")),
            "f.toml:15:9: rounds.count is a number with a point; it must be an integer, 1 to "
            "1000000");
  EXPECT_THAT(ErrorOf(DemoWith("tau = 1e-3", "tau = true")),
              HasSubstr("is true or false; it must be a number, above 0, at most 1000"));
  EXPECT_THAT(ErrorOf(DemoWith("name = \"fashion\"", "name = 7")),
              HasSubstr("is an integer; it must be a text"));
  EXPECT_THAT(ErrorOf(DemoWith("shape = [1, 28, 28]", "shape = 784")),
              HasSubstr("it must be a list of 1 to 3 integers, each 1 to 65536"));
  EXPECT_THAT(ErrorOf(DemoWith("shape = [1, 28, 28]", "shape = [1, \"28\"]")),
              HasSubstr("f.toml:11:13: model.input.shape is a text"));
  EXPECT_THAT(ErrorOf(DemoWith("deadline = \"5m\"", "deadline = 300")),
              HasSubstr("is an integer; it must be a duration"));
  EXPECT_THAT(ErrorOf(DemoWith("mode = \"gradient\"", "mode = 1")),
              HasSubstr("is an integer; it must be one of \"gradient\""));
  EXPECT_THAT(ErrorOf("rounds = 3\n"), HasSubstr("rounds is an integer; it must be a section"));
  EXPECT_THAT(ErrorOf("[[rounds]]\n"), HasSubstr("rounds is a list; it must be a section"));
  EXPECT_THAT(ErrorOf(DemoWith("count = 300", "count = 1979-05-27")), HasSubstr("is a date"));
}

TEST(SpecTomlTest, IntegersMustFit) {
  EXPECT_EQ(ErrorOf(DemoWith("count = 300", "count = -1")),
            "f.toml:15:9: rounds.count: it is -1 and must be 1 to 1000000");
  EXPECT_EQ(ErrorOf(DemoWith("count = 300", "count = 4294967296")),
            "f.toml:15:9: rounds.count: it is 4294967296 and must be 1 to 1000000");
  EXPECT_THAT(ErrorOf(DemoWith("count = 300", "count = 99999999999999999999")),
              StartsWith("f.toml:15:"));
}

TEST(SpecTomlTest, FaultsOfValuesHaveTheirPlace) {
  EXPECT_EQ(ErrorOf(DemoWith("count = 300", "count = 0")),
            "f.toml:15:9: rounds.count: it is 0 and must be 1 to 1000000");
  EXPECT_EQ(ErrorOf(DemoWith("sampling_rate = 0.01", "sampling_rate = nan")),
            "f.toml:23:17: local.sampling_rate: it is nan and must be 1e-9 to 1");
  EXPECT_EQ(ErrorOf(DemoWith("sampling_rate = 0.01", "")),
            "f.toml:21:2: local.sampling_rate is missing: set it to a number, 1e-9 to 1");
  EXPECT_EQ(ErrorOf(""),
            "f.toml:1:1: federation.name is missing: set it to a text of 1 to 64 characters");
}

TEST(SpecTomlTest, TheFirstFaultOfTheFileIsReported) {
  EXPECT_THAT(ErrorOf("[server]\nzebra = 1\naardvark = 1\n[federation]\nnome = 1\n"),
              HasSubstr("f.toml:2:1: unknown key \"zebra\""));
}

TEST(SpecTomlTest, FaultsBetweenKeysAreFailedPreconditions) {
  absl::StatusOr<FederationSpec> spec =
      ParseFederation(DemoWith("minimum = 8", "minimum = 11"), "f.toml");
  EXPECT_EQ(spec.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(spec.status().message(),
            "f.toml:17:11: rounds.minimum is 11, above the cohort of 10: lower it, or invite more "
            "members");
}

TEST(SpecTomlTest, WhatIsNotTomlHasItsPlace) {
  EXPECT_THAT(ErrorOf("[federation]\nname = \n"), StartsWith("f.toml:2:"));
  EXPECT_THAT(ErrorOf("[federation]\nname = \n"), HasSubstr("not TOML"));
  EXPECT_THAT(ErrorOf("[rounds]\ncount = 1\ncount = 2\n"), StartsWith("f.toml:3:"));
  EXPECT_THAT(ErrorOf(std::string("\0\xff", 2)), HasSubstr("not TOML"));
}

TEST(SpecTomlTest, HugeFilesAreRefused) {
  EXPECT_EQ(ErrorOf(std::string(kMaxFederationFileBytes + 1, '#')),
            "f.toml: 1048577 bytes, limit 1048576");
}

TEST(SpecTomlTest, DeepNestingIsRefused) {
  EXPECT_THAT(ErrorOf("a = " + std::string(200'000, '[')), HasSubstr("not TOML"));
}

TEST(SpecTomlTest, WrittenFilesReadBackTheSame) {
  for (const std::string& toml : {DemoToml(), DemoWith("cohort = 10", ""),
                                  DemoWith("deadline = \"5m\"", "deadline = \"90s\""),
                                  DemoWith("purpose = \"Classify clothing photographs\"",
                                           "purpose = \"a \\\"b\\\" \\\\ 두레\"")}) {
    absl::StatusOr<FederationSpec> spec = ParseFederation(toml, "f.toml");
    ASSERT_TRUE(spec.ok()) << spec.status();
    const std::string written = FederationToToml(*spec);
    absl::StatusOr<FederationSpec> again = ParseFederation(written, "again.toml");
    ASSERT_TRUE(again.ok()) << again.status() << written;
    EXPECT_EQ(again->DebugString(), spec->DebugString());
    EXPECT_EQ(SpecDigest(*again), SpecDigest(*spec));
    EXPECT_EQ(FederationToToml(*again), written);
  }
}

TEST(SpecTomlTest, WrittenFilesExplainEveryKeyAndLeaveOutWhatIsNotUsed) {
  std::string toml = DemoWith("optimizer = \"fedadam\"", "optimizer = \"fedavg\"");
  for (const char* line : {"beta1 = 0.9\n", "beta2 = 0.99\n", "tau = 1e-3\n"}) {
    toml.erase(toml.find(line), std::string(line).size());
  }
  absl::StatusOr<FederationSpec> spec = ParseFederation(toml, "f.toml");
  ASSERT_TRUE(spec.ok()) << spec.status();
  const std::string written = FederationToToml(*spec);
  EXPECT_THAT(written, HasSubstr("# How many models are released. Limits: 1 to 1000000. Left out: "
                                 "100.\ncount = 300\n"));
  EXPECT_THAT(written, ::testing::Not(HasSubstr("beta2")));
  EXPECT_TRUE(ParseFederation(written, "again.toml").ok());
}

// Integers that binary64 cannot hold.
TEST(SpecTomlTest, NumbersMayBeWrittenAsAnyInteger) {
  for (const char* value : {"9007199254740993", "-9007199254740993", "-9223372036854775808"}) {
    for (const char* line : {"beta1 = 0.9", "max_epsilon = 4.0", "max_corrupt = 0.2"}) {
      const std::string key = std::string(line).substr(0, std::string(line).find(' '));
      const absl::Status status =
          ParseFederation(DemoWith(line, key + " = " + value), "f.toml").status();
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
      EXPECT_NE(std::string(status.message()).find(std::string(value).substr(0, 12)),
                std::string::npos)
          << status;
    }
  }
}

}  // namespace
}  // namespace dure
