#include "federation/toml_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "federation/spec.h"
#include "tests/support/demo_spec.h"

namespace dure {
namespace {

using ::dure::testing::DemoToml;
using ::dure::testing::DemoWith;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::vector<KeyOverride> Overrides(const std::vector<std::string>& texts) {
  std::vector<KeyOverride> overrides;
  for (const std::string& text : texts) overrides.push_back(ParseOverride(text).value());
  return overrides;
}

absl::StatusOr<FederationSpec> Demo(const std::vector<std::string>& texts,
                                    const std::string& toml = DemoToml()) {
  return ParseFederation(toml, "f.toml", Overrides(texts));
}

std::string ErrorOf(const std::vector<std::string>& texts, const std::string& toml = DemoToml()) {
  const absl::StatusOr<FederationSpec> spec = Demo(texts, toml);
  return spec.ok() ? "no error" : std::string(spec.status().message());
}

TEST(TomlReaderTest, OverridesOfEveryKindWinOverTheFile) {
  const auto spec =
      Demo({"rounds.count = 7", "server.learning_rate=0.5", "privacy.clip_norm=2",
            "rounds.deadline=90s", "model.architecture=mlp", "model.hidden=[64, 32]",
            "federation.name=\"other\"", "federation.purpose=To learn, \"we\" say",
            "secure_aggregation.enabled=true", "rounds.max_attempts=9", "model.seed=99"});
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->rounds().count(), 7u);
  EXPECT_EQ(spec->rounds().max_attempts(), 9u);
  EXPECT_EQ(spec->server().learning_rate(), 0.5);
  EXPECT_EQ(spec->privacy().clip_norm(), 2.0);
  EXPECT_EQ(spec->rounds().deadline().seconds(), 90);
  EXPECT_EQ(spec->model().architecture(), ModelSection::MLP);
  EXPECT_THAT(spec->model().hidden(), ElementsAre(64, 32));
  EXPECT_EQ(spec->federation().name(), "other");
  EXPECT_EQ(spec->federation().purpose(), "To learn, \"we\" say");
  EXPECT_EQ(spec->model().seed(), 99u);
}

TEST(TomlReaderTest, OneElementNeedsNoBracketsAndAListReplacesTheOther) {
  const auto spec = Demo({"model.architecture=mlp", "model.hidden=64", "model.input.shape=[784]"});
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_THAT(spec->model().hidden(), ElementsAre(64));
  EXPECT_THAT(spec->model().input().shape(), ElementsAre(784));
}

TEST(TomlReaderTest, TheLastOfTwoWinsAndAnEmptyOneTakesTheKeyAway) {
  auto spec = Demo({"server.tau=1", "server.tau=0.25"});
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->server().tau(), 0.25);
  spec = Demo({"server.tau=", "rounds.max_attempts="});
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->server().tau(), 0.001);
  EXPECT_EQ(spec->rounds().max_attempts(), 300u + 37 + 1);
}

TEST(TomlReaderTest, KeysOfTheFileThatGoWithAnotherChoiceAreLeftOut) {
  const auto spec = Demo({"server.optimizer=fedavg"});
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_FALSE(spec->server().has_beta1());
  EXPECT_FALSE(spec->server().has_tau());
  // Those of other overrides are not, and what the file itself has wrong stays wrong.
  EXPECT_THAT(ErrorOf({"server.optimizer=fedavg", "server.tau=1"}),
              StartsWith("--set server.tau=1: server.tau is not used with optimizer"));
  EXPECT_THAT(
      ErrorOf({"rounds.count=5"}, DemoWith("optimizer = \"fedadam\"", "optimizer = \"fedavg\"")),
      StartsWith("f.toml:28:9: server.beta1 is not used"));
}

TEST(TomlReaderTest, WhatGoesWithAKeyThatIsLeftOutIsLeftOutToo) {
  const std::string toml = DemoToml() + "members = true\nmembers_noise = 30\n";
  EXPECT_EQ(ErrorOf({"evaluation.members=false"}, toml), "no error");
  const std::string steps = testing::DemoWithUnit(
      "mode = \"epochs\"\nschedule = \"step\"\ndecay = 0.5\ndecay_every = 3", "unit = \"none\"");
  EXPECT_EQ(ErrorOf({}, steps), "no error");
  EXPECT_EQ(ErrorOf({"local.mode=gradient", "local.sampling_rate=0.1", "privacy.unit=record",
                     "privacy.max_epsilon=4", "privacy.total_records=1000",
                     "privacy.max_records_per_member=100"},
                    steps),
            "no error");
}

