// One-time secrets stay one-time (docs/secure-aggregation.md section 1.5): a member is killed
// before each message that it would receive in an attempt, between what it writes down and each
// message that it would send, and just after. It comes back with nothing but its ledger, to a
// coordinator that sends it the old session's messages once more, offers the same session again,
// and offers the same attempt under another session.
#include <set>

#include "privacy/secagg/transcript.h"
#include "tests/support/world.h"

namespace dure::testing {
namespace {

enum class Moment { kBeforeReceiving, kBeforeSending, kAfterSending };

class OneTimeTest : public ::testing::TestWithParam<std::tuple<Moment, int>> {
 protected:
  OneTimeTest() : world_(SmallFederation(2), 5) {
    world_.tamper_ = [this](World::Node& to, ServerMessage* message) {
      if (&to != &node() || killed_) return;
      if (!message->has_offer() && !message->has_secagg()) return;
      old_.push_back(*message);
      if (moment() == Moment::kBeforeReceiving && ++count_ == nth()) Kill();
    };
    world_.watch_ = [this](World::Node& from, const ClientMessage& message) {
      if (&from != &node() || !message.has_secagg()) return;
      CheckSecrets(message.secagg());
      if (killed_ || moment() == Moment::kBeforeReceiving || ++count_ != nth()) return;
      if (moment() == Moment::kAfterSending) {
        world_.StepCoordinator(run::Said{from.id, message});
      }
      Kill();
    };
  }

  static Moment moment() { return std::get<0>(GetParam()); }
  static int nth() { return std::get<1>(GetParam()); }
  World::Node& node() { return world_.nodes_[1]; }

  void Kill() {
    killed_ = true;
    node().connected = false;
  }
  // Every session key, share and masked input that leaves is new.
  void CheckSecrets(const secagg::UpMessage& message) {
    const auto once = [&](const std::string& bytes) {
      EXPECT_TRUE(secrets_.insert(bytes).second) << "sent twice";
    };
    if (message.has_advertise()) {
      once(message.advertise().enc_key());
      once(message.advertise().mask_key());
    }
    if (message.has_shares()) {
      once(message.shares().commit_seed());
      for (const auto& sealed : message.shares().sealed()) once(sealed.ciphertext());
    }
    if (message.has_masked_input()) once(message.masked_input().packed());
    if (message.has_consent()) once(message.consent().signature());
  }
  // What a member that comes back does with a message: its answers of the protocol. What it writes
  // down is taken up.
  std::vector<secagg::UpMessage> Answers(const ServerMessage& message) {
    std::vector<member::Output> outputs;
    node().engine->Step(member::FromCoordinator{message}, &outputs);
    std::vector<secagg::UpMessage> answers;
    for (const member::Output& output : outputs) {
      if (const auto* write = std::get_if<member::WriteLedger>(&output)) {
        EXPECT_TRUE(node().ledger.Add(write->entry).ok());
      }
      const auto* send = std::get_if<member::Send>(&output);
      if (send == nullptr || !send->message.has_secagg()) continue;
      answers.push_back(send->message.secagg());
      CheckSecrets(answers.back());
    }
    return answers;
  }
  ServerMessage UnderAnotherSession(ServerMessage offer) {
    secagg::Offer& inner = *offer.mutable_offer()->mutable_offer();
    secagg::SessionId other;
    other.fill(0x5a);
    inner.set_session_id(ToString(other));
    inner.set_signature(ToString(world_.key_.Sign(
        secagg::OfferStatement(other, secagg::ConfigHash(inner.config())).bytes())));
    return offer;
  }

  World world_;
  bool killed_ = false;
  int count_ = 0;
  std::vector<ServerMessage> old_;
  std::set<std::string> secrets_;
};

TEST_P(OneTimeTest, AMemberThatWasKilledBeginsWithNewSecrets) {
  world_.ConnectAll();
  while (!killed_) ASSERT_TRUE(world_.DeliverOne());
  ASSERT_FALSE(old_.empty());
  // What was on its way when the process died reaches nobody.
  world_.Disconnect(node());
  for (size_t queued = world_.messages_.size(); queued > 0; --queued) world_.DeliverOne();
  const bool charged = node().ledger.charges() > 0;
  // Shares leave once the charge is written: with the second message that it sends.
  EXPECT_EQ(charged, moment() == Moment::kBeforeReceiving ? nth() > 2 : nth() >= 2);
  node().training.clear();
  world_.StartMember(node(), PolicyOf(world_.spec_));

  // The old session's messages, with its offer and without, and once more in the other order.
  std::vector<ServerMessage> again(old_.begin() + 1, old_.end());
  again.insert(again.end(), old_.begin(), old_.end());
  again.insert(again.end(), old_.rbegin(), old_.rend());
  again.push_back(UnderAnotherSession(old_[0]));
  for (const ServerMessage& message : again) {
    for (const secagg::UpMessage& answer : Answers(message)) {
      // Before the charge nothing was sealed or masked, and it may begin anew, with new keys; an
      // old roster does not have those.
      EXPECT_FALSE(charged);
      EXPECT_TRUE(answer.has_advertise());
    }
  }
  EXPECT_EQ(node().ledger.charges(), charged ? 1u : 0u);

  // It is started once more, and the run goes on with it.
  world_.StartMember(node(), PolicyOf(world_.spec_));
  world_.Connect(node());
  world_.Run(40);
  ASSERT_TRUE(world_.ended_.has_value());
  EXPECT_TRUE(world_.ended_->ok()) << *world_.ended_;
  EXPECT_EQ(world_.state_.round, RoundNumber(2));
  EXPECT_GT(node().ledger.charges(), charged ? 1u : 0u);
}

INSTANTIATE_TEST_SUITE_P(EveryMoment, OneTimeTest,
                         ::testing::Combine(::testing::Values(Moment::kBeforeReceiving,
                                                              Moment::kBeforeSending,
                                                              Moment::kAfterSending),
                                            ::testing::Range(1, 6)));

}  // namespace
}  // namespace dure::testing
