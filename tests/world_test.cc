// Whole runs of a small federation: the coordinator's and the members' engines together.
#include "tests/support/world.h"

#include <cmath>
#include <set>

#include "federation/model_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dure {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Model;
using testing::SmallFederation;
using testing::World;

TEST(WorldTest, EveryRoundIsReleasedAndTheModelMovesByTheMean) {
  World world(SmallFederation(), 5);
  world.ConnectAll();
  world.Run();
  ASSERT_TRUE(world.ended_.has_value());
  EXPECT_TRUE(world.ended_->ok()) << *world.ended_;
  EXPECT_EQ(world.state_.round, RoundNumber(3));
  EXPECT_EQ(world.state_.attempts, AttemptNumber(3));
  // Each round adds C / 2 times the sampled share of 5,000 records, of whom 500 are expected: a
  // standard deviation of 0.5 sqrt(3 * 450) / 500 = 0.037 by the coins, and noise far below.
  std::vector<float> model = Model(world);
  EXPECT_NEAR(model[0], 1.5, 7 * 0.037);
  for (size_t i = 1; i < model.size(); ++i) EXPECT_NEAR(model[i], 0, 0.01);
  for (const World::Node& node : world.nodes_) {
    EXPECT_TRUE(node.done);
    EXPECT_EQ(node.ledger.charges(), node.role == MEMBER ? 3u : 0u);
  }
}

TEST(WorldTest, EvaluatorsMeasureEveryFewRoundsAndTheLast) {
  World world(SmallFederation(), 5);
  world.ConnectAll();
  world.Run();
  ASSERT_EQ(world.state_.evaluations.size(), 2u);
  EXPECT_EQ(world.state_.evaluations[0].round, RoundNumber(2));
  EXPECT_EQ(world.state_.evaluations[1].round, RoundNumber(3));
  EXPECT_EQ(world.state_.evaluations[1].evaluator, "evaluator");
}

TEST(WorldTest, MembersSendTheProtocolAndNothingElse) {
  World world(SmallFederation(), 5);
  world.watch_ = [](World::Node& node, const ClientMessage& message) {
    if (node.role == MEMBER) {
      EXPECT_TRUE(message.has_hello() || message.has_secagg()) << message.ShortDebugString();
    } else {
      EXPECT_TRUE(message.has_hello() || message.has_evaluation());
    }
  };
  world.ConnectAll();
  world.Run();
  EXPECT_TRUE(world.ended_.has_value());
}

TEST(WorldTest, TheChargeIsOnDiskBeforeSharesAndTheConsentBeforeItsSignature) {
  World world(SmallFederation(1), 5);
  world.watch_ = [](World::Node& node, const ClientMessage& message) {
    if (!message.has_secagg()) return;
    if (message.secagg().has_advertise()) {
      EXPECT_EQ(node.ledger.charges(), 0u);
    }
    if (message.secagg().has_shares()) {
      EXPECT_EQ(node.ledger.charges(), 1u);
    }
    if (message.secagg().has_consent()) {
      Ledger copy = node.ledger;
      auto session = DigestFromBytes(message.secagg().session_id());
      EXPECT_FALSE(copy.Add(ConsentEntry{.session_id = *session}).ok());
    }
  };
  world.ConnectAll();
  world.Run();
  EXPECT_EQ(world.state_.round, RoundNumber(1));
}

// One member is lost after each message that the run delivers, one run for each: a round ends in
// the sum of four or five, or is tried again; the run always ends.
TEST(WorldTest, AMemberLostAtAnyMomentCostsAtMostAnAttempt) {
  int runs = 0, retried = 0;
  for (int moment = 6; moment < 400; moment += 4) {
    World world(SmallFederation(2), 5);
    world.ConnectAll();
    int delivered = 0;
    while (delivered < moment && world.DeliverOne()) ++delivered;
    if (world.ended_) break;
    ++runs;
    world.Disconnect(world.nodes_[1]);
    world.Run(40);
    ASSERT_TRUE(world.ended_.has_value()) << "moment " << moment;
    EXPECT_TRUE(world.ended_->ok()) << *world.ended_;
    EXPECT_EQ(world.state_.round, RoundNumber(2));
    EXPECT_LE(world.attempts_failed_, 1u);
    retried += world.attempts_failed_ > 0;
    for (const RoundSummary& round : world.state_.history) EXPECT_GE(round.survivors, 4u);
    EXPECT_NEAR(Model(world)[0], 1.0, 0.4);
  }
  EXPECT_GT(runs, 20);
  EXPECT_LT(retried, runs);
}

