// Members that vanish at each of the ten steps of an attempt (docs/secure-aggregation.md section
// 1.2): what the round comes to, whose input is in its sum, and what it costs in time and charges.
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/steps.h"
#include "tests/support/world.h"

namespace dure {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using testing::Model;
using testing::SmallFederation;
using testing::StepOf;
using testing::World;

constexpr int kSteps = 10;

enum class Fault { kLost, kSilent };

// Lets `faulty` members vanish in the first attempt: at an even step before they have the message,
// at an odd one before theirs has arrived.
void VanishAt(World& world, int step, Fault fault, std::vector<std::string> faulty) {
  auto vanish = [&world, step, fault, faulty](World::Node& node, int at) {
    if (at != step || world.state_.attempts != AttemptNumber(1) || node.silent) return;
    if (std::find(faulty.begin(), faulty.end(), node.name) == faulty.end()) return;
    if (fault == Fault::kLost) {
      if (node.connected) world.Disconnect(node);
    } else {
      node.silent = true;
    }
  };
  world.tamper_ = [vanish](World::Node& node, ServerMessage* message) {
    vanish(node, StepOf(*message));
  };
  world.watch_ = [vanish](World::Node& node, const ClientMessage& message) {
    vanish(node, StepOf(message));
  };
}

// What the member's data have added to the model.
double PartOf(const World& world, int member) {
  return Model(world)[World::MarkOf(world.nodes_[member])];
}

class DropoutTest : public ::testing::TestWithParam<std::tuple<int, Fault>> {
 protected:
  int step() const { return std::get<0>(GetParam()); }
  Fault fault() const { return std::get<1>(GetParam()); }
};

// With five members of whom one may vanish, no round is ever lost to one.
TEST_P(DropoutTest, ARoundGoesOnWithoutOneMember) {
  World world(SmallFederation(2), 5);
  world.marked_ = true;
  VanishAt(world, step(), fault(), {"m1"});
  world.ConnectAll();
  const absl::Time begin = world.clock_.Now();
  world.RunUntilReleased(1);
  EXPECT_EQ(world.state_.history[0].attempt, AttemptNumber(1));
  // Its input is in the sum if it had arrived, and the sum is that of those whose had: each brings
  // C / 2 for about 100 of its 1,000 records, over 500; the noise is far below.
  const bool in_the_sum = step() >= 6;
  EXPECT_EQ(world.state_.history[0].survivors, in_the_sum ? 5u : 4u);
  for (int member = 0; member < 5; ++member) {
    EXPECT_NEAR(PartOf(world, member), member == 1 && !in_the_sum ? 0 : 0.1,
                member == 1 && !in_the_sum ? 0.01 : 0.07)
        << "m" << member;
  }
  // It costs the deadline of one phase if it stays connected, and otherwise as long as somebody
  // whose line was cut has to come back.
  EXPECT_LE(world.clock_.Now() - begin,
            fault() == Fault::kLost ? absl::Seconds(2) : absl::Seconds(10));
  // Charged from its Shares on, refunded never.
  EXPECT_EQ(world.nodes_[1].ledger.charges(), step() >= 3 ? 1u : 0u);

  // The second round is that of the others: nobody waits for it through another phase.
  const absl::Time second = world.clock_.Now();
  world.RunUntilReleased(2);
  EXPECT_EQ(world.state_.history[1].cohort, 4u);
  EXPECT_LE(world.clock_.Now() - second, absl::Seconds(3));
  if (fault() == Fault::kSilent) {
    EXPECT_THAT(world.notes_, Contains(HasSubstr("m1 did not send")));
  }
}

// Two are too many: the attempt is given up, and the next has fresh keys and another session.
TEST_P(DropoutTest, WithoutTwoMembersTheRoundIsTriedAgain) {
  World world(SmallFederation(1), 5);
  std::set<std::string> keys, sessions;
  VanishAt(world, step(), fault(), {"m1", "m3"});
  auto vanish = std::move(world.watch_);
  int advertised = 0;
  world.watch_ = [&](World::Node& node, const ClientMessage& message) {
    vanish(node, message);
    if (StepOf(message) != 1) return;
    ++advertised;
    keys.insert(message.secagg().advertise().enc_key());
    keys.insert(message.secagg().advertise().mask_key());
    sessions.insert(message.secagg().session_id());
  };
  world.ConnectAll();
  while (world.attempts_failed_ == 0) world.Run(1);
  EXPECT_EQ(world.state_.round, RoundNumber(0));
  world.Run(3);
  EXPECT_EQ(world.state_.attempts, AttemptNumber(1)) << "three of five were asked again";
  for (World::Node& node : world.nodes_) {
    if (!node.silent && node.connected) continue;
    node.silent = false;
    if (node.connected) world.Disconnect(node);
    world.Connect(node);
  }
  world.Run(5);
  ASSERT_EQ(world.state_.round, RoundNumber(1));
  EXPECT_EQ(world.state_.attempts, AttemptNumber(2));
  EXPECT_GE(world.state_.history[0].survivors, 4u);  // the first to come back make enough
  EXPECT_EQ(sessions.size(), 2u);
  EXPECT_EQ(keys.size(), 2u * static_cast<size_t>(advertised));
  // An attempt that was given up costs as much as one that came to its end.
  for (int member : {0, 2, 4}) {
    EXPECT_EQ(world.nodes_[member].ledger.charges(), step() >= 2 ? 2u : 1u);
  }
}

std::string NameOfCase(const ::testing::TestParamInfo<std::tuple<int, Fault>>& info) {
  return absl::StrCat("Step", std::get<0>(info.param),
                      std::get<1>(info.param) == Fault::kLost ? "Lost" : "Silent");
}

INSTANTIATE_TEST_SUITE_P(EveryStep, DropoutTest,
                         ::testing::Combine(::testing::Range(0, kSteps),
                                            ::testing::Values(Fault::kLost, Fault::kSilent)),
                         NameOfCase);

TEST(TardyTest, WhoIsLateAgainAndAgainIsAskedLessAndLess) {
  World world(SmallFederation(8), 5);
  std::vector<uint32_t> asked;
  world.tamper_ = [&](World::Node& node, ServerMessage* message) {
    if (node.name != "m1" || !message->has_offer()) return;
    asked.push_back(message->offer().offer().config().attempt());
    node.silent = true;
  };
  world.ConnectAll();
  World::Node& late = world.nodes_[1];
  const absl::Time begin = world.clock_.Now();
  for (uint32_t round = 1; round <= 8; ++round) {
    world.RunUntilReleased(round);
    // Its answer comes when the attempt is over, and the next has begun without it.
    late.silent = false;
    world.StepCoordinator(run::Said{late.id, ClientMessage()});
  }
  EXPECT_EQ(world.state_.round, RoundNumber(8));
  EXPECT_EQ(world.attempts_failed_, 0u);
  EXPECT_THAT(asked, ::testing::ElementsAre(1, 3, 6));
  EXPECT_LE(world.clock_.Now() - begin, absl::Seconds(3 * 10));
}

TEST(TardyTest, NobodyIsLateForACoordinatorThatStoodStill) {
  World world(SmallFederation(1), 5);
  world.ConnectAll();
  for (int i = 0; i < 12; ++i) ASSERT_TRUE(world.DeliverOne());
  ASSERT_EQ(world.state_.attempts, AttemptNumber(1));
  world.clock_.Advance(absl::Minutes(5));
  world.coordinator_->Postpone(absl::Minutes(5));
  world.StepCoordinator(run::Tick{});
  world.RunUntilReleased(1);
  EXPECT_EQ(world.state_.attempts, AttemptNumber(1));
  EXPECT_EQ(world.state_.history[0].survivors, 5u);
  EXPECT_TRUE(world.notes_.empty());
}

TEST(TardyTest, WhoSitsOutIsAskedAllTheSameWhenTheOthersAreTooFew) {
  World world(SmallFederation(4), 5);
  uint32_t asked = 0;
  world.tamper_ = [&](World::Node& node, ServerMessage* message) {
    if (node.name != "m1" || !message->has_offer()) return;
    if (++asked <= 2) node.silent = true;  // late twice: it would sit out two attempts
  };
  world.ConnectAll();
  World::Node& late = world.nodes_[1];
  for (uint32_t round = 1; round <= 3; ++round) {
    world.RunUntilReleased(round);
    late.silent = false;
    world.StepCoordinator(run::Said{late.id, ClientMessage()});
  }
  world.Disconnect(world.nodes_[2]);
  world.RunUntilReleased(4);
  EXPECT_EQ(asked, 3u);
  EXPECT_EQ(world.state_.history[3].attempt, AttemptNumber(5));
  EXPECT_EQ(world.state_.history[3].cohort, 4u);
}

}  // namespace
}  // namespace dure
