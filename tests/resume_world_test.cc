// Members whose connection is cut, after each message of an attempt and on either side of it, and
// who come back: the attempt goes on with them, nothing is said twice in different words, nothing
// is charged twice, and their input is in the sum.
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/steps.h"
#include "tests/support/world.h"

namespace dure {
namespace {

using testing::Model;
using testing::SmallFederation;
using testing::StepOf;
using testing::World;

constexpr int kSteps = 10;

// At an even step the message to the member is lost with the connection, at an odd one its answer.
class ResumeTest : public ::testing::TestWithParam<int> {
 protected:
  ResumeTest() : world_(SmallFederation(2), 5) {
    world_.resumes_ = true;
    world_.marked_ = true;
  }
  World::Node& node() { return world_.nodes_[1]; }
  void CutOnce(World::Node& node, int at) {
    if (at != GetParam() || cut_ || node.name != "m1") return;
    cut_ = true;
    world_.Disconnect(node);
  }

  World world_;
  bool cut_ = false;
};

TEST_P(ResumeTest, AMemberThatComesBackGoesOnWhereItWas) {
  world_.tamper_ = [&](World::Node& node, ServerMessage* message) {
    CutOnce(node, StepOf(*message));
  };
  world_.watch_ = [&](World::Node& node, const ClientMessage& message) {
    CutOnce(node, StepOf(message));
  };
  world_.ConnectAll();
  while (!cut_ && world_.DeliverOne()) {
  }
  ASSERT_TRUE(cut_);
  world_.clock_.Advance(absl::Seconds(1));  // within the grace
  world_.Connect(node());
  world_.RunUntilReleased(1);
  EXPECT_EQ(world_.state_.history[0].attempt, AttemptNumber(1));
  EXPECT_EQ(world_.state_.history[0].survivors, 5u);
  EXPECT_NEAR(Model(world_)[World::MarkOf(node())], 0.1, 0.07);
  EXPECT_EQ(node().ledger.charges(), 1u);
  world_.RunUntilReleased(2);
  EXPECT_EQ(world_.state_.history[1].survivors, 5u);
  EXPECT_EQ(node().ledger.charges(), 2u);
}

TEST_P(ResumeTest, WhoComesBackWhenTheAttemptIsOverHearsHowItEnded) {
  world_.tamper_ = [&](World::Node& node, ServerMessage* message) {
    CutOnce(node, StepOf(*message));
  };
  world_.watch_ = [&](World::Node& node, const ClientMessage& message) {
    CutOnce(node, StepOf(message));
  };
  world_.ConnectAll();
  world_.RunUntilReleased(1);
  ASSERT_TRUE(cut_);
  world_.Connect(node());
  world_.RunUntilReleased(2);
  EXPECT_LE(node().ledger.charges(), 2u);
  EXPECT_FALSE(node().refused.has_value());
}

TEST_P(ResumeTest, ACoordinatorThatBeganAgainKnowsNothingOfIt) {
  world_.watch_ = [&](World::Node& node, const ClientMessage& message) {
    CutOnce(node, StepOf(message));
  };
  if (GetParam() % 2 == 0) return;
  world_.ConnectAll();
  while (!cut_ && world_.DeliverOne()) {
  }
  world_.StartCoordinator();
  world_.ConnectAll();
  world_.RunUntilReleased(1);
  EXPECT_EQ(world_.state_.history[0].attempt, AttemptNumber(2));
  EXPECT_EQ(world_.state_.history[0].survivors, 5u);
}

INSTANTIATE_TEST_SUITE_P(EveryStep, ResumeTest, ::testing::Range(0, kSteps));

// Without secure aggregation, and with an input that was being sent.
TEST(ResumePlainTest, AMemberThatComesBackSendsItsInput) {
  for (const bool trained : {false, true}) {
    std::string toml = SmallFederation(1);
    const std::string section = "[secure_aggregation]\n";
    toml.replace(toml.find(section), toml.find("[evaluation]") - toml.find(section),
                 section + "enabled = false\n");
    World world(toml, 5);
    world.resumes_ = true;
    bool cut = false;
    world.watch_ = [&](World::Node& node, const ClientMessage& message) {
      if (trained && !cut && node.name == "m1" && message.secagg().has_plain_input()) {
        cut = true;
        world.Disconnect(node);
      }
    };
    world.tamper_ = [&](World::Node& node, ServerMessage* message) {
      if (!trained && !cut && node.name == "m1" && message->has_offer()) {
        cut = true;
        world.Disconnect(node);
      }
    };
    world.ConnectAll();
    while (!cut && world.DeliverOne()) {
    }
    world.Connect(world.nodes_[1]);
    world.RunUntilReleased(1);
    EXPECT_EQ(world.state_.history[0].survivors, 5u);
    EXPECT_EQ(world.nodes_[1].ledger.charges(), 1u);
  }
}

// What has waited for too long is erased: the member takes part anew.
TEST(ForgetTest, SecretsOfAnInterruptedAttemptAreNotKeptForEver) {
  World world(SmallFederation(1), 5);
  world.resumes_ = true;
  bool cut = false;
  world.watch_ = [&](World::Node& node, const ClientMessage& message) {
    if (cut || node.name != "m1" || !message.secagg().has_shares()) return;
    cut = true;
    world.Disconnect(node);
  };
  world.ConnectAll();
  while (!cut && world.DeliverOne()) {
  }
  world.StepMember(world.nodes_[1], member::Forget{});
  world.Connect(world.nodes_[1]);
  EXPECT_EQ(world.nodes_[1].resume, "");
  world.RunUntilReleased(1);
  EXPECT_EQ(world.state_.history[0].survivors, 4u);
}

// Whose input is in a sum cannot be taken out of it: the attempt is given up.
TEST(RevokedTest, TheAttemptUnderWayHasNoPartOfARevokedMember) {
  for (const bool summed : {false, true}) {
    World world(SmallFederation(1), 5);
    world.marked_ = true;
    bool revoked = false;
    world.tamper_ = [&](World::Node&, ServerMessage* message) {
      const bool now = summed ? message->secagg().has_survivors() : message->secagg().has_dealt();
      if (!now || std::exchange(revoked, true)) return;
      world.nodes_[1].connected = false;
      world.StepCoordinator(
          run::Left{.member = world.nodes_[1].id, .lost = false, .revoked = true});
    };
    world.ConnectAll();
    world.RunUntilReleased(1);
    EXPECT_TRUE(revoked);
    EXPECT_EQ(world.attempts_failed_, summed ? 1u : 0u);
    EXPECT_EQ(world.state_.history[0].survivors, 4u);
    EXPECT_NEAR(Model(world)[World::MarkOf(world.nodes_[1])], 0, 0.01);
  }
}

}  // namespace
}  // namespace dure