TEST(WorldTest, ATrainerThatFailsGivesNoiseAloneAndTheRoundGoesOn) {
  World world(SmallFederation(1), 5);
  world.nodes_[0].trainer_fails = true;
  world.ConnectAll();
  world.Run();
  ASSERT_EQ(world.state_.round, RoundNumber(1));
  EXPECT_EQ(world.state_.history[0].survivors, 5u);
  EXPECT_NEAR(Model(world)[0], 0.4, 7 * 0.02);
  EXPECT_THAT(world.nodes_[0].told, Contains(HasSubstr("noise alone")));
}

// A second set of keys for one session, signed, would be proof that the member lies.
TEST(WorldTest, AnOfferThatComesAgainIsAnsweredOnce) {
  World world(SmallFederation(1), 5);
  std::optional<ServerMessage> offer;
  world.tamper_ = [&](World::Node& node, ServerMessage* message) {
    if (node.name != "m0" || !message->has_offer() || offer) return;
    offer = *message;
    world.messages_.push_back([&] { world.StepMember(node, member::FromCoordinator{*offer}); });
  };
  std::multiset<std::string> answers;
  int declined = 0;
  world.watch_ = [&](World::Node& node, const ClientMessage& message) {
    if (node.name != "m0") return;
    if (message.secagg().has_advertise()) answers.insert(message.SerializeAsString());
    declined += message.has_decline();
  };
  world.ConnectAll();
  while (world.nodes_[0].told.empty() && world.DeliverOne()) {
  }
  EXPECT_THAT(world.nodes_[0].told, Contains(HasSubstr("offered once more: ignored")));
  EXPECT_EQ(answers.size(), 1u);
  // On another connection it may be the attempt that goes on: the same words once more.
  world.Disconnect(world.nodes_[0]);
  world.Connect(world.nodes_[0]);
  world.StepMember(world.nodes_[0], member::FromCoordinator{*offer});
  EXPECT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers.count(*answers.begin()), 2u);
  // Not after a greeting, which begins anew.
  ServerMessage welcome;
  welcome.mutable_welcome();
  world.Disconnect(world.nodes_[0]);
  world.Connect(world.nodes_[0]);
  world.StepMember(world.nodes_[0], member::FromCoordinator{welcome});
  world.StepMember(world.nodes_[0], member::FromCoordinator{*offer});
  EXPECT_EQ(answers.size(), 2u);
  EXPECT_EQ(declined, 1);
  world.Run(10);
  EXPECT_EQ(world.state_.round, RoundNumber(1));
}

TEST(WorldTest, TooFewMembersWait) {
  World world(SmallFederation(1), 5);
  for (int i = 0; i < 3; ++i) world.Connect(world.nodes_[i]);
  world.Run(5);
  EXPECT_EQ(world.state_.attempts, AttemptNumber(0));
  EXPECT_THAT(world.coordinator_->Status(RoundNumber(0), 10).phase(), HasSubstr("3 of 5 are here"));
  // The fourth is enough, once the others have had their time.
  world.Connect(world.nodes_[3]);
  world.Run();
  EXPECT_EQ(world.state_.attempts, AttemptNumber(0));
  world.Run(10);
  EXPECT_EQ(world.state_.round, RoundNumber(1));
  EXPECT_EQ(world.state_.history[0].cohort, 4u);
}

TEST(WorldTest, ACoordinatorThatRestartsGoesOnFromTheLastReleasedRound) {
  World world(SmallFederation(3), 5);
  world.ConnectAll();
  while (world.state_.round < RoundNumber(2)) ASSERT_TRUE(world.DeliverOne());
  std::string model = *world.state_.model;
  uint32_t attempts = world.state_.attempts.value();
  world.StartCoordinator();
  EXPECT_EQ(*world.state_.model, model);
  world.ConnectAll();
  world.Run();
  ASSERT_TRUE(world.ended_.has_value());
  EXPECT_EQ(world.state_.round, RoundNumber(3));
  EXPECT_EQ(world.state_.attempts.value(), attempts + 1);
  EXPECT_NEAR(Model(world)[0], 1.5, 0.4);
}