TEST(TomlReaderTest, FaultsOfOverridesSayWhichOne) {
  EXPECT_EQ(ErrorOf({"local.learning_rat=0.1"}),
            "--set local.learning_rat=0.1: unknown key \"learning_rat\" in [local]: did you mean "
            "\"learning_rate\"?");
  EXPECT_EQ(ErrorOf({"locl.mode=epochs"}),
            "--set locl.mode=epochs: unknown section \"locl\": did you mean \"local\"?");
  EXPECT_EQ(ErrorOf({"rounds.sampling_rate=1"}),
            "--set rounds.sampling_rate=1: unknown key \"sampling_rate\" in [rounds]: it belongs "
            "in [local]");
  EXPECT_EQ(ErrorOf({"rounds=3"}),
            "--set rounds=3: rounds is a section: name one of its keys, such as rounds.count");
  EXPECT_EQ(ErrorOf({"rounds.count.x=3"}),
            "--set rounds.count.x=3: rounds.count is a key, not a section");
  EXPECT_EQ(ErrorOf({"rounds.count=many"}),
            "--set rounds.count=many: rounds.count is a text; it must be an integer, 1 to 1000000");
  EXPECT_EQ(ErrorOf({"rounds.count=0"}),
            "--set rounds.count=0: rounds.count: it is 0 and must be 1 to 1000000");
  EXPECT_EQ(ErrorOf({"rounds.minimum=11"}),
            "--set rounds.minimum=11: rounds.minimum is 11, above the cohort of 10: lower it, or "
            "invite more members");
  EXPECT_EQ(ErrorOf({"server.optimizer=FedYogi"}),
            "--set server.optimizer=FedYogi: server.optimizer is \"FedYogi\": did you mean "
            "\"fedyogi\"?");
  EXPECT_THAT(ErrorOf({"rounds.deadline=5"}), HasSubstr("it must be a duration of 100ms to 24h"));
  EXPECT_THAT(ErrorOf({"rounds.count={a=1}"}), HasSubstr("rounds.count is a section"));
}

TEST(TomlReaderTest, AnOverrideIsOneValue) {
  EXPECT_THAT(ErrorOf({"rounds.count=3\ncohort=4"}), HasSubstr("rounds.count is a text"));
  EXPECT_THAT(ErrorOf({"rounds.count=3\n[local]"}), HasSubstr("rounds.count is a text"));
  EXPECT_THAT(ErrorOf({"rounds.count=\x1b[2J"}), StartsWith("--set rounds.count=?[2J: "));
}

TEST(TomlReaderTest, WhatIsNoOverrideIsRefused) {
  for (const char* text : {"", "local", "=3", " =3"}) {
    const auto override = ParseOverride(text);
    EXPECT_EQ(override.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(override.status().message()), HasSubstr("it must be KEY=VALUE"));
  }
  EXPECT_THAT(std::string(ParseOverride("a=" + std::string(5000, 'x')).status().message()),
              HasSubstr("it has 5002 bytes, limit 4096"));
  EXPECT_EQ(ParseOverride("a.b = c = d", "--grid")->value, "c = d");
  EXPECT_EQ(ParseOverride("a.b=1", "--grid")->shown, "--grid a.b=1");
}

TEST(TomlReaderTest, ATextAtTheTopTellsFilesApart) {
  EXPECT_TRUE(HasTopLevelText("federation = \"a.toml\"\n[clients]\n", "federation"));
  EXPECT_FALSE(HasTopLevelText(DemoToml(), "federation"));
  EXPECT_FALSE(HasTopLevelText("federation = 3\n", "federation"));
  EXPECT_FALSE(HasTopLevelText("federation = \n", "federation"));
  EXPECT_FALSE(HasTopLevelText("", "federation"));
}

}  // namespace
}  // namespace dure
