#include "simulation/simulator.h"

#include <algorithm>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "simulation/checkpoint.h"
#include "simulation/simulation_for_test.h"

namespace dure::simulation {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr char kTroubles[] =
    "[behaviour]\ndropout = 0.15\nstragglers = 0.2\nfailures = 0.05\nspeed_spread = 0.5\n";

// Federations that differ in what is sent and how it is added up.
struct Kind {
  std::string name;
  SmallFederation federation;
  std::string simulation = kTroubles;
};

void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

std::vector<Kind> Kinds() {
  std::vector<Kind> kinds;
  kinds.push_back({.name = "plain averaging"});
  kinds.push_back({.name = "without secure aggregation",
                   .federation = {.secure_aggregation = "enabled = false\n"}});
  kinds.push_back({.name = "gradients",
                   .federation = {.local = "mode = \"gradient\"\nsampling_rate = 0.2\n",
                                  .server = "optimizer = \"fedadam\"\nlearning_rate = 0.05\n",
                                  .privacy = kRecordPrivacy}});
  kinds.push_back({.name = "central noise",
                   .federation = {.local = "mode = \"gradient\"\nsampling_rate = 0.2\n",
                                  .privacy = kRecordPrivacy,
                                  .secure_aggregation = "enabled = false\n"}});
  kinds.push_back({.name = "dp_sgd",
                   .federation = {.local = "mode = \"dp_sgd\"\nsteps = 3\nsampling_rate = 0.2\n"
                                           "batch_size = 6\nlearning_rate = 0.1\n",
                                  .privacy = kRecordPrivacy}});
  kinds.push_back({.name = "clients, adaptive clipping and rotation",
                   .federation = {.privacy = absl::StrCat(kClientPrivacy,
                                                          "clipping = \"adaptive\"\n"
                                                          "rotation = true\n")}});
  kinds.push_back({.name = "weights",
                   .federation = {.local = "mode = \"epochs\"\nepochs = 2\nbatch_size = 5\n"
                                           "learning_rate = 0.1\nweighting = \"records\"\n"
                                           "weight_max = 40\n"}});
  kinds.push_back({.name = "control variates",
                   .federation = {.local = "mode = \"epochs\"\nepochs = 2\nbatch_size = 5\n"
                                           "learning_rate = 0.1\ncontrol_variates = true\n"
                                           "population = 20\n"}});
  kinds.push_back({.name = "byzantine clients",
                   .simulation = absl::StrCat(kTroubles,
                                              "[attack]\nbyzantine = 0.3\n"
                                              "kind = \"a_little_is_enough\"\n")});
  return kinds;
}

class EveryKindTest : public ::testing::TestWithParam<Kind> {
 protected:
  SmallRun Run() const {
    return {.toml = GetParam().federation.Toml(), .simulation = GetParam().simulation};
  }
};

INSTANTIATE_TEST_SUITE_P(Simulator, EveryKindTest, ::testing::ValuesIn(Kinds()),
                         [](const auto& info) {
                           std::string name = info.param.name;
                           std::replace_if(
                               name.begin(), name.end(), [](char c) { return !std::isalnum(c); },
                               '_');
                           return name;
                         });

TEST_P(EveryKindTest, NeitherThreadsNorProcessesChangeABit) {
  SmallRun run = Run();
  const SmallResult one = Simulate(run);
  ASSERT_TRUE(one.status.ok()) << one.status;
  ASSERT_THAT(one.told.rounds, SizeIs(4));
  for (const int threads : {2, 8}) {
    run.threads = threads;
    const SmallResult more = Simulate(run);
    EXPECT_EQ(more.model, one.model) << threads << " threads";
  }
  run.threads = 2;
  std::vector<SmallResult> results(4);
  ThreadRanks(4).Run(
      [&](Ranks* ranks) { results[static_cast<size_t>(ranks->rank())] = Simulate(run, ranks); });
  for (const SmallResult& result : results) {
    ASSERT_TRUE(result.status.ok()) << result.status;
    EXPECT_EQ(result.model, one.model);
    EXPECT_EQ(result.told.evaluations.back().metrics.loss(),
              one.told.evaluations.back().metrics.loss());
  }
}

TEST_P(EveryKindTest, AnotherSeedIsAnotherRun) {
  SmallRun run = Run();
  const SmallResult one = Simulate(run);
  run.seed = 2;
  EXPECT_NE(Simulate(run).model, one.model);
}

// Masks cancel: with every message of the protocol the sums, and so the model, are the same; so are
// the attempts that fail, the rounds' lengths and everything that is told of them.
TEST_P(EveryKindTest, TheWholeProtocolGivesTheSameModel) {
  SmallRun run = Run();
  const SmallResult sums = Simulate(run);
  run.depth = Depth::kFull;
  const SmallResult full = Simulate(run);
  ASSERT_TRUE(full.status.ok()) << full.status;
  EXPECT_EQ(full.model, sums.model);
  ASSERT_EQ(full.told.rounds.size(), sums.told.rounds.size());
  ASSERT_EQ(full.told.failures.size(), sums.told.failures.size());
  for (size_t i = 0; i < sums.told.rounds.size(); ++i) {
    EXPECT_EQ(full.told.rounds[i].survivors, sums.told.rounds[i].survivors);
    EXPECT_EQ(full.told.rounds[i].attempt, sums.told.rounds[i].attempt);
    EXPECT_EQ(full.told.rounds[i].epsilon, sums.told.rounds[i].epsilon);
    EXPECT_EQ(full.told.rounds[i].virtual_seconds, sums.told.rounds[i].virtual_seconds);
    EXPECT_EQ(full.told.rounds[i].bytes_received, sums.told.rounds[i].bytes_received);
  }
}

// Through the bytes of a checkpoint.
TEST_P(EveryKindTest, ARunThatWasStoppedGoesOnAsIfItHadNotBeen) {
  SmallRun run = Run();
  const SmallResult whole = Simulate(run);
  for (const uint32_t attempts : {1u, 2u, 3u}) {
    run.stop_after = attempts;
    Checkpoint checkpoint{.run = {.clients = run.clients}, .state = Simulate(run).state};
    const std::string path =
        absl::StrCat(::testing::TempDir(), "/simulator_test-", getpid(), ".bin");
    ASSERT_TRUE(WriteCheckpoint(path, checkpoint).ok());
    absl::StatusOr<Checkpoint> read = ReadCheckpoint(path);
    ASSERT_TRUE(read.ok()) << read.status();
    run.stop_after = 0;
    const SmallResult rest = Simulate(run, std::move(read->state));
    EXPECT_EQ(rest.model, whole.model) << "after " << attempts;
    EXPECT_EQ(rest.told.rounds.back().epsilon, whole.told.rounds.back().epsilon);
    EXPECT_EQ(rest.told.rounds.back().virtual_seconds, whole.told.rounds.back().virtual_seconds);
    EXPECT_EQ(rest.told.rounds.back().bytes_sent, whole.told.rounds.back().bytes_sent);
    EXPECT_EQ(rest.told.evaluations.back().metrics.loss(),
              whole.told.evaluations.back().metrics.loss());
  }
}

TEST(SimulatorTest, AModelThatCanLearnLearns) {
  SmallFederation federation;
  federation.rounds = "count = 20\ncohort = 8\nminimum = 5\nmax_attempts = 30\n";
  federation.local = "mode = \"epochs\"\nepochs = 5\nbatch_size = 5\nlearning_rate = 0.3\n";
  const SmallResult result = Simulate({.toml = federation.Toml()});
  ASSERT_TRUE(result.status.ok()) << result.status;
  ASSERT_THAT(result.told.evaluations, SizeIs(10));
  EXPECT_GT(result.told.evaluations.back().metrics.accuracy(), 0.9);
  EXPECT_EQ(result.told.evaluations.back().metrics.records(), 101);
}

TEST(SimulatorTest, WithoutNoiseTheEpsilonIsUnbounded) {
  SmallFederation federation;
  federation.local = "mode = \"gradient\"\nsampling_rate = 0.2\n";
  federation.privacy = kRecordPrivacy;
  SmallRun run{.toml = federation.Toml()};
  const SmallResult noised = Simulate(run);
  ASSERT_TRUE(noised.told.rounds.back().epsilon.has_value());
  run.noise = false;
  const SmallResult result = Simulate(run);
  ASSERT_TRUE(result.status.ok()) << result.status;
  EXPECT_FALSE(result.told.rounds.back().epsilon.has_value());
  EXPECT_NE(result.model, noised.model);
}

TEST(SimulatorTest, TooFewAreLeftAndTheAttemptIsMadeAgain) {
  SmallRun run{.simulation = "[behaviour]\ndropout = 0.45\ndropout_at = \"after_keys\"\n"};
  SmallFederation federation;
  federation.rounds = "count = 4\ncohort = 8\nminimum = 5\nmax_attempts = 60\n";
  run.toml = federation.Toml();
  const SmallResult sums = Simulate(run);
  ASSERT_TRUE(sums.status.ok()) << sums.status;
  EXPECT_FALSE(sums.told.failures.empty());
  EXPECT_THAT(sums.told.failures[0].reason, HasSubstr("at least"));
  run.depth = Depth::kFull;
  const SmallResult full = Simulate(run);
  EXPECT_EQ(full.model, sums.model);
  ASSERT_EQ(full.told.failures.size(), sums.told.failures.size());
  for (size_t i = 0; i < sums.told.failures.size(); ++i) {
    EXPECT_EQ(full.told.failures[i].attempt, sums.told.failures[i].attempt);
    EXPECT_EQ(full.told.failures[i].virtual_seconds, sums.told.failures[i].virtual_seconds);
  }
}

TEST(SimulatorTest, WhoIsLateIsNotInTheSum) {
  SmallRun run{.simulation = "[behaviour]\nstragglers = 0.3\nslowdown = 100000\n"};
  const SmallResult result = Simulate(run);
  ASSERT_TRUE(result.status.ok()) << result.status;
  uint32_t survivors = 0;
  for (const RoundLine& round : result.told.rounds) survivors += round.survivors;
  EXPECT_LT(survivors, 4u * 8);
  // The deadline has passed.
  EXPECT_GE(result.told.rounds.back().virtual_seconds, 600);
}

TEST(SimulatorTest, RobustRulesHearTheSameGroups) {
  SmallFederation federation;
  federation.rounds = "count = 3\ncohort = 16\nminimum = 12\nmax_attempts = 9\n";
  federation.secure_aggregation =
      "max_corrupt = 0.0625\nmax_dropout = 0.1\nrobust = \"median\"\ngroup_size = 5\n";
  SmallRun run{.toml = federation.Toml(),
               .simulation = "[attack]\nbyzantine = 0.05\nkind = \"scale\"\n"};
  const SmallResult sums = Simulate(run);
  ASSERT_TRUE(sums.status.ok()) << sums.status;
  run.depth = Depth::kFull;
  EXPECT_EQ(Simulate(run).model, sums.model);
  run.depth = Depth::kSums;
  run.threads = 3;
  EXPECT_EQ(Simulate(run).model, sums.model);
}

TEST(SimulatorTest, WhatStaysWithClientsDecidesTheirNextUpdate) {
  SmallFederation federation;
  SmallRun run{.toml = absl::StrCat(federation.Toml())};
  const std::string model = "hidden = [7]\n";
  run.toml.replace(run.toml.find(model), model.size(), "hidden = [7]\npersonal = [\"*2*\"]\n");
  const SmallResult one = Simulate(run);
  ASSERT_TRUE(one.status.ok()) << one.status;
  EXPECT_FALSE(one.state.states.empty());
  run.threads = 4;
  const SmallResult more = Simulate(run);
  EXPECT_EQ(more.model, one.model);
  EXPECT_TRUE(more.state.states == one.state.states);
}

TEST(SimulatorTest, WhatCannotBeSimulatedIsRefused) {
  SmallRun run;
  run.clients = 5;
  EXPECT_THAT(Simulate(run).status.message(), HasSubstr("rounds.cohort is 8, and there are 5"));
  run.clients = 20;
  run.depth = Depth::kFull;
  ThreadRanks(2).Run([&](Ranks* ranks) {
    EXPECT_THAT(Simulate(run, ranks).status.message(), HasSubstr("in one process"));
  });
}

// With nothing to measure the model on, too.
TEST(SimulatorTest, TheFirstAttemptBeginsAtOnce) {
  for (const bool measured : {true, false}) {
    SmallRun run;
    run.measured = measured;
    const SmallResult result = Simulate(run);
    ASSERT_TRUE(result.status.ok()) << result.status;
    EXPECT_LT(result.told.rounds.front().virtual_seconds, 1);
    EXPECT_EQ(result.told.evaluations.empty(), !measured);
  }
}

TEST(SimulatorTest, NobodyComesForAMonth) {
  SmallRun run{.simulation = "[behaviour]\navailability = \"random\"\navailable = 0.01\n"};
  const SmallResult result = Simulate(run);
  EXPECT_THAT(result.status.message(), HasSubstr("rounds.minimum"));
}

}  // namespace
}  // namespace dure::simulation
