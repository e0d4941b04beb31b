// What the coordinator does with members that break the rules or the order.
#include "privacy/secagg/server.h"

#include <gtest/gtest.h>

#include "crypto/merkle.h"
#include "privacy/secagg/session_for_test.h"
#include "privacy/secagg/transcript.h"

namespace dure::secagg {
namespace {

constexpr uint32_t kMembers = 6;  // c_max 1: Q = 4, t = 3, U_min' = 4

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() : cohort_(kMembers, 5, 20), run_(cohort_) {}

  Server& server() { return run_.server; }
  absl::StatusCode Receive(uint32_t from, const UpMessage& message) {
    return server().Receive(run_.id(from), message).status().code();
  }
  const SigningKey& key(uint32_t i) { return cohort_.members[i]->key; }

  // Signs an Advertise again after a change.
  void Resign(uint32_t i, Advertise* advertise) {
    RosterEntry entry = *ReadAdvertise(*advertise, cohort_.verifier);
    advertise->set_signature(ToString(key(i).Sign(
        AdvertiseStatement(cohort_.session_id, server().config_hash(), entry).bytes())));
  }
  // The same for Shares.
  void Resign(uint32_t i, Shares* shares) {
    const Graph graph = Graph::Complete(kMembers);
    std::vector<Digest> leaves;
    const std::vector<ClientIndex> neighbours = graph.Neighbours(ClientIndex(i));
    for (size_t position = 0; position < neighbours.size(); ++position) {
      const Shares::Sealed& sealed = shares->sealed(static_cast<int>(position));
      leaves.push_back(ShareLeaf(
          server().t1(),
          {.dealer = ClientIndex(i), .holder = neighbours[position]},
          {.ciphertext = AsBytes(sealed.ciphertext()),
           .commit_mask = AsBytes(sealed.commit_mask()),
           .commit_self = AsBytes(sealed.commit_self())}));
    }
    shares->set_signature(ToString(
        key(i).Sign(SharesStatement(server().t1(), ClientIndex(i), MerkleTree(leaves).root(),
                                    AsBytes(shares->commit_seed()))
                        .bytes())));
  }
  void Resign(uint32_t i, MaskedInput* input) {
    input->set_signature(ToString(
        key(i).Sign(MaskedStatement(server().t2(), ClientIndex(i), Sha256(AsBytes(input->packed())),
                                    AsBytes(input->void_bitmap()))
                        .bytes())));
  }
  // The second message of member 0 contradicts its first, and anybody can see it.
  void ExpectExcluded(const UpMessage& second) {
    EXPECT_EQ(Receive(0, second), absl::StatusCode::kPermissionDenied);
    EXPECT_TRUE(server().faults().contains(run_.id(0)));
    ASSERT_EQ(server().evidence().size(), 1u);
    const Evidence& evidence = server().evidence()[0];
    EXPECT_EQ(evidence.signer, key(0).public_key());
    EXPECT_NE(evidence.first.statement, evidence.second.statement);
    for (const SignedStatement* side : {&evidence.first, &evidence.second}) {
      EXPECT_TRUE(VerifySignature(evidence.signer, side->statement, side->signature));
    }
    EXPECT_EQ(Receive(0, second), absl::StatusCode::kPermissionDenied);
  }
  void ExpectAborts(std::string_view why) {
    Outbox outbox;
    absl::Status status = server().Advance(Into(&outbox));
    EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
    EXPECT_NE(status.message().find(absl::string_view(why.data(), why.size())),
              absl::string_view::npos)
        << status;
    EXPECT_TRUE(outbox.empty());
    EXPECT_EQ(server().aborted(), status);
    EXPECT_EQ(server().phase(), Phase::kAborted);
    EXPECT_EQ(server().Advance(Into(&outbox)).code(), absl::StatusCode::kFailedPrecondition);
  }

