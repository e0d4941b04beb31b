// What a member does with a coordinator that breaks the rules: every case of
// docs/secure-aggregation.md section 4 ends with no share released.
#include "privacy/secagg/client.h"

#include <gtest/gtest.h>

#include "privacy/secagg/session_for_test.h"
#include "privacy/secagg/transcript.h"

namespace dure::secagg {
namespace {

constexpr uint32_t kMembers = 6;  // c_max 1: Q = 4, t = 3, U_min' = 4
constexpr uint32_t kVictim = 2;

class ClientTest : public ::testing::Test {
 protected:
  ClientTest() : cohort_(kMembers, 5, 20), run_(cohort_) {}

  Client& victim() { return run_.client(kVictim); }

  // The coordinator's signature on a statement, whatever it says.
  std::string Sign(const Transcript& statement) {
    return ToString(cohort_.coordinator.Sign(statement.bytes()));
  }

  // A roster of `entries` that the coordinator signs.
  DownMessage SignedRoster(const std::vector<Advertise>& entries) {
    DownMessage message;
    message.set_session_id(ToString(cohort_.session_id));
    std::vector<RosterEntry> parsed;
    for (const Advertise& entry : entries) {
      *message.mutable_roster()->add_entries() = entry;
      parsed.push_back(*ReadAdvertise(entry, cohort_.verifier));
    }
    const Digest t1 = RosterHash(cohort_.session_id, ConfigHash(cohort_.config), parsed);
    message.mutable_roster()->set_signature(Sign(RosterStatement(t1)));
    return message;
  }
  std::vector<Advertise> Entries(const DownMessage& roster) {
    return {roster.roster().entries().begin(), roster.roster().entries().end()};
  }

  // `message` with U2 less one member, signed.
  DownMessage WithoutDealer(DownMessage message, uint32_t dealer) {
    Dealt& dealt = *message.mutable_dealt();
    MemberSet u2(kMembers);
    for (uint32_t i = 0; i < kMembers; ++i) {
      if (i != dealer) u2.Insert(i);
    }
    dealt.set_bitmap(u2.ToString());
    dealt.set_signature(Sign(DealersStatement(DealersHash(run_.server.t1(), u2.bytes()))));
    for (int d = 0; d < dealt.dealers_size(); ++d) {
      if (dealt.dealers(d).dealer() == dealer) dealt.mutable_dealers()->DeleteSubrange(d, 1);
    }
    return message;
  }

  // `message` with U3 = `members`, of the U2 with hash `t2`, signed, uploads adjusted.
  DownMessage WithSurvivors(DownMessage message, const std::vector<uint32_t>& members,
                            const Digest& t2) {
    Survivors& survivors = *message.mutable_survivors();
    MemberSet u3(kMembers);
    for (uint32_t i : members) u3.Insert(i);
    survivors.set_bitmap(u3.ToString());
    survivors.set_signature(Sign(SurvivorsStatement(SurvivorsHash(t2, u3.bytes()))));
    for (int u = survivors.uploads_size() - 1; u >= 0; --u) {
      if (!u3.Contains(survivors.uploads(u).member())) {
        survivors.mutable_uploads()->DeleteSubrange(u, 1);
      }
    }
    return message;
  }

