// A member's last word: offers that lie about the terms, limits of its own, a ledger that is an old
// copy. In each case nothing is charged, the organiser reads why, and the others go on.
#include <functional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "privacy/secagg/transcript.h"
#include "tests/support/world.h"

namespace dure {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::SmallFederation;
using testing::World;

struct Lie {
  std::string name;
  std::function<void(secagg::RoundConfig*)> tell;
  std::string named;
};

class LieTest : public ::testing::TestWithParam<Lie> {};

TEST_P(LieTest, TheMemberRefusesAndLeaves) {
  World world(SmallFederation(1), 5);
  world.tamper_ = [](World::Node& node, ServerMessage* message) {
    if (node.name != "m1" || !message->has_offer()) return;
    GetParam().tell(message->mutable_offer()->mutable_offer()->mutable_config());
  };
  world.ConnectAll();
  world.Run(40);
  EXPECT_EQ(world.state_.round, RoundNumber(1));
  const World::Node& node = world.nodes_[1];
  EXPECT_EQ(node.ledger.charges(), 0u);
  EXPECT_TRUE(node.training.empty());
  ASSERT_TRUE(node.refused.has_value());
  EXPECT_THAT(std::string(node.refused->message()), HasSubstr(GetParam().named));
  EXPECT_THAT(world.notes_, Contains(HasSubstr("m1 takes no part in attempt 1: ")));
  for (int other : {0, 2, 3, 4}) EXPECT_EQ(world.nodes_[other].ledger.charges(), 1u);
}

using secagg::RoundConfig;

INSTANTIATE_TEST_SUITE_P(
    EachField, LieTest,
    ::testing::Values(
        Lie{"LessNoise", [](RoundConfig* c) { c->set_sigma2_local(c->sigma2_local() / 2); },
            "sigma2_local"},
        Lie{"NoNoise", [](RoundConfig* c) { c->set_sigma2_local(0); }, "sigma2_local"},
        Lie{"MoreNoise", [](RoundConfig* c) { c->set_sigma2_local(c->sigma2_local() + 1); },
            "sigma2_local"},
        Lie{"ALargerClipNorm", [](RoundConfig* c) { c->set_clip_norm(2 * c->clip_norm()); },
            "clip_norm"},
        Lie{"AnotherScale", [](RoundConfig* c) { c->set_scale(2 * c->scale()); }, "scale"},
        Lie{"AnotherNormBound", [](RoundConfig* c) { c->set_norm_bound_sq(1); }, "norm_bound_sq"},
        Lie{"ASmallerRing", [](RoundConfig* c) { c->set_bits(c->bits() - 1); }, "bits"},
        Lie{"ASmallerSum", [](RoundConfig* c) { c->set_minimum_sum(3); }, "minimum_sum"},
        Lie{"ASmallerRoster", [](RoundConfig* c) { c->set_minimum_roster(3); }, "minimum_roster"},
        Lie{"NobodyCorrupt", [](RoundConfig* c) { c->set_max_corrupt(0); }, "max_corrupt"},
        Lie{"TooFewInvited", [](RoundConfig* c) { c->set_invited(3); }, "3 members"},
        Lie{"TwoInvited", [](RoundConfig* c) { c->set_invited(2); }, "2 members"},
        Lie{"TooManyInvited", [](RoundConfig* c) { c->set_invited(100); }, "100 members"},
        Lie{"AnotherMechanism", [](RoundConfig* c) { c->set_mechanism("none"); }, "mechanism"},
        Lie{"AnotherTask", [](RoundConfig* c) { c->set_task(std::string(32, 'x')); }, "task"},
        Lie{"AnotherModel", [](RoundConfig* c) { c->set_model_hash(std::string(32, 'x')); },
            "model_hash"},
        Lie{"ARoundBeyondTheLast", [](RoundConfig* c) { c->set_round(99); }, "of round 99"},
        Lie{"AnAttemptBeyondTheLast", [](RoundConfig* c) { c->set_attempt(1'000'000); },
            "attempt 1000000"},
        Lie{"ALongerDeadline", [](RoundConfig* c) { c->set_deadline_ms(1); }, "deadline_ms"}),
    [](const ::testing::TestParamInfo<Lie>& info) { return info.param.name; });

struct LimitCase {
  std::string name;
  std::function<void(Policy*)> tighten;
  std::string named;
};

class LimitTest : public ::testing::TestWithParam<LimitCase> {};

TEST_P(LimitTest, TheMemberRefusesTheOrganiserReadsWhyAndTheOthersGoOn) {
  World world(SmallFederation(2), 5);
  Policy policy = PolicyOf(world.spec_);
  GetParam().tighten(&policy);
  world.StartMember(world.nodes_[2], policy);
  world.ConnectAll();
  world.Run(40);
  EXPECT_EQ(world.state_.round, RoundNumber(2));
  EXPECT_EQ(world.nodes_[2].ledger.charges(), 0u);
  ASSERT_TRUE(world.nodes_[2].refused.has_value());
  EXPECT_THAT(std::string(world.nodes_[2].refused->message()), HasSubstr(GetParam().named));
  EXPECT_THAT(world.notes_, Contains(HasSubstr(GetParam().named)));
}

INSTANTIATE_TEST_SUITE_P(
    EachLimit, LimitTest,
    ::testing::Values(
        LimitCase{"MinSum", [](Policy* p) { p->min_sum = 5; }, "min_sum = 5"},
        LimitCase{"MinCohort", [](Policy* p) { p->min_cohort = 6; }, "min_cohort = 6"},
        LimitCase{"AssumeCorrupt", [](Policy* p) { p->assume_corrupt = 2; }, "assume_corrupt = 2"},
        LimitCase{"PrivacyUnit", [](Policy* p) { p->privacy_unit = PrivacySection::CLIENT; },
                  "privacy_unit = client"},
        LimitCase{"Noise", [](Policy* p) { p->min_noise_multiplier = 5; },
                  "min_noise_multiplier = 5"},
        LimitCase{"ClipNorm", [](Policy* p) { p->max_clip_norm = 0.1; }, "max_clip_norm = 0.1"},
        LimitCase{"Delta", [](Policy* p) { p->max_delta = 1e-8; }, "max_delta = 1e-08"},
        LimitCase{"Epsilon", [](Policy* p) { p->max_epsilon = 1e-3; }, "max_epsilon = 0.001"},
        LimitCase{"Rounds", [](Policy* p) { p->max_rounds = 1; }, "max_rounds = 1"},
        LimitCase{"Attempts", [](Policy* p) { p->max_attempts = 1; }, "max_attempts = 1"},
        LimitCase{"Models", [](Policy* p) { p->allowed_models.clear(); }, "allowed_models"}),
    [](const ::testing::TestParamInfo<LimitCase>& info) { return info.param.name; });

TEST(PolicyWorldTest, ARefusalSaysNothingOfOtherFederations) {
  World world(SmallFederation(1), 5);
  World::Node& node = world.nodes_[2];
  DataSpent spent;
  spent.all.Add({.cost = {.dim = 10,
                          .parties = 3,
                          .sigma2 = 100,
                          .norm_bound_sq = 1'000'000,
                          .sampling_rate = 1}});
  node.spent = &spent;
  world.StartMember(node, PolicyOf(world.spec_));
  world.ConnectAll();
  world.Run(40);
  EXPECT_EQ(world.state_.round, RoundNumber(1));
  ASSERT_TRUE(node.refused.has_value());
  EXPECT_EQ(node.refused->message(),
            "this member's budget for its data is spent (its limit total_epsilon)");
  EXPECT_EQ(node.ledger.charges(), 0u);
}

TEST(PolicyWorldTest, TooManyOfOneOrganisationAreRefused) {
  World world(SmallFederation(2), 5);
  CertificateIssuer issuer = CertificateIssuer::Create(world.ca_, &world.ca_key_).value();
  const Validity validity{world.clock_.Now() - absl::Hours(1), world.clock_.Now() + absl::Hours(9)};
  for (World::Node& node : world.nodes_) {
    if (node.name == "m3" || node.name == "m4" || node.role != MEMBER) continue;
    node.certificate = issuer
                           .IssueMember({.role = CertificateRole::kMember,
                                         .name = node.name,
                                         .organisation = "City Hospital"},
                                        node.key.public_key(), validity, world.random_)
                           .value();
    Policy policy = PolicyOf(world.spec_);
    if (node.name == "m0") policy.max_per_organisation = 2;
    world.StartMember(node, policy);
  }
  world.ConnectAll();
  world.Run(40);
  EXPECT_EQ(world.state_.round, RoundNumber(2));
  ASSERT_TRUE(world.nodes_[0].refused.has_value());
  EXPECT_THAT(std::string(world.nodes_[0].refused->message()),
              HasSubstr("more members of City Hospital than the 2 that this member's policy "
                        "allows (its limit max_per_organisation)"));
  EXPECT_THAT(world.notes_, Contains(HasSubstr("max_per_organisation")));
  EXPECT_EQ(world.nodes_[0].ledger.charges(), 0u);
}

// With an open cohort an attempt may be too small for one member, and the next may not.
TEST(PolicyWorldTest, AnAttemptOfTooFewMembersIsDeclinedAndTheNextIsNot) {
  std::string toml = SmallFederation(2);
  const size_t at = toml.find("cohort = ");
  ASSERT_NE(at, std::string::npos);
  toml.erase(at, toml.find('\n', at) - at);
  World world(toml, 6);
  for (World::Node& node : world.nodes_) {
    Policy policy = PolicyOf(world.spec_);
    if (node.name == "m0") policy.min_cohort = 6;
    world.StartMember(node, policy);
  }
  for (int member : {0, 1, 2, 3, 4}) world.Connect(world.nodes_[member]);
  world.PassTime();
  world.RunUntilReleased(1);
  EXPECT_EQ(world.nodes_[0].ledger.charges(), 0u);
  EXPECT_FALSE(world.nodes_[0].refused.has_value());
  EXPECT_THAT(world.nodes_[0].told, Contains(HasSubstr("min_cohort = 6")));
  world.Connect(world.nodes_[5]);
  world.Run(40);
  EXPECT_EQ(world.state_.round, RoundNumber(2));
  EXPECT_EQ(world.nodes_[0].ledger.charges(), 1u);
}

// ---- the coordinator's record of what it saw ----

class LastSeenTest : public ::testing::Test {
 protected:
  // Two rounds; then m1 has the ledger of before the second, and is back.
  void Restore(bool charge_missing = false) {
    world_.ConnectAll();
    world_.RunUntilReleased(1);
    const Ledger old = node().ledger;
    ASSERT_EQ(old.charges(), 1u);
    world_.RunUntilReleased(2);
    world_.Disconnect(node(), /*lost=*/false);
    node().ledger = old;
    node().charge_missing = charge_missing;
    world_.StartMember(node(), PolicyOf(world_.spec_));
    world_.Connect(node());
  }
  World::Node& node() { return world_.nodes_[1]; }