  CohortForTest cohort_;
  SessionRunForTest run_;
};

TEST_F(ServerTest, CreateRefusesACohortThatIsNotTheOneInvited) {
  Server::Params params = cohort_.ServerParams();
  params.expected.pop_back();
  EXPECT_EQ(Server::Create(params).status().code(), absl::StatusCode::kInvalidArgument);
  params.expected.push_back(params.expected[0]);
  EXPECT_EQ(Server::Create(params).status().code(), absl::StatusCode::kInvalidArgument);
  params = cohort_.ServerParams();
  params.config.set_max_corrupt(5);
  EXPECT_EQ(Server::Create(params).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ServerTest, StrangersAndOtherSessionsAreRefused) {
  UpMessage message = run_.Start()[0];
  EXPECT_EQ(server().Receive(MemberId{}, message).status().code(), absl::StatusCode::kNotFound);
  message.mutable_session_id()->front() ^= 1;
  EXPECT_EQ(Receive(0, message), absl::StatusCode::kInvalidArgument);
  message.clear_kind();
  EXPECT_EQ(Receive(0, message), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(server().answered(), 0u);
}

TEST_F(ServerTest, AMessageOfAnotherPhaseChangesNothing) {
  // Member 0's message of every kind, from a whole session.
  std::vector<UpMessage> all = {run_.Start()[0]};
  SessionRunForTest whole(cohort_);
  std::vector<DownMessage> messages = whole.RunTo(Phase::kShares);
  while (true) {
    std::vector<UpMessage> answers = whole.AnswersTo(messages);
    all.push_back(answers[0]);
    whole.DeliverAll(answers);
    if (whole.server.phase() == Phase::kUnmask) break;
    messages = whole.Advance();
  }
  ASSERT_EQ(all.size(), 5u);
  for (size_t kind = 1; kind < all.size(); ++kind) {
    EXPECT_EQ(Receive(0, all[kind]), absl::StatusCode::kFailedPrecondition);
  }
  whole.Advance();
  ASSERT_EQ(whole.server.phase(), Phase::kFinished);
  EXPECT_EQ(whole.server.Receive(whole.id(0), all[0]).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(ServerTest, AnAdvertiseThatFailsACheckIsRefused) {
  const std::vector<UpMessage> messages = run_.Start();
  const auto refused = [&](const std::function<void(Advertise*)>& change, bool resign) {
    UpMessage message = messages[0];
    change(message.mutable_advertise());
    if (resign) Resign(0, message.mutable_advertise());
    EXPECT_EQ(Receive(0, message), absl::StatusCode::kInvalidArgument);
  };
  refused([](Advertise* a) { a->mutable_nonce()->front() ^= 1; }, false);
  refused([](Advertise* a) { a->set_certificate("short"); }, false);
  refused([&](Advertise* a) { *a = messages[1].advertise(); }, false);  // somebody else's
  refused([](Advertise* a) { a->set_enc_key(std::string(32, '\0')); }, true);
  refused([](Advertise* a) { a->set_mask_key("\x01" + std::string(31, '\0')); }, true);
  refused([](Advertise* a) { a->set_mask_key(a->enc_key()); }, true);
  run_.Deliver(1, messages[1]);
  refused([&](Advertise* a) { a->set_mask_key(messages[1].advertise().enc_key()); }, true);
  run_.Deliver(0, messages[0]);
}

TEST_F(ServerTest, ARepetitionIsFineAndAContradictionExcludes) {
  const std::vector<UpMessage> messages = run_.Start();
  run_.DeliverAll(messages);
  EXPECT_EQ(Receive(0, messages[0]), absl::StatusCode::kOk);
  // Not signed by the member: no evidence, no exclusion.
  UpMessage second = messages[0];
  second.mutable_advertise()->set_nonce(std::string(32, 'x'));
  EXPECT_EQ(Receive(0, second), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(server().faults().empty());
  Resign(0, second.mutable_advertise());
  ExpectExcluded(second);
  std::vector<DownMessage> rosters = run_.Advance();
  EXPECT_EQ(server().roster().size(), kMembers - 1);
}

TEST_F(ServerTest, TwoDifferentSharesExclude) {
  std::vector<UpMessage> shares = run_.AnswersTo(run_.RunTo(Phase::kShares));
  run_.DeliverAll(shares);
  shares[0].mutable_shares()->mutable_commit_seed()->front() ^= 1;
  Resign(0, shares[0].mutable_shares());
  ExpectExcluded(shares[0]);
  run_.Advance();
  EXPECT_FALSE(server().dealers()->Contains(0));
}

TEST_F(ServerTest, TwoDifferentInputsExcludeButTheFirstStaysInTheSum) {
  std::vector<UpMessage> inputs = run_.AnswersTo(run_.RunTo(Phase::kMaskedInput));
  run_.DeliverAll(inputs);
  EXPECT_EQ(Receive(0, inputs[0]), absl::StatusCode::kOk);
  inputs[0].mutable_masked_input()->mutable_packed()->front() ^= 1;
  Resign(0, inputs[0].mutable_masked_input());
  ExpectExcluded(inputs[0]);
  std::vector<DownMessage> messages = run_.Advance();
  EXPECT_TRUE(server().survivors()->Contains(0));
  EXPECT_FALSE(messages[0].has_survivors());  // the excluded member is asked nothing more
  for (Phase phase : {Phase::kConsent, Phase::kUnmask}) {
    ASSERT_EQ(server().phase(), phase);
    for (uint32_t i = 1; i < kMembers; ++i) {
      run_.Deliver(i, **run_.client(i).Receive(messages[i]));
    }
    EXPECT_TRUE(server().Complete());
    messages = run_.Advance();
  }
  ASSERT_TRUE(server().RemoveMasks(&run_.sum).ok());
  EXPECT_EQ(RingToSigned(run_.sum, 20), cohort_.SumOf([](uint32_t) { return true; }));
}

TEST_F(ServerTest, SharesThatFailACheckAreRefused) {
  std::vector<UpMessage> shares = run_.AnswersTo(run_.RunTo(Phase::kShares));
  UpMessage changed = shares[0];
  changed.mutable_shares()->mutable_sealed(2)->mutable_ciphertext()->front() ^= 1;
  EXPECT_EQ(Receive(0, changed), absl::StatusCode::kInvalidArgument);
  changed = shares[0];
  changed.mutable_shares()->mutable_sealed()->RemoveLast();
  EXPECT_EQ(Receive(0, changed), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Receive(0, shares[1]), absl::StatusCode::kInvalidArgument);
  run_.DeliverAll(shares);
}

TEST_F(ServerTest, AMaskedInputThatFailsACheckIsRefused) {
  std::vector<UpMessage> inputs = run_.AnswersTo(run_.RunTo(Phase::kMaskedInput));
  const auto refused = [&](const std::function<void(MaskedInput*)>& change) {
    UpMessage message = inputs[0];
    change(message.mutable_masked_input());
    Resign(0, message.mutable_masked_input());
    EXPECT_EQ(Receive(0, message), absl::StatusCode::kInvalidArgument);
  };
  refused([](MaskedInput* input) { input->mutable_packed()->push_back('\0'); });
  refused([](MaskedInput* input) { input->mutable_packed()->back() ^= '\x80'; });  // padding
  refused([](MaskedInput* input) { input->set_void_bitmap("\x20"); });  // five neighbours
  UpMessage message = inputs[0];
  message.mutable_masked_input()->mutable_packed()->front() ^= 1;
  EXPECT_EQ(Receive(0, message), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(server().answered(), 0u);
  run_.DeliverAll(inputs);
}

TEST_F(ServerTest, AVoidEdgeToAMemberOutsideU2IsRefused) {
  std::vector<UpMessage> shares = run_.AnswersTo(run_.RunTo(Phase::kShares));
  shares.pop_back();
  run_.DeliverAll(shares);
  UpMessage input = **run_.client(0).Receive(run_.Advance()[0]);
  input.mutable_masked_input()->set_void_bitmap("\x10");
  Resign(0, input.mutable_masked_input());
  EXPECT_EQ(Receive(0, input), absl::StatusCode::kInvalidArgument);
}

TEST_F(ServerTest, AConsentToSomethingElseIsRefused) {
  std::vector<UpMessage> consents = run_.AnswersTo(run_.RunTo(Phase::kConsent));
  EXPECT_EQ(Receive(0, consents[1]), absl::StatusCode::kInvalidArgument);
  run_.DeliverAll(consents);
  EXPECT_EQ(Receive(0, consents[0]), absl::StatusCode::kOk);
  EXPECT_EQ(Receive(0, consents[1]), absl::StatusCode::kInvalidArgument);
}

TEST_F(ServerTest, AShareThatWasNotDealtExcludesItsHolder) {
  std::vector<UpMessage> unmask = run_.AnswersTo(run_.RunTo(Phase::kUnmask));
  UpMessage fewer = unmask[0];
  fewer.mutable_unmask()->mutable_self_seeds()->RemoveLast();
  EXPECT_EQ(Receive(0, fewer), absl::StatusCode::kInvalidArgument);
  UpMessage more = unmask[0];
  *more.mutable_unmask()->add_mask_keys() = unmask[0].unmask().self_seeds(0);
  EXPECT_EQ(Receive(0, more), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(server().faults().empty());
  UpMessage wrong = unmask[0];
  wrong.mutable_unmask()->mutable_self_seeds(1)->mutable_share()->front() ^= 1;
  EXPECT_EQ(Receive(0, wrong), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(server().faults().contains(run_.id(0)));
  // The others are enough.
  for (uint32_t i = 1; i < kMembers; ++i) run_.Deliver(i, unmask[i]);
  EXPECT_TRUE(server().Complete());
  run_.Advance();
  ASSERT_TRUE(server().RemoveMasks(&run_.sum).ok());
  EXPECT_EQ(RingToSigned(run_.sum, 20), cohort_.SumOf([](uint32_t) { return true; }));
}

TEST_F(ServerTest, ADealerWhoseSharesNobodyCanUseIsNamed) {
  std::vector<UpMessage> shares = run_.AnswersTo(run_.RunTo(Phase::kShares));
  for (Shares::Sealed& sealed : *shares[3].mutable_shares()->mutable_sealed()) {
    sealed.mutable_ciphertext()->front() ^= 1;
  }
  Resign(3, shares[3].mutable_shares());
  run_.DeliverAll(shares);
  run_.DeliverAll(run_.AnswersTo(run_.Advance()));
  ExpectAborts("hold a usable share");
  EXPECT_TRUE(server().faults().contains(run_.id(3)));
  EXPECT_EQ(server().faults().size(), 1u);
}

TEST_F(ServerTest, ADealerWhoseSharesRebuildSomethingElseIsNamed) {
  std::vector<UpMessage> shares = run_.AnswersTo(run_.RunTo(Phase::kShares));
  shares[3].mutable_shares()->mutable_commit_seed()->front() ^= 1;
  Resign(3, shares[3].mutable_shares());
  run_.DeliverAll(shares);
  std::vector<DownMessage> messages = run_.Advance();
  while (server().phase() < Phase::kFinished) {
    run_.DeliverAll(run_.AnswersTo(messages));
    messages = run_.Advance();
  }
  const RingVector masked = run_.sum;
  absl::Status status = server().RemoveMasks(&run_.sum);
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(run_.sum, masked);
  EXPECT_EQ(server().phase(), Phase::kAborted);
  EXPECT_TRUE(server().faults().contains(run_.id(3)));
}

TEST_F(ServerTest, WhoIsAwaitedAndHowManyAreNeeded) {
  const std::vector<UpMessage> messages = run_.Start();
  EXPECT_EQ(PhaseName(server().phase()), "keys");
  EXPECT_EQ(server().Awaited().size(), kMembers);
  EXPECT_EQ(server().needed(), 3u);
  EXPECT_FALSE(server().CanAdvance());
  for (uint32_t i = 0; i < 3; ++i) run_.Deliver(i, messages[i]);
  EXPECT_TRUE(server().CanAdvance());
  EXPECT_FALSE(server().Complete());
  for (uint32_t i = 3; i < kMembers; ++i) server().Drop(run_.id(i));
  EXPECT_TRUE(server().Complete());
  // Who comes back in time counts.
  run_.Deliver(4, messages[4]);
  EXPECT_EQ(server().answered(), 4u);
  run_.Advance();
  EXPECT_EQ(server().roster().size(), 4u);
  EXPECT_EQ(server().rules()->smaller.threshold, 2u);
  EXPECT_EQ(Receive(5, messages[5]), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ServerTest, TheLatestMessageCanBeHadAgain) {
  EXPECT_EQ(server().LatestFor(run_.id(0)).status().code(), absl::StatusCode::kNotFound);
  std::vector<DownMessage> messages = run_.RunTo(Phase::kShares);
  while (true) {
    auto again = server().LatestFor(run_.id(0));
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(again->SerializeAsString(), messages[0].SerializeAsString());
    if (server().phase() == Phase::kUnmask) break;
    run_.DeliverAll(run_.AnswersTo(messages));
    messages = run_.Advance();
  }
  EXPECT_EQ(server().LatestFor(MemberId{}).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace dure::secagg