  // The victim refuses with `code` and has ended: whatever comes now, it releases nothing.
  void ExpectEnds(const DownMessage& message, absl::StatusCode code) {
    auto answer = victim().Receive(message);
    EXPECT_EQ(answer.status().code(), code) << answer.status();
    EXPECT_EQ(victim().ended().code(), code);
    EXPECT_FALSE(victim().finished());
    EXPECT_EQ(victim().Receive(message).status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(victim().SetInput(std::vector<int64_t>(5)).status().code(),
              absl::StatusCode::kFailedPrecondition);
  }
  // The victim refuses and goes on as if nothing had come.
  void ExpectRefuses(const DownMessage& message, absl::StatusCode code) {
    auto answer = victim().Receive(message);
    EXPECT_EQ(answer.status().code(), code) << answer.status();
    EXPECT_TRUE(victim().ended().ok());
  }
  void ExpectEvidence(const PublicKey& signer) {
    ASSERT_EQ(victim().evidence().size(), 1u);
    const Evidence& evidence = victim().evidence()[0];
    EXPECT_EQ(evidence.signer, signer);
    EXPECT_NE(evidence.first.statement, evidence.second.statement);
    for (const SignedStatement* side : {&evidence.first, &evidence.second}) {
      EXPECT_TRUE(VerifySignature(signer, side->statement, side->signature));
    }
  }

  CohortForTest cohort_;
  SessionRunForTest run_;
};

// Offer.

TEST_F(ClientTest, AnOfferOfAnotherCoordinatorIsRefused) {
  Offer offer = run_.server.offer();
  SigningKey other = SigningKey::FromSeed(std::vector<uint8_t>(32, 3));
  offer.set_signature(
      ToString(other.Sign(OfferStatement(cohort_.session_id, ConfigHash(offer.config())).bytes())));
  EXPECT_EQ(victim().StartFromOffer(offer).status().code(), absl::StatusCode::kUnauthenticated);
  offer = run_.server.offer();
  offer.mutable_config()->set_dim(6);
  EXPECT_EQ(victim().StartFromOffer(offer).status().code(), absl::StatusCode::kUnauthenticated);
}

TEST_F(ClientTest, AnOfferBelowThePolicyIsRefused) {
  for (auto raise : {+[](ClientPolicy& policy) { policy.minimum_roster = 4; },
                     +[](ClientPolicy& policy) { policy.minimum_sum = 4; },
                     +[](ClientPolicy& policy) { policy.max_corrupt = 2; }}) {
    cohort_.policy = ClientPolicy{};
    raise(cohort_.policy);
    Client client(cohort_.ClientParams(*cohort_.members[0]));
    EXPECT_EQ(client.StartFromOffer(run_.server.offer()).status().code(),
              absl::StatusCode::kPermissionDenied);
  }
}

TEST_F(ClientTest, AMalformedOfferIsRefused) {
  Offer offer = run_.server.offer();
  offer.mutable_session_id()->pop_back();
  EXPECT_EQ(victim().StartFromOffer(offer).status().code(), absl::StatusCode::kInvalidArgument);
  offer = run_.server.offer();
  offer.mutable_config()->set_bits(65);
  EXPECT_EQ(victim().StartFromOffer(offer).status().code(), absl::StatusCode::kInvalidArgument);
  offer = run_.server.offer();
  offer.mutable_config()->set_max_corrupt(0);
  EXPECT_EQ(victim().StartFromOffer(offer).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ClientTest, AnObjectTakesOneOffer) {
  ASSERT_TRUE(victim().StartFromOffer(run_.server.offer()).ok());
  EXPECT_EQ(victim().StartFromOffer(run_.server.offer()).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

// Roster.

TEST_F(ClientTest, ARosterWithASwappedKeyEndsTheSession) {
  std::vector<Advertise> entries = Entries(run_.RunTo(Phase::kShares)[kVictim]);
  entries[4].set_mask_key(entries[5].enc_key());  // not what member 4 signed
  ExpectEnds(SignedRoster(entries), absl::StatusCode::kUnauthenticated);
}

TEST_F(ClientTest, ARosterWithMyKeyChangedEndsTheSession) {
  std::vector<Advertise> entries = Entries(run_.RunTo(Phase::kShares)[kVictim]);
  entries[kVictim].set_nonce(std::string(32, 'n'));
  ExpectEnds(SignedRoster(entries), absl::StatusCode::kAborted);
}

TEST_F(ClientTest, ARosterWithoutMeEndsTheSession) {
  std::vector<Advertise> entries = Entries(run_.RunTo(Phase::kShares)[kVictim]);
  entries.erase(entries.begin() + kVictim);
  ExpectEnds(SignedRoster(entries), absl::StatusCode::kAborted);
}

TEST_F(ClientTest, ARosterThatIsNotTheCoordinatorsEndsTheSession) {
  DownMessage roster = run_.RunTo(Phase::kShares)[kVictim];
  roster.mutable_roster()->mutable_signature()->back() ^= 1;
  ExpectEnds(roster, absl::StatusCode::kUnauthenticated);
}

TEST_F(ClientTest, ARosterWithAnExpiredCertificateEndsTheSession) {
  DownMessage roster = run_.RunTo(Phase::kShares)[kVictim];
  cohort_.verifier.refused.insert(cohort_.members[0]->key.public_key());
  ExpectEnds(roster, absl::StatusCode::kUnauthenticated);
}

TEST_F(ClientTest, ACertificateReplayedInOneRosterIsRefused) {
  std::vector<Advertise> entries = Entries(run_.RunTo(Phase::kShares)[kVictim]);
  entries[5] = entries[4];
  ExpectRefuses(SignedRoster(entries), absl::StatusCode::kInvalidArgument);
}

TEST_F(ClientTest, AnAdvertiseReplayedFromAnotherSessionEndsTheSession) {
  std::vector<Advertise> entries = Entries(run_.RunTo(Phase::kShares)[kVictim]);
  CohortForTest other(kMembers, 5, 20);  // the same members
  other.session_id.fill(9);
  SessionRunForTest old(other);
  entries[4] = old.Start()[4].advertise();
  ExpectEnds(SignedRoster(entries), absl::StatusCode::kUnauthenticated);
}

TEST_F(ClientTest, AnotherModelForOneMemberFailsAtTheRoster) {
  CohortForTest other(kMembers, 5, 20);
  other.config.mutable_model_hash()->front() ^= 1;
  SessionRunForTest shown(other);
  std::vector<Advertise> entries = Entries(run_.RunTo(Phase::kShares)[kVictim]);
  entries[4] = shown.Start()[4].advertise();
  ExpectEnds(SignedRoster(entries), absl::StatusCode::kUnauthenticated);
}

// An Advertise of member `i` for this session with the given keys, properly signed.
Advertise Forge(CohortForTest& cohort, uint32_t i, const Advertise& from) {
  Advertise forged = from;
  RosterEntry entry = *ReadAdvertise(forged, cohort.verifier);
  forged.set_signature(ToString(cohort.members[i]->key.Sign(
      AdvertiseStatement(cohort.session_id, ConfigHash(cohort.config), entry).bytes())));
  return forged;
}

TEST_F(ClientTest, ALowOrderKeyInTheRosterEndsTheSession) {
  std::vector<Advertise> entries = Entries(run_.RunTo(Phase::kShares)[kVictim]);
  entries[4].set_mask_key(std::string(32, '\0'));
  entries[4] = Forge(cohort_, 4, entries[4]);
  ExpectEnds(SignedRoster(entries), absl::StatusCode::kAborted);
}

TEST_F(ClientTest, AKeyTwiceInTheRosterEndsTheSession) {
  std::vector<Advertise> entries = Entries(run_.RunTo(Phase::kShares)[kVictim]);
  entries[4].set_mask_key(entries[kVictim].mask_key());
  entries[4] = Forge(cohort_, 4, entries[4]);
  ExpectEnds(SignedRoster(entries), absl::StatusCode::kAborted);
}

TEST_F(ClientTest, ASmallRosterEndsTheSession) {
  cohort_.config.set_minimum_roster(5);
  SessionRunForTest run(cohort_);
  std::vector<Advertise> entries = Entries(run.RunTo(Phase::kShares)[kVictim]);
  entries.resize(4);
  ExpectEnds(SignedRoster(entries), absl::StatusCode::kAborted);
}

TEST_F(ClientTest, ARosterThatCannotMeetTheThresholdsEndsTheSession) {
  cohort_.config.set_minimum_sum(6);
  SessionRunForTest run(cohort_);
  std::vector<Advertise> entries = Entries(run.RunTo(Phase::kShares)[kVictim]);
  entries.resize(5);
  ExpectEnds(SignedRoster(entries), absl::StatusCode::kAborted);
}

TEST_F(ClientTest, ARosterAgainstThePolicyEndsTheSession) {
  cohort_.policy.members.emplace();
  for (uint32_t i = 0; i < kMembers - 1; ++i) {
    cohort_.policy.members->emplace(cohort_.members[i]->id(), PinnedMember{});
  }
  SessionRunForTest listed(cohort_);
  ExpectEnds(listed.RunTo(Phase::kShares)[kVictim], absl::StatusCode::kPermissionDenied);
  cohort_.policy.members->emplace(cohort_.members[kMembers - 1]->id(),
                                  PinnedMember{.revoked = true});
  SessionRunForTest revoked(cohort_);
  ExpectEnds(revoked.RunTo(Phase::kShares)[kVictim], absl::StatusCode::kPermissionDenied);

  cohort_.policy = {.smallest_roster = kMembers + 1};
  SessionRunForTest small(cohort_);
  ExpectEnds(small.RunTo(Phase::kShares)[kVictim], absl::StatusCode::kPermissionDenied);

  cohort_.policy = {.max_per_organisation = 2};
  for (uint32_t i : {0u, 3u, 5u}) cohort_.members[i]->organisation = "Sybil Ltd";
  SessionRunForTest capped(cohort_);
  ExpectEnds(capped.RunTo(Phase::kShares)[kVictim], absl::StatusCode::kPermissionDenied);
}

TEST_F(ClientTest, OrganisationsAreThoseOfTheList) {
  cohort_.policy = {.max_per_organisation = 2};
  cohort_.policy.members.emplace();
  for (uint32_t i = 0; i < kMembers; ++i) {
    cohort_.members[i]->organisation = "Sybil Ltd";  // as the CA says
    cohort_.policy.members->emplace(cohort_.members[i]->id(),
                                    PinnedMember{.organisation = i < 2 ? "One" : ""});
  }
  SessionRunForTest listed(cohort_);
  EXPECT_TRUE(victim().Receive(listed.RunTo(Phase::kShares)[kVictim]).ok());
  cohort_.policy.members->at(cohort_.members[5]->id()).organisation = "One";
  SessionRunForTest capped(cohort_);
  ExpectEnds(capped.RunTo(Phase::kShares)[kVictim], absl::StatusCode::kPermissionDenied);
}

TEST_F(ClientTest, OneAdvertiseInTwoRostersIsEquivocation) {
  DownMessage roster = run_.RunTo(Phase::kShares)[kVictim];
  ASSERT_TRUE(victim().Receive(roster).ok());
  std::vector<Advertise> entries = Entries(roster);
  entries.pop_back();
  ExpectEnds(SignedRoster(entries), absl::StatusCode::kAborted);
  ExpectEvidence(cohort_.coordinator.public_key());
}

// Whatever else is wrong with the second, and in whichever order the two come.
TEST_F(ClientTest, ARosterThatCannotBeAcceptedIsEquivocationToo) {
  DownMessage roster = run_.RunTo(Phase::kShares)[kVictim];
  std::vector<Advertise> entries = Entries(roster);
  std::swap(entries[0], entries[1]);
  ExpectRefuses(SignedRoster(entries), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(victim().evidence().empty());
  ExpectEnds(roster, absl::StatusCode::kAborted);
  ExpectEvidence(cohort_.coordinator.public_key());
  EXPECT_EQ(victim().evidence()[0].contradiction.rosters().first().members_size(), 6);
  EXPECT_EQ(victim().evidence()[0].contradiction.rosters().second().members_size(), 6);
}

TEST_F(ClientTest, ContradictionsAreNoticedAfterTheEnd) {
  DownMessage roster = run_.RunTo(Phase::kShares)[kVictim];
  ASSERT_TRUE(victim().Receive(roster).ok());
  victim().End(absl::CancelledError("enough"));
  std::vector<Advertise> entries = Entries(roster);
  entries.pop_back();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(victim().Receive(SignedRoster(entries)).status().code(),
              absl::StatusCode::kFailedPrecondition);
    entries.pop_back();
  }
  EXPECT_EQ(victim().ended().code(), absl::StatusCode::kCancelled);
  ExpectEvidence(cohort_.coordinator.public_key());  // one of a kind
}

// U2.

TEST_F(ClientTest, U2WithoutMeOrTooSmallEndsTheSession) {
  std::vector<DownMessage> dealt = run_.RunTo(Phase::kMaskedInput);
  ExpectEnds(WithoutDealer(dealt[0], kVictim), absl::StatusCode::kAborted);

  cohort_.config.set_minimum_sum(6);
  SessionRunForTest run(cohort_);
  DownMessage message = run.RunTo(Phase::kMaskedInput)[kVictim];
  MemberSet u2 = *MemberSet::Parse("\x1f", kMembers);
  message.mutable_dealt()->set_bitmap(u2.ToString());
  message.mutable_dealt()->set_signature(
      Sign(DealersStatement(DealersHash(run.server.t1(), u2.bytes()))));
  ExpectEnds(message, absl::StatusCode::kAborted);
}

TEST_F(ClientTest, U2ThatIsNotTheCoordinatorsEndsTheSession) {
  DownMessage message = run_.RunTo(Phase::kMaskedInput)[kVictim];
  message.mutable_dealt()->mutable_signature()->front() ^= 1;
  ExpectEnds(message, absl::StatusCode::kUnauthenticated);
}

TEST_F(ClientTest, ASecondU2IsEquivocation) {
  DownMessage message = run_.RunTo(Phase::kMaskedInput)[kVictim];
  ASSERT_TRUE(victim().Receive(message).ok());
  ExpectEnds(WithoutDealer(message, 5), absl::StatusCode::kAborted);
  ExpectEvidence(cohort_.coordinator.public_key());
}

// Larger than any message may be, without what else belongs there.
TEST_F(ClientTest, ABrokenSecondU2IsEquivocation) {
  DownMessage message = run_.RunTo(Phase::kMaskedInput)[kVictim];
  ASSERT_TRUE(victim().Receive(message).ok());
  DownMessage broken = WithoutDealer(message, 5);
  broken.mutable_dealt()->mutable_dealers(0)->clear_signature();
  ExpectEnds(broken, absl::StatusCode::kAborted);
  ExpectEvidence(cohort_.coordinator.public_key());
  const audit::TwoDealerSets& sets = victim().evidence()[0].contradiction.dealers();
  EXPECT_EQ(sets.roster_size(), 6);
  EXPECT_EQ(sets.first().bitmap(), message.dealt().bitmap());
}

TEST_F(ClientTest, SharesOfTheWrongDealersAreRefused) {
  DownMessage message = run_.RunTo(Phase::kMaskedInput)[kVictim];
  DownMessage fewer = message;
  fewer.mutable_dealt()->mutable_dealers()->RemoveLast();
  ExpectRefuses(fewer, absl::StatusCode::kInvalidArgument);
  DownMessage swapped = message;
  swapped.mutable_dealt()->mutable_dealers()->SwapElements(0, 1);
  ExpectRefuses(swapped, absl::StatusCode::kInvalidArgument);
  DownMessage own = message;
  *own.mutable_dealt()->add_dealers() = message.dealt().dealers(0);
  ExpectRefuses(own, absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(victim().Receive(message).ok());
}

// Whatever was changed in what dealer 0 sent, its edge is void and nothing else is.
TEST_F(ClientTest, AnEdgeThatCannotBeOpenedIsVoid) {
  const auto changes = {
      +[](Dealt::FromDealer& dealt) { dealt.mutable_sealed()->mutable_ciphertext()->back() ^= 1; },
      +[](Dealt::FromDealer& dealt) { dealt.mutable_sealed()->mutable_commit_mask()->back() ^= 1; },
      +[](Dealt::FromDealer& dealt) { dealt.mutable_sealed()->mutable_commit_self()->back() ^= 1; },
      +[](Dealt::FromDealer& dealt) { dealt.mutable_path(0)->back() ^= 1; },
      +[](Dealt::FromDealer& dealt) { dealt.mutable_path()->RemoveLast(); },
      +[](Dealt::FromDealer& dealt) { dealt.mutable_commit_seed()->back() ^= 1; },
      +[](Dealt::FromDealer& dealt) { dealt.mutable_signature()->back() ^= 1; }};
  for (auto change : changes) {
    SessionRunForTest run(cohort_);
    std::vector<DownMessage> messages = run.RunTo(Phase::kMaskedInput);
    change(*messages[kVictim].mutable_dealt()->mutable_dealers(0));
    run.DeliverAll(run.AnswersTo(messages));
    EXPECT_TRUE(run.server.LatestFor(run.id(0)).ok());
    messages = run.Advance();
    // Member 0 is the victim's first neighbour.
    EXPECT_EQ(messages[0].survivors().uploads(kVictim - 1).void_bitmap(), std::string("\x01"));
    run.DeliverAll(run.AnswersTo(messages));
    std::vector<UpMessage> unmask = run.AnswersTo(run.Advance());
    for (const Unmask::Share& share : unmask[kVictim].unmask().self_seeds()) {
      EXPECT_NE(share.member(), 0u);
    }
    EXPECT_EQ(unmask[kVictim].unmask().self_seeds_size(), static_cast<int>(kMembers) - 2);
    run.DeliverAll(unmask);
    run.Advance();
    ASSERT_TRUE(run.server.RemoveMasks(&run.sum).ok());
    EXPECT_EQ(RingToSigned(run.sum, 20), cohort_.SumOf([](uint32_t) { return true; }));
  }
}

// What dealer 0 sealed for member 3 is shown to the victim, with and without its place in the tree.
TEST_F(ClientTest, AShareOfAnotherHolderIsAVoidEdge) {
  for (bool with_path : {false, true}) {
    SessionRunForTest run(cohort_);
    std::vector<DownMessage> messages = run.RunTo(Phase::kMaskedInput);
    const Dealt::FromDealer& others = messages[3].dealt().dealers(0);
    Dealt::FromDealer& mine = *messages[kVictim].mutable_dealt()->mutable_dealers(0);
    ASSERT_EQ(others.dealer(), mine.dealer());
    *mine.mutable_sealed() = others.sealed();
    if (with_path) *mine.mutable_path() = others.path();
    auto answer = victim().Receive(messages[kVictim]);
    ASSERT_TRUE(answer.ok() && answer->has_value()) << answer.status();
    EXPECT_EQ((*answer)->masked_input().void_bitmap(), std::string("\x01"));
  }
}

TEST_F(ClientTest, TooManyVoidEdgesEndTheSession) {
  DownMessage message = run_.RunTo(Phase::kMaskedInput)[kVictim];
  for (int d = 0; d < 3; ++d) {
    message.mutable_dealt()->mutable_dealers(d)->mutable_signature()->back() ^= 1;
  }
  ExpectEnds(message, absl::StatusCode::kAborted);
}

// U3.

TEST_F(ClientTest, ASplitViewOfU2EndsTheSession) {
  std::vector<DownMessage> messages = run_.RunTo(Phase::kMaskedInput);
  // The victim alone is shown a U2 without member 5; everybody uploads.
  messages[kVictim] = WithoutDealer(messages[kVictim], 5);
  std::vector<UpMessage> uploads = run_.AnswersTo(messages);
  for (uint32_t i = 0; i < kMembers; ++i) {
    if (i != kVictim) run_.Deliver(i, uploads[i]);
  }
  // The coordinator cannot use the victim's upload, but it can ask the victim for its shares.
  DownMessage message = run_.Advance()[0];
  *message.mutable_survivors()->mutable_uploads(1) = message.survivors().uploads(0);
  message.mutable_survivors()->mutable_uploads(0)->set_member(0);
  ExpectEnds(WithSurvivors(message, {0, 1, 2, 3, 4}, *victim().t2()),
             absl::StatusCode::kUnauthenticated);
}

TEST_F(ClientTest, U3WithoutMeBeyondU2OrTooSmallEndsTheSession) {
  const auto run_with = [&](const std::vector<uint32_t>& u3) {
    SessionRunForTest run(cohort_);
    DownMessage message = run.RunTo(Phase::kConsent)[kVictim];
    ExpectEnds(WithSurvivors(message, u3, run.server.t2()), absl::StatusCode::kAborted);
  };
  run_with({0, 1, 3, 4, 5});
  run_with({0, 1, kVictim});

  // Member 5 dealt no shares and is in U3 all the same.
  SessionRunForTest run(cohort_);
  std::vector<DownMessage> rosters = run.RunTo(Phase::kShares);
  std::vector<UpMessage> shares = run.AnswersTo(rosters);
  shares.pop_back();
  run.DeliverAll(shares);
  std::vector<DownMessage> dealt = run.Advance();
  dealt.pop_back();
  run.DeliverAll(run.AnswersTo(dealt));
  DownMessage message = run.Advance()[kVictim];
  ExpectEnds(WithSurvivors(message, {0, 1, 2, 3, 4, 5}, run.server.t2()),
             absl::StatusCode::kAborted);
}

TEST_F(ClientTest, U3ThatIsNotTheCoordinatorsEndsTheSession) {
  DownMessage message = run_.RunTo(Phase::kConsent)[kVictim];
  message.mutable_survivors()->mutable_signature()->front() ^= 1;
  ExpectEnds(message, absl::StatusCode::kUnauthenticated);
}

TEST_F(ClientTest, AnUploadThatIsMissingOrNotSignedEndsTheSession) {
  DownMessage message = run_.RunTo(Phase::kConsent)[kVictim];
  message.mutable_survivors()->mutable_uploads(3)->mutable_packed_hash()->front() ^= 1;
  ExpectEnds(message, absl::StatusCode::kUnauthenticated);

  SessionRunForTest run(cohort_);
  message = run.RunTo(Phase::kConsent)[kVictim];
  message.mutable_survivors()->mutable_uploads()->RemoveLast();
  ExpectEnds(message, absl::StatusCode::kUnauthenticated);
}

TEST_F(ClientTest, ASecondT3IsNeverSigned) {
  DownMessage message = run_.RunTo(Phase::kConsent)[kVictim];
  ASSERT_TRUE(victim().Receive(message).ok());
  ExpectEnds(WithSurvivors(message, {0, 1, 2, 3}, run_.server.t2()), absl::StatusCode::kAborted);
  ExpectEvidence(cohort_.coordinator.public_key());
}

// The quorum.

TEST_F(ClientTest, OneSignatureShortOfTheQuorumEndsTheSession) {
  DownMessage message = run_.RunTo(Phase::kUnmask)[kVictim];
  auto& signers = *message.mutable_quorum()->mutable_signers();
  ASSERT_EQ(run_.server.rules()->quorum, 4u);
  signers.DeleteSubrange(3, signers.size() - 3);
  ExpectEnds(message, absl::StatusCode::kAborted);
}

TEST_F(ClientTest, SignaturesThatDoNotVerifyAreNotCounted) {
  DownMessage message = run_.RunTo(Phase::kUnmask)[kVictim];
  for (int s = 3; s < message.quorum().signers_size(); ++s) {
    message.mutable_quorum()->mutable_signers(s)->mutable_signature()->front() ^= 1;
  }
  ExpectEnds(message, absl::StatusCode::kAborted);
}

TEST_F(ClientTest, AQuorumOfAnOlderSessionIsNotCounted) {
  CohortForTest before(kMembers, 5, 20);  // the same members
  before.session_id.fill(9);
  SessionRunForTest older(before);
  DownMessage replayed = older.RunTo(Phase::kUnmask)[kVictim];
  run_.AnswersTo(run_.RunTo(Phase::kConsent));
  replayed.set_session_id(ToString(cohort_.session_id));
  ExpectEnds(replayed, absl::StatusCode::kAborted);
}

// The certificate of the members that were shown another set of survivors is replayed to this one.
TEST_F(ClientTest, AQuorumOnAnotherSetIsNotCounted) {
  std::vector<DownMessage> messages = run_.RunTo(Phase::kConsent);
  messages[kVictim] = WithSurvivors(messages[kVictim], {0, 1, 2, 3, 4}, run_.server.t2());
  std::vector<UpMessage> consents = run_.AnswersTo(messages);
  DownMessage quorum;
  quorum.set_session_id(ToString(cohort_.session_id));
  for (uint32_t i : {0u, 1u, 3u, 4u}) {
    Quorum::Signer& signer = *quorum.mutable_quorum()->add_signers();
    signer.set_member(i);
    signer.set_signature(consents[i].consent().signature());
  }
  ExpectEnds(quorum, absl::StatusCode::kAborted);
  EXPECT_TRUE(run_.client(0).Receive(quorum).ok());  // to whom it belongs
}

// Who survived and who dropped out is asked for once: whatever is asked after the answer, the other
// share of a member is gone.
TEST_F(ClientTest, TheOtherQuestionIsNeverAnswered) {
  DownMessage survivors = run_.RunTo(Phase::kConsent)[kVictim];
  run_.DeliverAll([&] {
    std::vector<UpMessage> answers;
    for (uint32_t i = 0; i < kMembers; ++i) {
      answers.push_back(**run_.client(i).Receive(*run_.server.LatestFor(run_.id(i))));
    }
    return answers;
  }());
  DownMessage quorum = run_.Advance()[kVictim];
  auto released = victim().Receive(quorum);
  ASSERT_TRUE(released.ok() && (*released)->unmask().mask_keys().empty());
  const DownMessage other = WithSurvivors(survivors, {0, 1, 2, 3, 4}, run_.server.t2());
  EXPECT_EQ(victim().Receive(other).status().code(), absl::StatusCode::kAborted);
  ExpectEvidence(cohort_.coordinator.public_key());
  EXPECT_EQ(victim().Receive(quorum).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ClientTest, OneSignerTwiceIsRefused) {
  DownMessage message = run_.RunTo(Phase::kUnmask)[kVictim];
  *message.mutable_quorum()->mutable_signers(1) = message.quorum().signers(0);
  ExpectRefuses(message, absl::StatusCode::kInvalidArgument);
  message.mutable_quorum()->mutable_signers(1)->set_member(kMembers);
  ExpectRefuses(message, absl::StatusCode::kInvalidArgument);
}

TEST_F(ClientTest, ASplitViewOfU3FindsNoQuorum) {
  // Half of the members are shown a U3 of everybody, half one without member 5.
  std::vector<DownMessage> messages = run_.RunTo(Phase::kConsent);
  for (uint32_t i : {0u, 1u, kVictim}) {
    messages[i] = WithSurvivors(messages[i], {0, 1, 2, 3, 4}, run_.server.t2());
  }
  std::vector<UpMessage> consents = run_.AnswersTo(messages);
  DownMessage quorum;
  quorum.set_session_id(ToString(cohort_.session_id));
  for (uint32_t i = 0; i < 5; ++i) {
    Quorum::Signer& signer = *quorum.mutable_quorum()->add_signers();
    signer.set_member(i);
    signer.set_signature(consents[i].consent().signature());
  }
  ExpectEnds(quorum, absl::StatusCode::kAborted);
}

// The rest of section 1.5.

TEST_F(ClientTest, ARepetitionGetsTheSameAnswer) {
  std::vector<DownMessage> messages = run_.RunTo(Phase::kShares);
  while (true) {
    auto first = victim().Receive(messages[kVictim]);
    auto second = victim().Receive(messages[kVictim]);
    ASSERT_TRUE(first.ok() && second.ok());
    EXPECT_EQ((*first)->SerializeAsString(), (*second)->SerializeAsString());
    if (run_.server.phase() == Phase::kUnmask) break;
    run_.DeliverAll(run_.AnswersTo(messages));
    messages = run_.Advance();
  }
  EXPECT_TRUE(victim().finished());
  EXPECT_TRUE(victim().ended().ok());
}

TEST_F(ClientTest, AMessageOfAnotherPhaseChangesNothing) {
  // The last of every kind, from a whole session.
  std::vector<DownMessage> all;
  std::vector<DownMessage> messages = run_.RunTo(Phase::kShares);
  all.push_back(messages[kVictim]);
  while (run_.server.phase() != Phase::kUnmask) {
    run_.DeliverAll(run_.AnswersTo(messages));
    messages = run_.Advance();
    all.push_back(messages[kVictim]);
  }
  SessionRunForTest fresh(cohort_);
  EXPECT_EQ(victim().Receive(all[0]).status().code(), absl::StatusCode::kFailedPrecondition);
  fresh.Start();
  for (size_t kind = 1; kind < all.size(); ++kind) {
    ExpectRefuses(all[kind], absl::StatusCode::kFailedPrecondition);
  }
}

TEST_F(ClientTest, AMessageOfAnotherSessionOrOfNoKindChangesNothing) {
  DownMessage roster = run_.RunTo(Phase::kShares)[kVictim];
  DownMessage other = roster;
  other.mutable_session_id()->front() ^= 1;
  ExpectRefuses(other, absl::StatusCode::kInvalidArgument);
  other = roster;
  other.clear_kind();
  ExpectRefuses(other, absl::StatusCode::kInvalidArgument);
  other = roster;
  other.mutable_roster()->mutable_signature()->pop_back();
  ExpectRefuses(other, absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(victim().Receive(roster).ok());
}

TEST_F(ClientTest, ThereIsOneInputOfTheRightSize) {
  CohortForTest cohort(kMembers, 5, 20);
  Client client(cohort.ClientParams(*cohort.members[0]));
  EXPECT_EQ(client.SetInput(std::vector<int64_t>(5)).status().code(),
            absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(client.StartFromOffer(Server::Create(cohort.ServerParams())->offer()).ok());
  EXPECT_EQ(client.SetInput(std::vector<int64_t>(4)).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(client.SetInput(RingZeros(5, 40)).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(client.SetInput(RingZeros(5, 20)).ok());
  EXPECT_EQ(client.SetInput(RingZeros(5, 20)).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(ClientTest, AnEndedSessionKeepsItsReason) {
  DownMessage roster = run_.RunTo(Phase::kShares)[kVictim];
  victim().End(absl::CancelledError("paused"));
  victim().End(absl::AbortedError("later"));
  EXPECT_EQ(victim().ended(), absl::CancelledError("paused"));
  EXPECT_EQ(victim().Receive(roster).status().code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace dure::secagg