TEST(WorldTest, ARestartedMemberNeverTakesAnAttemptTwice) {
  World world(SmallFederation(1), 5);
  World::Node& node = world.nodes_[0];
  std::optional<ServerMessage> offer;
  world.tamper_ = [&](World::Node& to, ServerMessage* message) {
    if (&to == &node && message->has_offer()) offer = *message;
  };
  world.ConnectAll();
  world.Run();
  ASSERT_TRUE(offer.has_value());
  world.StartMember(node, PolicyOf(world.spec_));
  std::vector<member::Output> outputs;
  node.engine->Step(member::FromCoordinator{*offer}, &outputs);
  const auto* send = std::get_if<member::Send>(&outputs.front());
  ASSERT_NE(send, nullptr);
  ASSERT_TRUE(send->message.has_decline());
  EXPECT_THAT(send->message.decline().text(), HasSubstr("charged in this member's ledger already"));
}

TEST(WorldTest, AMembersOwnLimitHoldsAndTheOthersGoOn) {
  World world(SmallFederation(3), 5);
  Policy policy = PolicyOf(world.spec_);
  policy.max_epsilon = 0.001;
  world.StartMember(world.nodes_[2], policy);
  world.ConnectAll();
  world.Run(40);
  ASSERT_TRUE(world.ended_.has_value());
  EXPECT_EQ(world.state_.round, RoundNumber(3));
  EXPECT_EQ(world.nodes_[2].ledger.charges(), 0u);
  EXPECT_THAT(world.notes_, Contains(HasSubstr("max_epsilon = 0.001")));
}

TEST(WorldTest, WeakerTermsThanApprovedAreDeclined) {
  World world(SmallFederation(1), 5);
  world.tamper_ = [](World::Node& node, ServerMessage* message) {
    if (node.name != "m1" || !message->has_offer()) return;
    secagg::RoundConfig* config = message->mutable_offer()->mutable_offer()->mutable_config();
    config->set_sigma2_local(config->sigma2_local() - 1);
  };
  world.ConnectAll();
  world.Run(40);
  EXPECT_EQ(world.state_.round, RoundNumber(1));
  EXPECT_EQ(world.nodes_[1].ledger.charges(), 0u);
  ASSERT_TRUE(world.nodes_[1].refused.has_value());
  EXPECT_THAT(std::string(world.nodes_[1].refused->message()), HasSubstr("sigma2_local"));
  EXPECT_THAT(world.notes_, Contains(HasSubstr("m1 takes no part in attempt 1: the coordinator")));
}