  World world_{SmallFederation(4), 5};
};

TEST_F(LastSeenTest, AnOldCopyOfALedgerIsNoticed) {
  Restore();
  world_.Run(40);
  ASSERT_TRUE(node().refused.has_value());
  EXPECT_THAT(std::string(node().refused->message()),
              HasSubstr("seen this member's shares of attempt 2, and its ledger ends with attempt "
                        "1"));
  EXPECT_THAT(std::string(node().refused->message()), HasSubstr("--charge-missing"));
  EXPECT_EQ(node().ledger.charges(), 1u);
}

TEST_F(LastSeenTest, WhatIsMissingCanBeChargedInFull) {
  // Whether attempt 3 goes on without it, while it is away, is chance: what it took part in counts.
  Restore(/*charge_missing=*/true);
  uint32_t shares = 0;
  world_.watch_ = [&](World::Node& from, const ClientMessage& message) {
    if (&from == &node() && message.secagg().has_shares()) ++shares;
  };
  world_.Run(40);
  EXPECT_FALSE(node().refused.has_value());
  EXPECT_EQ(world_.state_.round, RoundNumber(4));
  EXPECT_EQ(node().ledger.charges(), 2 + shares);
  EXPECT_GE(shares, 1u);
  EXPECT_THAT(node().told, Contains(HasSubstr("attempts 2 to 2 were missing")));
}

TEST_F(LastSeenTest, TheRecordSurvivesARestartOfTheCoordinator) {
  world_.ConnectAll();
  world_.RunUntilReleased(2);
  EXPECT_EQ(world_.state_.last_attempts.at(node().id), AttemptNumber(2));
  world_.StartCoordinator();
  node().ledger = Ledger();
  world_.StartMember(node(), PolicyOf(world_.spec_));
  world_.ConnectAll();
  world_.Run(40);
  EXPECT_TRUE(node().refused.has_value());
}

TEST_F(LastSeenTest, ARecordThatIsNotSignedIsIgnored) {
  world_.tamper_ = [this](World::Node& to, ServerMessage* message) {
    if (&to != &node() || !message->has_welcome()) return;
    message->mutable_welcome()->set_last_attempt(7);
    SystemRandom random;
    const SigningKey other = SigningKey::Generate(random);
    message->mutable_welcome()->set_last_attempt_signature(ToString(
        other.Sign(secagg::LastSeenStatement(SpecDigest(world_.spec_), node().id, 7).bytes())));
  };
  world_.ConnectAll();
  world_.Run(40);
  EXPECT_EQ(world_.state_.round, RoundNumber(4));
  EXPECT_FALSE(node().refused.has_value());
  EXPECT_THAT(node().told, Contains(HasSubstr("did not sign it: ignored")));
}

TEST_F(LastSeenTest, ARecordOfAnotherMemberOrAttemptIsIgnored) {
  world_.tamper_ = [this](World::Node& to, ServerMessage* message) {
    if (&to != &node() || !message->has_welcome()) return;
    message->mutable_welcome()->set_last_attempt(7);
    message->mutable_welcome()->set_last_attempt_signature(ToString(world_.key_.Sign(
        secagg::LastSeenStatement(SpecDigest(world_.spec_), world_.nodes_[2].id, 7).bytes())));
  };
  world_.ConnectAll();
  world_.Run(40);
  EXPECT_FALSE(node().refused.has_value());
}

}  // namespace
}  // namespace dure
