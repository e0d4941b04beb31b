// What the federation file says of learning reaches the engines: rates that change from round to
// round, and a run that ends early when the evaluators' loss does not fall any more.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/support/world.h"

namespace dure {
namespace {

using ::testing::HasSubstr;
using testing::Model;
using testing::World;

struct Keys {
  uint32_t rounds = 4;
  std::string local, server, evaluation;
};

// Without noise: every member's update is one half in the first coordinate.
std::string Toml(const Keys& keys) {
  return absl::StrCat(R"([federation]
name = "learning"
purpose = "Tests"
address = "localhost:7443"
[model]
architecture = "logistic_regression"
[model.input]
shape = [4]
classes = 2
[rounds]
count = )",
                      keys.rounds, R"(
cohort = 4
minimum = 4
max_attempts = 40
deadline = "10s"
[local]
mode = "epochs"
learning_rate = 0.5
)",
                      keys.local, "\n[server]\noptimizer = \"fedavg\"\nlearning_rate = 1.0\n",
                      keys.server, R"(
[privacy]
unit = "none"
[secure_aggregation]
enabled = false
[evaluation]
)",
                      keys.evaluation, "\n");
}

TEST(RatesTest, TheServersRateFollowsItsSchedule) {
  World world(Toml({.server = "schedule = \"step\"\ndecay = 0.5\ndecay_every = 2"}), 4);
  world.ConnectAll();
  world.Run(20);
  ASSERT_TRUE(world.ended_ && world.ended_->ok());
  // Halves, times 1, 1, 1/2 and 1/2.
  EXPECT_EQ(Model(world)[0], 1.5f);
}

TEST(RatesTest, ARestartChangesNothing) {
  World world(Toml({.server = "schedule = \"linear\"\nfinal_fraction = 0.25"}), 4);
  for (uint32_t round = 1; round <= 4; ++round) {
    world.ConnectAll();
    world.RunUntilReleased(round);
    world.StartCoordinator();
  }
  EXPECT_FLOAT_EQ(Model(world)[0], 0.5f * (1 + 0.75f + 0.5f + 0.25f));
}

TEST(RatesTest, MembersTrainByTheirs) {
  World world(Toml({.local = "schedule = \"exponential\"\ndecay = 0.1\nwarmup = 1\n"
                             "proximal_mu = 0.25"}),
              4);
  world.ConnectAll();
  const double rates[] = {0.25, 0.05, 0.005, 0.0005};
  std::set<std::pair<std::string, uint64_t>> seen;
  while (world.DeliverOne() || (!world.ended_ && world.PassTime())) {
    for (const World::Node& node : world.nodes_) {
      if (node.training.empty()) continue;
      const auto& [training, plan] = node.training.front();
      if (!seen.emplace(node.name, training).second) continue;
      EXPECT_NEAR(std::get<EpochsPlan>(plan).learning_rate, rates[world.state_.round.value()],
                  1e-15);
      EXPECT_EQ(std::get<EpochsPlan>(plan).proximal_mu, 0.25);
    }
  }
  EXPECT_EQ(seen.size(), 16u);
}

constexpr char kPatience[] = "every = 1\npatience = 2\nmin_improvement = 0.05";

// What the evaluator says: from round 3 on it hardly falls.
void SayLosses(World* world) {
  world->spoil_ = [](World::Node&, ClientMessage* message) {
    const double losses[] = {1.0, 0.8, 0.6, 0.58, 0.57, 0.1, 0.1, 0.1};
    if (!message->has_evaluation()) return;
    message->mutable_evaluation()->mutable_metrics()->set_loss(
        losses[message->evaluation().round() - 1]);
  };
}

std::string EndText(const World& world) {
  return world.coordinator_->Status(RoundNumber(0), 100).text();
}

TEST(EarlyStoppingTest, TheRunEndsWhenTheLossDoesNotFall) {
  World world(Toml({.rounds = 8, .evaluation = kPatience}), 4);
  SayLosses(&world);
  world.ConnectAll();
  world.Run(200);
  ASSERT_TRUE(world.ended_.has_value());
  EXPECT_TRUE(world.ended_->ok()) << *world.ended_;
  // The answer on round 5 comes while round 6 is under way or just before.
  EXPECT_GE(world.state_.round.value(), 5u);
  EXPECT_LE(world.state_.round.value(), 6u);
  EXPECT_THAT(EndText(world), HasSubstr("stopped early after round"));
  EXPECT_THAT(EndText(world), HasSubstr("2 measurements in a row did not lower the evaluators' "
                                        "loss by more than 0.05"));
  const RunStatus status = world.coordinator_->Status(RoundNumber(0), 100);
  EXPECT_EQ(status.state(), "finished");
  EXPECT_EQ(status.patience(), 2u);
  EXPECT_EQ(status.without_improvement(), 2u);
  EXPECT_GE(status.best().round(), 5u);
  for (const World::Node& node : world.nodes_) EXPECT_TRUE(node.done) << node.name;
}

TEST(EarlyStoppingTest, WithoutEvaluatorsAllRoundsAreTrained) {
  World world(Toml({.rounds = 3, .evaluation = kPatience}), 4);
  for (size_t i = 0; i < 4; ++i) world.Connect(world.nodes_[i]);
  world.Run(20);
  ASSERT_TRUE(world.ended_ && world.ended_->ok());
  EXPECT_EQ(world.state_.round, RoundNumber(3));
  EXPECT_EQ(EndText(world), "all 3 rounds are done");
}

// The coordinator is killed after every single message or piece of training, at each of them once:
// what was recorded decides, so no run goes on after the evaluations said that it is over.
TEST(EarlyStoppingTest, ItSurvivesARestartAtAnyMoment) {
  int most = 400;
  for (int killed_after = 0; killed_after < most; killed_after += 7) {
    World world(Toml({.rounds = 8, .evaluation = kPatience}), 4);
    SayLosses(&world);
    world.ConnectAll();
    int delivered = 0;
    while (delivered < killed_after && (world.DeliverOne() || world.PassTime()) && !world.ended_) {
      ++delivered;
    }
    if (world.ended_) break;
    world.StartCoordinator();
    world.ConnectAll();
    world.Run(300);
    ASSERT_TRUE(world.ended_ && world.ended_->ok()) << killed_after;
    EXPECT_THAT(EndText(world), HasSubstr("stopped early")) << killed_after;
    EXPECT_LE(world.state_.round.value(), 7u) << killed_after;
  }
}

TEST(EarlyStoppingTest, ARunThatWasStoppedStaysSo) {
  World world(Toml({.rounds = 8, .evaluation = kPatience}), 4);
  SayLosses(&world);
  world.ConnectAll();
  world.Run(200);
  ASSERT_TRUE(world.ended_.has_value());
  const std::string text = EndText(world);
  const RoundNumber round = world.state_.round;
  world.StartCoordinator();
  EXPECT_EQ(world.coordinator_->Status(RoundNumber(0), 100).text(), text);
  world.ConnectAll();
  world.Run(200);
  ASSERT_TRUE(world.ended_ && world.ended_->ok());
  EXPECT_EQ(EndText(world), text);
  EXPECT_EQ(world.state_.round, round);
}

}  // namespace
}  // namespace dure
