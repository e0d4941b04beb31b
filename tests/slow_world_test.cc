// Members on slow lines: a deadline waits for bytes that move at rounds.minimum_rate or faster, and
// for no others; and cohorts larger than rounds.target, whose slowest are not waited for.
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/world.h"

namespace dure {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::SmallFederation;
using testing::World;

constexpr uint64_t kPiece = 64 << 10;

class SlowLineTest : public ::testing::Test {
 protected:
  // m1's input is on a slow line: it is announced, and its message waits for Arrive().
  SlowLineTest() : world_(SmallFederation(1), 5) {
    world_.tamper_ = [](World::Node&, ServerMessage*) {};
    world_.spoil_ = [this](World::Node& node, ClientMessage* message) {
      if (node.name != "m1" || !message->secagg().has_masked_input() || held_) return;
      held_ = *message;
      message->Clear();
    };
    world_.ConnectAll();
    while (world_.DeliverOne()) {
    }
    EXPECT_TRUE(held_.has_value());
    begun_ = world_.clock_.Now();
  }
  void Move(uint64_t bytes) { world_.StepCoordinator(run::Moved{node().id, bytes}); }
  World::Node& node() { return world_.nodes_[1]; }
  void Arrive() {
    world_.StepCoordinator(run::Said{node().id, *held_});
    while (world_.DeliverOne()) {
    }
  }
  void Pass(absl::Duration time) {
    world_.clock_.Advance(time);
    world_.StepCoordinator(run::Tick{});
    while (world_.DeliverOne()) {
    }
  }

  World world_;
  std::optional<ClientMessage> held_;
  absl::Time begun_;
};

TEST_F(SlowLineTest, AMemberWhoseBytesMoveIsWaitedForPastTheDeadline) {
  Move(0);
  for (int i = 0; i < 20; ++i) {  // 6.5 kB a second, for 200 seconds; the deadline is 10
    Pass(absl::Seconds(10));
    Move(kPiece);
  }
  Arrive();
  EXPECT_EQ(world_.state_.round, RoundNumber(1));
  EXPECT_EQ(world_.state_.history[0].survivors, 5u);
  EXPECT_THAT(world_.notes_, Not(Contains(HasSubstr("m1 did not send"))));
}

TEST_F(SlowLineTest, BytesThatMoveTooSlowlyBuyTheTimeThatTheyAreWorth) {
  Move(0);
  // 16 bytes a second are far below 4,096: 26 pieces of 160 bytes are worth one second.
  for (int i = 0; i < 26 && world_.state_.round == RoundNumber(0); ++i) {
    Pass(absl::Seconds(10));
    Move(160);
  }
  EXPECT_EQ(world_.state_.round, RoundNumber(1));
  EXPECT_EQ(world_.state_.history[0].survivors, 4u);
  // The deadline, and one piece at the least rate.
  EXPECT_LE(world_.clock_.Now() - begun_, absl::Seconds(10 + 16 + 10));
}

TEST_F(SlowLineTest, ATransferThatStopsIsGivenUpAfterOnePiece) {
  Move(0);
  Pass(absl::Seconds(5));
  Move(kPiece);
  while (world_.state_.round == RoundNumber(0) && world_.PassTime()) {
    while (world_.DeliverOne()) {
    }
  }
  EXPECT_EQ(world_.state_.history[0].survivors, 4u);
  EXPECT_LE(world_.clock_.Now() - begun_, absl::Seconds(10 + 5 + 16 + 1));
}

TEST_F(SlowLineTest, WithoutATransferTheDeadlineIsTheDeadline) {
  Pass(absl::Seconds(10));
  EXPECT_EQ(world_.state_.round, RoundNumber(1));
  EXPECT_EQ(world_.state_.history[0].survivors, 4u);
}

// A cohort of seven where five inputs are enough.
TEST(TargetTest, TheSlowestOfACohortAreNotWaitedFor) {
  std::string toml =
      absl::StrReplaceAll(SmallFederation(3), {{"cohort = 5", "cohort = 7\ntarget = 5"}});
  ASSERT_NE(toml.find("target = 5"), std::string::npos) << toml;
  toml = absl::StrReplaceAll(toml, {{"max_dropout = 0.1", "max_dropout = 0.3"}});
  World world(toml, 7);
  world.spoil_ = [](World::Node& node, ClientMessage* message) {
    const bool slow = node.name == "m1" || node.name == "m4";
    if (slow && message->secagg().has_masked_input()) message->Clear();
  };
  world.ConnectAll();
  const absl::Time begin = world.clock_.Now();
  world.RunUntilReleased(3);
  for (const RoundSummary& round : world.state_.history) {
    EXPECT_EQ(round.cohort, 7u);
    EXPECT_EQ(round.survivors, 5u);
  }
  EXPECT_EQ(world.clock_.Now(), begin) << "nobody was waited for";
  EXPECT_THAT(world.notes_, Not(Contains(HasSubstr("did not send"))));
}

}  // namespace
}  // namespace dure
