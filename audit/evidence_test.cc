// Evidence files: what they prove, and that no altered or invented one proves anything. That the
// hashes are those of the protocol's engines is checked in tests/evidence_world_test.cc.
#include "audit/evidence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "audit/evidence_folder.h"
#include "audit/evidence_hashes.h"
#include "base/file.h"
#include "crypto/random.h"

namespace dure::audit {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class EvidenceTest : public ::testing::Test {
 protected:
  static constexpr uint32_t kMembers = 4;
  static constexpr uint32_t kCulprit = 2;

  EvidenceTest() : random_(AesCtrRandom::Seed{7}) {
    ca_ = *MakeEnrolmentCa(ca_key_, "clinics", kLongAgo, random_);
    auto issuer = CertificateIssuer::Create(ca_, &ca_key_);
    coordinator_certificate_ =
        *issuer->IssueCoordinator(coordinator_.public_key(), kLongAgo, random_);
    session_.set_session_id(std::string(32, 's'));
    session_.mutable_config()->set_suite(1);
    session_.mutable_config()->set_task(std::string(32, 't'));
    session_.mutable_config()->set_round(4);
    session_.mutable_config()->set_attempt(5);
    session_.mutable_config()->set_clip_norm(0.5);
    for (uint32_t i = 0; i < kMembers; ++i) {
      keys_.push_back(SigningKey::FromSeed(std::vector<uint8_t>(32, static_cast<uint8_t>(i + 1))));
      member_certificates_.push_back(
          *issuer->IssueMember({.name = absl::StrCat("clinic-", i), .organisation = "Hospital"},
                               keys_.back().public_key(), kLongAgo, random_));
      RosterMember& member = *roster_.Add();
      member.set_key(ToString(keys_.back().public_key()));
      member.set_enc_key(std::string(32, static_cast<char>('a' + i)));
      member.set_mask_key(std::string(32, static_cast<char>('A' + i)));
      member.set_nonce(std::string(32, static_cast<char>('0' + i)));
      member.set_signature(std::string(64, 'x'));
    }
  }

  std::string Sign(const SigningKey& key, const Transcript& statement) const {
    return ToString(key.Sign(statement.bytes()));
  }

  Contradiction Rosters() const {
    Contradiction said = session_;
    SignedRoster& first = *said.mutable_rosters()->mutable_first();
    SignedRoster& second = *said.mutable_rosters()->mutable_second();
    *first.mutable_members() = roster_;
    *second.mutable_members() = roster_;
    second.mutable_members()->RemoveLast();
    second.mutable_members(0)->set_nonce(std::string(32, '!'));
    for (SignedRoster* roster : {&first, &second}) {
      roster->set_signature(
          Sign(coordinator_, Transcript("roster").Add(RosterHash(said, roster->members()))));
    }
    return said;
  }
  Contradiction Dealers() const {
    Contradiction said = session_;
    TwoDealerSets& sets = *said.mutable_dealers();
    *sets.mutable_roster() = roster_;
    sets.mutable_first()->set_bitmap("\x0f");
    sets.mutable_second()->set_bitmap("\x0e");
    for (SignedBitmap* set : {sets.mutable_first(), sets.mutable_second()}) {
      const Digest t2 = DealersHash(RosterHash(said, roster_), set->bitmap());
      set->set_signature(Sign(coordinator_, Transcript("u2").Add(t2)));
    }
    return said;
  }
  Contradiction Survivors() const {
    Contradiction said = session_;
    TwoSurvivorSets& sets = *said.mutable_survivors();
    *sets.mutable_roster() = roster_;
    sets.set_dealers("\x0f");
    sets.mutable_first()->set_bitmap("\x07");
    sets.mutable_second()->set_bitmap("\x0b");
    for (SignedBitmap* set : {sets.mutable_first(), sets.mutable_second()}) {
      const Digest t2 = DealersHash(RosterHash(said, roster_), sets.dealers());
      set->set_signature(
          Sign(coordinator_, Transcript("u3").Add(SurvivorsHash(t2, set->bitmap()))));
    }
    return said;
  }
  Contradiction Advertises() const {
    Contradiction said = session_;
    TwoAdvertises& pair = *said.mutable_advertises();
    for (SignedKeys* keys : {pair.mutable_first(), pair.mutable_second()}) {
      keys->set_enc_key(std::string(32, 'e'));
      keys->set_mask_key(std::string(32, 'm'));
      keys->set_nonce(std::string(32, keys == &pair.first() ? '1' : '2'));
      keys->set_signature(Sign(keys_[kCulprit], Transcript("advertise")
                                                    .Add(said.session_id())
                                                    .Add(ConfigHash(said.config()))
                                                    .Add(keys->enc_key())
                                                    .Add(keys->mask_key())
                                                    .Add(keys->nonce())));
    }
    return said;
  }
  Contradiction Shares() const {
    Contradiction said = session_;
    TwoShares& pair = *said.mutable_shares();
    *pair.mutable_roster() = roster_;
    for (SignedShares* shares : {pair.mutable_first(), pair.mutable_second()}) {
      shares->set_root(std::string(32, shares == &pair.first() ? '1' : '2'));
      shares->set_commit_seed(std::string(32, 'c'));
      shares->set_signature(Sign(keys_[kCulprit], Transcript("shares")
                                                      .Add(RosterHash(said, roster_))
                                                      .AddU32(kCulprit)
                                                      .Add(shares->root())
                                                      .Add(shares->commit_seed())));
    }
    return said;
  }
  Contradiction Inputs() const {
    Contradiction said = session_;
    TwoInputs& pair = *said.mutable_inputs();
    *pair.mutable_roster() = roster_;
    pair.set_dealers("\x0f");
    for (SignedInput* input : {pair.mutable_first(), pair.mutable_second()}) {
      input->set_packed_hash(std::string(32, 'p'));
      input->set_void_bitmap(input == &pair.first() ? std::string(1, 0) : "\x01");
      input->set_signature(
          Sign(keys_[kCulprit], Transcript("masked")
                                    .Add(DealersHash(RosterHash(said, roster_), pair.dealers()))
                                    .AddU32(kCulprit)
                                    .Add(input->packed_hash())
                                    .Add(input->void_bitmap())));
    }
    return said;
  }

