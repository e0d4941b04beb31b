// Contradictions end to end: what a coordinator, or a member, signs against its own word is
// noticed, releases nothing, and becomes a file that proves it to people who were not there.
#include <optional>
#include <string>

#include "audit/evidence.h"
#include "crypto/merkle.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "privacy/secagg/roster.h"
#include "tests/support/contradiction.h"
#include "tests/support/world.h"

namespace dure {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using At = testing::Contradiction::At;
using testing::SmallFederation;
using testing::World;

audit::Verdict Judge(World& world, const audit::Contradiction& said, std::string certificate) {
  absl::StatusOr<audit::EvidenceFile> file =
      audit::DecodeEvidence(audit::EncodeEvidence(said, {world.ca_, std::move(certificate)}));
  EXPECT_TRUE(file.ok()) << file.status();
  return audit::VerifyEvidence(*file, world.ca_);
}

std::string CoordinatorCertificate(World& world) {
  const Validity validity{world.clock_.Now() - absl::Hours(1), world.clock_.Now() + absl::Hours(1)};
  return *CertificateIssuer::Create(world.ca_, &world.ca_key_)
              ->IssueCoordinator(world.key_.public_key(), validity, world.random_);
}

// When the victim gets the second message.
enum class When {
  kAtOnce,
  kAfterTheNext,       // with the next message of the session
  kWhenTheAttemptEnds  // when the round was released, or has failed
};

class LyingCoordinatorTest : public ::testing::TestWithParam<std::tuple<At, When, bool>> {
 protected:
  At at() const { return std::get<0>(GetParam()); }
  When when() const { return std::get<1>(GetParam()); }
  bool broken() const { return std::get<2>(GetParam()); }
};

TEST_P(LyingCoordinatorTest, LeavesProof) {
  World world(SmallFederation(2), 5);
  testing::Contradiction lie(&world.key_, at(), broken());
  std::optional<ServerMessage> held;  // what the victim is still to get
  bool told = false;
  world.tamper_ = [&](World::Node& node, ServerMessage* message) {
    if (node.name != "m1" || told) return;
    std::optional<ServerMessage> second = lie.Against(*message);
    const bool now =
        held.has_value() &&
        (when() == When::kAfterTheNext ? message->has_secagg() : message->has_attempt_ended());
    if (second && when() != When::kAtOnce) {
      held = std::move(second);
      return;
    }
    if (!second && !now) return;
    const ServerMessage say = second ? *second : *held;
    held.reset();
    world.messages_.push_front([&world, &node, &told, say] {
      told = true;
      world.StepMember(node, member::FromCoordinator{say});
    });
  };
  int shares_opened = 0;
  world.watch_ = [&](World::Node& node, const ClientMessage& message) {
    if (node.name == "m1" && told) shares_opened += message.secagg().has_unmask() ? 1 : 0;
  };
  world.ConnectAll();
  world.Run(/*ticks=*/4);
  ASSERT_TRUE(told);
  World::Node& victim = world.nodes_[1];
  EXPECT_EQ(shares_opened, 0);
  ASSERT_TRUE(victim.refused.has_value());
  EXPECT_THAT(std::string(victim.refused->message()), HasSubstr("contradicted itself"));
  ASSERT_THAT(victim.evidence, SizeIs(1));
  const audit::Verdict verdict = Judge(world, victim.evidence[0], CoordinatorCertificate(world));
  EXPECT_THAT(verdict.faults, IsEmpty());
  EXPECT_EQ(verdict.kind, at() == At::kRoster  ? "rosters"
                          : at() == At::kDealt ? "dealers"
                                               : "survivors");
  EXPECT_EQ(verdict.round, 1u);
  EXPECT_EQ(verdict.attempt, 1u);
  EXPECT_EQ(verdict.task, ToHex(SpecDigest(world.spec_)));
  // Somebody else's certificate does not fit it.
  EXPECT_FALSE(Judge(world, victim.evidence[0], victim.certificate).proved());
  for (const World::Node& node : world.nodes_) {
    if (&node == &victim) continue;
    EXPECT_THAT(node.evidence, IsEmpty()) << node.name;
  }
  EXPECT_THAT(world.evidence_, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(EachKind, LyingCoordinatorTest,
                         ::testing::Combine(::testing::Values(At::kRoster, At::kDealt,
                                                              At::kSurvivors),
                                            ::testing::Values(When::kAtOnce, When::kAfterTheNext,
                                                              When::kWhenTheAttemptEnds),
                                            ::testing::Bool()));

// The second message comes first: the one that is refused is remembered, and the honest one that
// follows contradicts it.
TEST(EvidenceWorldTest, ARefusedMessageCountsToo) {
  for (At at : {At::kRoster, At::kSurvivors}) {
    World world(SmallFederation(2), 5);
    testing::Contradiction lie(&world.key_, at, /*broken=*/true);
    world.tamper_ = [&](World::Node& node, ServerMessage* message) {
      if (node.name != "m1") return;
      std::optional<ServerMessage> second = lie.Against(*message);
      if (second) world.StepMember(node, member::FromCoordinator{*second});
    };
    world.ConnectAll();
    world.Run(/*ticks=*/2);
    ASSERT_THAT(world.nodes_[1].evidence, SizeIs(1));
    EXPECT_TRUE(Judge(world, world.nodes_[1].evidence[0], CoordinatorCertificate(world)).proved());
  }
}

// Repetitions, and seconds that are not signed, prove nothing and change nothing.
TEST(EvidenceWorldTest, NobodyIsAccusedWithoutASignature) {
  World world(SmallFederation(1), 5);
  const SigningKey other = SigningKey::Generate(world.random_);
  testing::Contradiction lies[] = {
      {&other, At::kRoster}, {&other, At::kDealt}, {&other, At::kSurvivors}};
  world.tamper_ = [&](World::Node& node, ServerMessage* message) {
    if (node.name != "m1") return;
    for (testing::Contradiction& lie : lies) {
      std::optional<ServerMessage> second = lie.Against(*message);
      if (!second) continue;
      world.messages_.push_front([&world, &node, say = *second, same = *message] {
        world.StepMember(node, member::FromCoordinator{say});
        world.StepMember(node, member::FromCoordinator{same});
      });
    }
  };
  world.ConnectAll();
  world.RunUntilReleased(1);
  EXPECT_EQ(world.state_.history.at(0).survivors, 5u);
  for (const World::Node& node : world.nodes_) EXPECT_THAT(node.evidence, IsEmpty());
}

// A member that says one thing and then another, signed.
TEST(EvidenceWorldTest, AMemberThatContradictsItself) {
  for (const std::string kind : {"keys", "shares", "inputs"}) {
    World world(SmallFederation(2), 5);
    Digest session_id{}, config_hash{}, t1{}, t2{};
    world.tamper_ = [&](World::Node& node, ServerMessage* message) {
      if (node.name != "m1") return;
      if (message->has_offer()) {
        session_id = *DigestFromBytes(message->offer().offer().session_id());
        config_hash = secagg::ConfigHash(message->offer().offer().config());
      } else if (message->secagg().has_roster()) {
        std::vector<secagg::RosterEntry> roster;
        for (const auto& entry : message->secagg().roster().entries()) {
          roster.push_back(*secagg::ReadAdvertise(entry, *world.verifier_));
        }
        t1 = secagg::RosterHash(session_id, config_hash, roster);
      } else if (message->secagg().has_dealt()) {
        t2 = secagg::DealersHash(t1, AsBytes(message->secagg().dealt().bitmap()));
      }
    };
    World::Node& liar = world.nodes_[1];
    auto index = [&] {
      uint32_t before = 0;
      for (const World::Node& node : world.nodes_) {
        before += node.role == MEMBER && node.id < liar.id ? 1 : 0;
      }
      return ClientIndex(before);
    };
    world.watch_ = [&](World::Node& node, const ClientMessage& message) {
      if (&node != &liar || world.state_.attempts != AttemptNumber(1)) return;
      ClientMessage second = message;
      secagg::UpMessage& up = *second.mutable_secagg();
      auto sign = [&](const Transcript& statement) {
        return ToString(liar.key.Sign(statement.bytes()));
      };
      if (kind == "keys" && up.has_advertise()) {
        up.mutable_advertise()->set_nonce(std::string(32, 'n'));
        const secagg::RosterEntry entry = *secagg::ReadAdvertise(up.advertise(), *world.verifier_);
        up.mutable_advertise()->set_signature(
            sign(secagg::AdvertiseStatement(session_id, config_hash, entry)));
      } else if (kind == "shares" && up.has_shares()) {
        up.mutable_shares()->set_commit_seed(std::string(32, 'c'));
        std::vector<Digest> leaves;
        uint32_t j = 0;
        for (const auto& sealed : up.shares().sealed()) {
          if (ClientIndex(j) == index()) ++j;
          leaves.push_back(
              secagg::ShareLeaf(t1, {.dealer = index(), .holder = ClientIndex(j++)},
                                {AsBytes(sealed.ciphertext()), AsBytes(sealed.commit_mask()),
                                 AsBytes(sealed.commit_self())}));
        }
        up.mutable_shares()->set_signature(sign(secagg::SharesStatement(
            t1, index(), MerkleTree(leaves).root(), AsBytes(up.shares().commit_seed()))));
      } else if (kind == "inputs" && up.has_masked_input()) {
        secagg::MaskedInput& input = *up.mutable_masked_input();
        input.mutable_packed()->front() ^= 1;
        input.set_signature(sign(secagg::MaskedStatement(
            t2, index(), Sha256(AsBytes(input.packed())), AsBytes(input.void_bitmap()))));
      } else {
        return;
      }
      // Which of the two comes first makes no difference.
      world.messages_.push_back([&world, &liar, second] {
        world.StepCoordinator(run::Said{liar.id, second});
      });
    };
    world.ConnectAll();
    world.Run(/*ticks=*/3);
    ASSERT_THAT(world.evidence_, SizeIs(1)) << kind;
    const audit::Verdict verdict =
        Judge(world, world.evidence_[0].contradiction, world.evidence_[0].certificate);
    EXPECT_THAT(verdict.faults, IsEmpty()) << kind;
    EXPECT_EQ(verdict.kind, kind);
    EXPECT_EQ(verdict.signer->name, "m1");
    EXPECT_THAT(world.notes_, Contains(HasSubstr("m1 is left out")));
  }
}

}  // namespace
}  // namespace dure