TEST(WorldTest, TheRunStopsBeforeTheBudgetIsPassed) {
  World probe(SmallFederation(1), 5);
  probe.ConnectAll();
  probe.Run();
  double one = probe.state_.history[0].epsilon;
  World world(SmallFederation(9, absl::StrCat("max_epsilon = ", one * 1.0001)), 5);
  world.ConnectAll();
  world.Run();
  ASSERT_TRUE(world.ended_.has_value());
  EXPECT_EQ(world.ended_->code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(world.state_.round, RoundNumber(1));
  EXPECT_THAT(std::string(world.ended_->message()), HasSubstr("max_epsilon"));
}

TEST(WorldTest, OtherTermsThanTheCoordinatorsAreTurnedAway) {
  World world(SmallFederation(1), 5);
  world.watch_ = [](World::Node& node, const ClientMessage& message) {
    if (node.name == "m3" && message.has_hello()) {
      const_cast<ClientMessage&>(message).mutable_hello()->set_spec_digest("other");
    }
  };
  world.ConnectAll();
  world.Run(40);
  EXPECT_THAT(world.expelled_, Contains("m3"));
  EXPECT_EQ(world.state_.round, RoundNumber(1));
}

TEST(WorldTest, PausedNothingBeginsAndResumedItGoesOn) {
  World world(SmallFederation(2), 5);
  world.StepCoordinator(run::SetPaused{true});
  world.ConnectAll();
  world.Run(3);
  EXPECT_EQ(world.state_.attempts, AttemptNumber(0));
  world.StepCoordinator(run::SetPaused{false});
  world.Run();
  EXPECT_EQ(world.state_.round, RoundNumber(2));
}

std::vector<uint32_t> MeasuredRounds(const World& world) {
  std::vector<uint32_t> rounds;
  for (const EvaluationReceived& evaluation : world.state_.evaluations) {
    rounds.push_back(evaluation.round.value());
  }
  return rounds;
}

TEST(WorldTest, AnEvaluatorWhoseTrainerDiesMeasuresOnceMore) {
  World world(SmallFederation(), 5);
  world.nodes_[5].evaluations_that_fail = 1;
  world.ConnectAll();
  world.Run();
  EXPECT_TRUE(world.ended_.has_value());
  EXPECT_THAT(MeasuredRounds(world), ElementsAre(2, 3));
  EXPECT_THAT(world.nodes_[5].told, Contains(HasSubstr("measured once more")));
}

TEST(WorldTest, AnEvaluatorThatCannotMeasureSaysSoAndIsAskedAgainLater) {
  World world(SmallFederation(), 5);
  world.nodes_[5].evaluations_that_fail = 2;
  world.ConnectAll();
  world.Run();
  EXPECT_TRUE(world.ended_.has_value());
  EXPECT_THAT(MeasuredRounds(world), ElementsAre(3));
  EXPECT_THAT(world.notes_, Contains(HasSubstr("round 2 could not be measured")));
}

TEST(WorldTest, ASlowEvaluatorGoesOnWithTheNewestModel) {
  World world(SmallFederation(7), 5);
  World::Node& evaluator = world.nodes_[5];
  evaluator.slow = true;
  world.ConnectAll();
  while (world.state_.round < RoundNumber(5)) ASSERT_TRUE(world.DeliverOne());
  for (int measured = 0; measured < 3; ++measured) {
    world.Measure(evaluator);
    world.Run();
  }
  EXPECT_TRUE(world.ended_.has_value());
  EXPECT_THAT(MeasuredRounds(world), ElementsAre(2, 5, 7));
}

TEST(WorldTest, ACoordinatorKilledAfterTheLastRoundStillTellsEverybody) {
  World world(SmallFederation(), 5);
  world.ConnectAll();
  while (world.state_.round < RoundNumber(3)) ASSERT_TRUE(world.DeliverOne());
  world.StartCoordinator();
  world.StepCoordinator(run::Tick{});
  EXPECT_FALSE(world.ended_.has_value());
  world.ConnectAll();
  world.Run();
  ASSERT_TRUE(world.ended_.has_value());
  EXPECT_TRUE(world.ended_->ok());
  EXPECT_THAT(MeasuredRounds(world), ElementsAre(2, 3));
  for (const World::Node& node : world.nodes_) EXPECT_TRUE(node.done);
}

TEST(WorldTest, ACoordinatorThatBeginsAfterTheLastRoundDoesNotWaitForEver) {
  World world(SmallFederation(), 5);
  world.ConnectAll();
  world.Run();
  world.StartCoordinator();
  world.StepCoordinator(run::Tick{});
  EXPECT_FALSE(world.ended_.has_value());
  world.Run(1);
  ASSERT_TRUE(world.ended_.has_value());
  EXPECT_TRUE(world.ended_->ok());
}

TEST(WorldTest, AnEvaluationThatMakesNoSenseIsIgnored) {
  World world(SmallFederation(2), 5);
  world.watch_ = [](World::Node&, const ClientMessage& message) {
    if (message.has_evaluation()) {
      const_cast<ClientMessage&>(message).mutable_evaluation()->mutable_metrics()->set_accuracy(
          NAN);
    }
  };
  world.ConnectAll();
  world.Run(40);
  EXPECT_TRUE(world.state_.evaluations.empty());
  EXPECT_THAT(world.notes_, Contains(HasSubstr("makes no sense")));
}

// What was trained for one attempt is not the next one's.
TEST(WorldTest, ANewOfferUsesItsOwnTraining) {
  World world(SmallFederation(1), 5);
  World::Node& node = world.nodes_[0];
  world.ConnectAll();
  while (node.training.empty()) ASSERT_TRUE(world.DeliverOne());
  const uint64_t former = node.training.front().first;
  node.training.clear();
  for (int other : {1, 2}) world.Disconnect(world.nodes_[other]);
  while (world.attempts_failed_ == 0) ASSERT_TRUE(world.DeliverOne() || world.PassTime());
  node.training.clear();
  for (int other : {1, 2}) world.Connect(world.nodes_[other]);
  while (node.training.empty()) ASSERT_TRUE(world.DeliverOne() || world.PassTime());
  EXPECT_EQ(world.state_.attempts, AttemptNumber(2));
  std::vector<member::Output> outputs;
  node.engine->Step(member::TrainingDone{former, world.Update(node.training.front().second)},
                    &outputs);
  EXPECT_TRUE(outputs.empty());
}

TEST(WorldTest, AMemberThatIsGoneForGoodIsWaitedForOnce) {
  for (bool goodbye : {true, false}) {
    World world(SmallFederation(5), 5);
    world.ConnectAll();
    while (world.state_.round < RoundNumber(1)) ASSERT_TRUE(world.DeliverOne());
    world.Disconnect(world.nodes_[1], !goodbye);
    absl::Time begin = world.clock_.Now();
    world.RunUntilReleased(5);
    // One wait for its return to the attempt, and one before the next.
    EXPECT_LE(world.clock_.Now() - begin, absl::Seconds(5));
    world.Run(4);
    ASSERT_TRUE(world.ended_.has_value());
    // Who was lost may dial again and has to hear that it is over; who said goodbye knows.
    EXPECT_LE(world.clock_.Now() - begin, goodbye ? absl::Seconds(5) : absl::Seconds(40));
  }
}

TEST(WorldTest, AMemberThatWasLostJustBeforeTheEndIsTold) {
  World world(SmallFederation(2), 5);
  world.ConnectAll();
  while (world.state_.round < RoundNumber(1)) ASSERT_TRUE(world.DeliverOne());
  while (!world.coordinator_->Status(RoundNumber(0), 1).awaited().empty()) {
    ASSERT_TRUE(world.DeliverOne());
  }
  world.Disconnect(world.nodes_[1]);
  world.RunUntilReleased(2);
  EXPECT_FALSE(world.ended_.has_value());
  world.Connect(world.nodes_[1]);
  world.Run();
  ASSERT_TRUE(world.ended_.has_value());
  EXPECT_TRUE(world.nodes_[1].done);
}

TEST(WorldTest, AMemberThatTalksNonsenseIsShutOut) {
  World world(SmallFederation(2), 5);
  world.ConnectAll();
  while (world.state_.attempts < AttemptNumber(1)) ASSERT_TRUE(world.DeliverOne());
  ClientMessage nonsense;
  nonsense.mutable_secagg()->set_session_id("x");
  for (int i = 0; i < 100; ++i) {
    world.StepCoordinator(run::Said{world.nodes_[4].id, nonsense});
  }
  EXPECT_THAT(world.expelled_, Contains("m4"));
  EXPECT_LT(world.notes_.size(), 40u);
  world.StepCoordinator(run::Left{world.nodes_[4].id});
  world.Connect(world.nodes_[4]);  // coming back does not help
  world.Run(40);
  EXPECT_EQ(world.state_.round, RoundNumber(2));
  EXPECT_EQ(world.state_.history.back().cohort, 4u);
}

TEST(WorldTest, NothingIsDueWhileNothingCanHappen) {
  World world(SmallFederation(2), 5);
  EXPECT_EQ(world.coordinator_->next_deadline(), absl::InfiniteFuture());
  world.ConnectAll();
  while (world.state_.round < RoundNumber(1)) ASSERT_TRUE(world.DeliverOne());
  world.StepCoordinator(run::SetPaused{true});
  for (int i = 0; i < 3; ++i) world.Disconnect(world.nodes_[i]);
  world.Run(3);
  EXPECT_EQ(world.coordinator_->next_deadline(), absl::InfiniteFuture());
}

}  // namespace
}  // namespace dure