  std::string OfCoordinator(const Contradiction& said) const {
    return EncodeEvidence(said, {ca_, coordinator_certificate_});
  }
  std::string OfMember(const Contradiction& said, uint32_t member = kCulprit) const {
    return EncodeEvidence(said, {ca_, member_certificates_[member]});
  }
  Verdict Look(const std::string& bytes) const {
    absl::StatusOr<EvidenceFile> file = DecodeEvidence(bytes);
    if (file.ok()) return VerifyEvidence(*file, ca_);
    Verdict verdict;
    verdict.faults.emplace_back(file.status().message());
    return verdict;
  }
  void ExpectFault(const std::string& bytes, const std::string& words) const {
    EXPECT_THAT(Look(bytes).faults, Contains(HasSubstr(words)));
  }
  // No byte of the file may be another one: each has one of its bits turned over.
  void ExpectEveryByteCounts(const std::string& bytes) const {
    EXPECT_THAT(Look(bytes).faults, IsEmpty());
    for (size_t i = 0; i < bytes.size(); ++i) {
      std::string flipped = bytes;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << (i % 8)));
      EXPECT_FALSE(Look(flipped).proved()) << "byte " << i;
    }
  }

  // Over by the time that anybody reads the evidence.
  const Validity kLongAgo{absl::FromUnixSeconds(1'500'000'000),
                          absl::FromUnixSeconds(1'500'086'400)};
  AesCtrRandom random_;
  const SigningKey ca_key_ = SigningKey::FromSeed(std::vector<uint8_t>(32, 90));
  const SigningKey coordinator_ = SigningKey::FromSeed(std::vector<uint8_t>(32, 91));
  std::string ca_;
  std::string coordinator_certificate_;
  std::vector<SigningKey> keys_;
  std::vector<std::string> member_certificates_;
  google::protobuf::RepeatedPtrField<RosterMember> roster_;
  Contradiction session_;
};

TEST_F(EvidenceTest, TwoRostersAreProved) {
  const Verdict verdict = Look(OfCoordinator(Rosters()));
  EXPECT_THAT(verdict.faults, IsEmpty());
  EXPECT_EQ(verdict.kind, "rosters");
  EXPECT_EQ(verdict.signer->role, CertificateRole::kCoordinator);
  EXPECT_EQ(verdict.ca->federation, "clinics");
  EXPECT_EQ(verdict.round, 4u);
  EXPECT_EQ(verdict.attempt, 5u);
  EXPECT_THAT(verdict.first, HasSubstr("4 members"));
  EXPECT_THAT(verdict.second, HasSubstr("3 members"));
  EXPECT_THAT(verdict.differences,
              ElementsAre(HasSubstr("only in the first: member"),
                          HasSubstr("in both, with different session keys: member")));
}

TEST_F(EvidenceTest, TwoSetsOfDealersAreProved) {
  const Verdict verdict = Look(OfCoordinator(Dealers()));
  EXPECT_THAT(verdict.faults, IsEmpty());
  EXPECT_THAT(verdict.first, HasSubstr("4 members, T2"));
  EXPECT_THAT(verdict.second, HasSubstr("3 members, T2"));
}

TEST_F(EvidenceTest, TwoSetsOfSurvivorsAreProved) {
  const Verdict verdict = Look(OfCoordinator(Survivors()));
  EXPECT_THAT(verdict.faults, IsEmpty());
  EXPECT_EQ(verdict.differences.size(), 2u);
}

TEST_F(EvidenceTest, ContradictionsOfAMemberAreProved) {
  for (const Contradiction& said : {Advertises(), Shares(), Inputs()}) {
    const Verdict verdict = Look(OfMember(said));
    EXPECT_THAT(verdict.faults, IsEmpty()) << verdict.kind;
    EXPECT_EQ(verdict.signer->name, "clinic-2");
  }
}

TEST_F(EvidenceTest, EveryByteCountsInEvidenceAgainstTheCoordinator) {
  ExpectEveryByteCounts(OfCoordinator(Rosters()));
  ExpectEveryByteCounts(OfCoordinator(Survivors()));
}

TEST_F(EvidenceTest, EveryByteCountsInEvidenceAgainstAMember) {
  ExpectEveryByteCounts(OfMember(Advertises()));
  ExpectEveryByteCounts(OfMember(Inputs()));
}

TEST_F(EvidenceTest, OneStatementTwiceIsNoContradiction) {
  Contradiction said = Rosters();
  *said.mutable_rosters()->mutable_second() = said.rosters().first();
  ExpectFault(OfCoordinator(said), "the same: no contradiction");
}

TEST_F(EvidenceTest, StatementsOfTwoSessionsAreNoContradiction) {
  // The second was signed in another session, where it was right.
  Contradiction other = session_;
  other.set_session_id(std::string(32, 'o'));
  Contradiction said = Rosters();
  SignedRoster& second = *said.mutable_rosters()->mutable_second();
  second.set_signature(
      Sign(coordinator_, Transcript("roster").Add(RosterHash(other, second.members()))));
  ExpectFault(OfCoordinator(said), "the second statement is not signed");
}

TEST_F(EvidenceTest, SignaturesOfSomebodyElseProveNothing) {
  ExpectFault(OfMember(Shares(), 1), "the first statement is not signed by the certified key");
  ExpectFault(OfMember(Dealers()), "statements of this kind are made by the coordinator");
  ExpectFault(OfCoordinator(Inputs()), "made by members");
  Contradiction said = Shares();
  said.mutable_shares()->mutable_roster()->DeleteSubrange(kCulprit, 1);
  ExpectFault(OfMember(said), "not in the roster");
}

TEST_F(EvidenceTest, AnotherCaProvesNothing) {
  const SigningKey key = SigningKey::FromSeed(std::vector<uint8_t>(32, 92));
  const std::string ca = *MakeEnrolmentCa(key, "clinics", kLongAgo, random_);
  ExpectFault(EncodeEvidence(Rosters(), {ca, coordinator_certificate_}), "issued by another CA");
  // All by themselves: somebody who invents a federation.
  const std::string invented = *CertificateIssuer::Create(ca, &key)->IssueCoordinator(
      coordinator_.public_key(), kLongAgo, random_);
  absl::StatusOr<EvidenceFile> file = DecodeEvidence(EncodeEvidence(Rosters(), {ca, invented}));
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE(VerifyEvidence(*file).proved());
  EXPECT_THAT(VerifyEvidence(*file, ca_).faults,
              ElementsAre(HasSubstr("another enrolment CA than the given one")));
}

TEST_F(EvidenceTest, DamagedCertificatesAreNamed) {
  Verdict verdict = Look(EncodeEvidence(Rosters(), {"no certificate", coordinator_certificate_}));
  EXPECT_THAT(verdict.faults, Contains(HasSubstr("the enrolment CA's certificate")));
  EXPECT_FALSE(verdict.signer.has_value());
  verdict = Look(EncodeEvidence(Rosters(), {ca_, ""}));
  EXPECT_FALSE(verdict.proved());
}

TEST_F(EvidenceTest, BytesThatAreNoEvidenceAreRefused) {
  ExpectFault("", "does not begin with the format");
  ExpectFault("nonsense", "no EvidenceFile");
  ExpectFault(std::string(kMaxEvidenceBytes + 1, 'x'), "limit");
  ExpectFault(OfCoordinator(session_), "does not say what contradicts what");
  EvidenceFile file = *DecodeEvidence(OfCoordinator(Dealers()));
  file.set_format("dure-evidence-2");
  ExpectFault(file.SerializeAsString(), "does not begin with the format");
}

TEST_F(EvidenceTest, WhatTheFormatDoesNotHaveIsRefused) {
  // An unknown field 15, and the last field written twice.
  ExpectFault(OfCoordinator(Dealers()) + "\x78\x01", "unknown, or written in another way");
  const std::string bytes = OfCoordinator(Dealers());
  EvidenceFile again;
  *again.mutable_contradiction() = Dealers();
  EXPECT_FALSE(Look(bytes + again.SerializeAsString()).proved());
}

TEST_F(EvidenceTest, FieldsBeyondTheirLimitsAreRefused) {
  Contradiction said = Dealers();
  said.mutable_dealers()->mutable_first()->set_bitmap(std::string(513, 'x'));
  ExpectFault(OfCoordinator(said), "a bitmap of 513 bytes, limit 512");
  said = Dealers();
  while (said.dealers().roster_size() <= kMaxEvidenceMembers) {
    said.mutable_dealers()->add_roster();
  }
  ExpectFault(OfCoordinator(said), "a roster of 4097 members, limit 4096");
  said = Rosters();
  said.mutable_rosters()->mutable_second()->mutable_members(0)->set_key(std::string(129, 'k'));
  ExpectFault(OfCoordinator(said), "a field of a roster of 129 bytes, limit 128");
  said.mutable_config()->set_mechanism(std::string(65, 'm'));
  ExpectFault(OfCoordinator(said), "a field of the config of 65 bytes, limit 64");
}

TEST_F(EvidenceTest, AFolderKeepsEachOnceAndNotTooMany) {
  const std::string folder = ::testing::TempDir() + "/dure_evidence_folder";
  std::filesystem::remove_all(folder);
  const EvidenceSigner signer{ca_, coordinator_certificate_};
  absl::StatusOr<std::string> path = KeepEvidence(folder, Dealers(), signer);
  ASSERT_TRUE(path.ok()) << path.status();
  EXPECT_THAT(*path, AllOf(HasSubstr(folder + "/dealers-5-"), HasSubstr(".evidence")));
  EXPECT_EQ(*ReadFile(*path, kMaxEvidenceBytes), OfCoordinator(Dealers()));
  EXPECT_EQ(std::filesystem::status(*path).permissions(), std::filesystem::perms(0600));
  EXPECT_EQ(std::filesystem::status(folder).permissions(), std::filesystem::perms(0700));
  EXPECT_EQ(*KeepEvidence(folder, Dealers(), signer), *path);
  Contradiction said = Dealers();
  for (size_t i = 1; i < kMaxEvidenceFiles; ++i) {
    said.mutable_config()->set_round(static_cast<uint32_t>(100 + i));
    ASSERT_TRUE(KeepEvidence(folder, said, signer).ok());
  }
  said.mutable_config()->set_round(1000);
  const absl::Status full = KeepEvidence(folder, said, signer).status();
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(full.message()), HasSubstr("has 64 files already"));
  EXPECT_TRUE(KeepEvidence(folder, Dealers(), signer).ok());
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace dure::audit
