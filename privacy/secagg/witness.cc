#include "privacy/secagg/witness.h"

#include <algorithm>
#include <utility>

#include "privacy/secagg/config.h"
#include "privacy/secagg/thresholds.h"

namespace dure::secagg {
namespace {

// What is longer is not looked at: no message that an honest member could accept comes near.
constexpr size_t kMaxBitmapBytes = (kMaxMembers + 7) / 8;
constexpr size_t kMaxKeyBytes = 64;

SignedStatement StatementOf(const Transcript& transcript, const std::string& signature) {
  SignedStatement statement{.statement = transcript.bytes()};
  std::copy_n(signature.begin(), std::min(signature.size(), statement.signature.size()),
              statement.signature.begin());
  return statement;
}

audit::RosterMember MemberFrom(const PublicKey& key, const Advertise& advertise) {
  audit::RosterMember member;
  member.set_key(ToString(key));
  member.set_enc_key(advertise.enc_key());
  member.set_mask_key(advertise.mask_key());
  member.set_nonce(advertise.nonce());
  member.set_signature(advertise.signature());
  return member;
}

// RosterHash of transcript.h for keys of any length.
Digest HashOf(const google::protobuf::RepeatedPtrField<audit::RosterMember>& members,
              const SessionId& session_id, const Digest& config_hash) {
  Transcript roster("roster");
  roster.Add(session_id).Add(config_hash).AddU32(static_cast<uint32_t>(members.size()));
  for (const audit::RosterMember& member : members) {
    roster.Add(Transcript("entry")
                   .Add(Transcript("client-id").Add(member.key()).Hash())
                   .Add(member.key())
                   .Add(member.enc_key())
                   .Add(member.mask_key())
                   .Add(member.nonce())
                   .Add(member.signature())
                   .bytes());
  }
  return roster.Hash();
}

}  // namespace

void Witness::Begin(const PublicKey& coordinator, const SessionId& session_id,
                    const RoundConfig& config, CertificateVerifier* verifier) {
  coordinator_ = coordinator;
  session_id_ = session_id;
  config_ = config;
  verifier_ = verifier;
}

std::optional<Witness::Members> Witness::MembersOf(const Roster& message) const {
  if (static_cast<uint32_t>(message.entries_size()) > kMaxMembers) return std::nullopt;
  Members members;
  for (const Advertise& advertise : message.entries()) {
    const std::optional<PublicKey> key = verifier_->KeyIn(AsBytes(advertise.certificate()));
    if (!key) return std::nullopt;
    for (const std::string* field : {&advertise.enc_key(), &advertise.mask_key(),
                                     &advertise.nonce(), &advertise.signature()}) {
      if (field->size() > kMaxKeyBytes) return std::nullopt;
    }
    *members.Add() = MemberFrom(*key, advertise);
  }
  return members;
}

std::optional<Witness::Said> Witness::Read(const DownMessage& message) const {
  Said said;
  Transcript statement("");
  switch (message.kind_case()) {
    case DownMessage::kRoster:
      said.signature = message.roster().signature();
      said.members = MembersOf(message.roster());
      if (!said.members) return std::nullopt;
      statement = RosterStatement(HashOf(*said.members, session_id_, ConfigHash(config_)));
      break;
    case DownMessage::kDealt:
      if (!t1_) return std::nullopt;
      said.signature = message.dealt().signature();
      said.bitmap = message.dealt().bitmap();
      statement = DealersStatement(DealersHash(*t1_, AsBytes(said.bitmap)));
      break;
    case DownMessage::kSurvivors:
      if (!t2_) return std::nullopt;
      said.signature = message.survivors().signature();
      said.bitmap = message.survivors().bitmap();
      statement = SurvivorsStatement(SurvivorsHash(*t2_, AsBytes(said.bitmap)));
      break;
    default:
      return std::nullopt;
  }
  if (said.signature.size() != sizeof(Signature) || said.bitmap.size() > kMaxBitmapBytes) {
    return std::nullopt;
  }
  said.statement = StatementOf(statement, said.signature);
  return said;
}

bool Witness::Accept(const DownMessage& message, const Digest& hash,
                     std::span<const RosterEntry> roster) {
  Said said;
  switch (message.kind_case()) {
    case DownMessage::kRoster:
      t1_ = hash;
      said.signature = message.roster().signature();
      said.statement = StatementOf(RosterStatement(hash), said.signature);
      break;
    case DownMessage::kDealt:
      t2_ = hash;
      said.bitmap = dealers_ = message.dealt().bitmap();
      said.signature = message.dealt().signature();
      said.statement = StatementOf(DealersStatement(hash), said.signature);
      break;
    case DownMessage::kSurvivors:
      said.bitmap = message.survivors().bitmap();
      said.signature = message.survivors().signature();
      said.statement = StatementOf(SurvivorsStatement(hash), said.signature);
      break;
    default:
      return false;
  }
  return Compare(message.kind_case(), std::move(said), roster);
}

bool Witness::Look(const DownMessage& message, std::span<const RosterEntry> roster) {
  if (verifier_ == nullptr) return false;
  std::optional<Said> said = Read(message);
  if (!said) return false;
  const auto first = first_.find(message.kind_case());
  if (first != first_.end() && first->second.statement.statement == said->statement.statement) {
    return false;  // the same once more, signed or not
  }
  if (!VerifySignature(coordinator_, said->statement.statement, said->statement.signature)) {
    return false;
  }
  return Compare(message.kind_case(), *std::move(said), roster);
}

bool Witness::Compare(Kind kind, Said said, std::span<const RosterEntry> roster) {
  const auto [first, is_first] = first_.try_emplace(kind, said);
  if (is_first || first->second.statement.statement == said.statement.statement) return false;
  audit::Contradiction contradiction = Contradict(kind, first->second, said, roster);
  for (const Evidence& known : evidence_) {
    if (known.contradiction.kind_case() == contradiction.kind_case()) return false;
  }
  evidence_.push_back({.signer = coordinator_,
                       .what = "two different messages of one kind in one session",
                       .first = first->second.statement,
                       .second = said.statement,
                       .contradiction = std::move(contradiction)});
  return true;
}

audit::Contradiction Witness::Contradict(Kind kind, const Said& first, const Said& second,
                                         std::span<const RosterEntry> roster) const {
  audit::Contradiction contradiction;
  contradiction.set_session_id(ToString(session_id_));
  *contradiction.mutable_config() = config_;
  const Members accepted = EvidenceRoster(roster);
  if (kind == DownMessage::kRoster) {
    audit::TwoRosters& rosters = *contradiction.mutable_rosters();
    for (const Said* said : {&first, &second}) {
      audit::SignedRoster& signed_roster =
          said == &first ? *rosters.mutable_first() : *rosters.mutable_second();
      *signed_roster.mutable_members() = said->members ? *said->members : accepted;
      signed_roster.set_signature(said->signature);
    }
    return contradiction;
  }
  auto set = [](const Said& said, audit::SignedBitmap* bitmap) {
    bitmap->set_bitmap(said.bitmap);
    bitmap->set_signature(said.signature);
  };
  if (kind == DownMessage::kDealt) {
    audit::TwoDealerSets& sets = *contradiction.mutable_dealers();
    *sets.mutable_roster() = accepted;
    set(first, sets.mutable_first());
    set(second, sets.mutable_second());
  } else {
    audit::TwoSurvivorSets& sets = *contradiction.mutable_survivors();
    *sets.mutable_roster() = accepted;
    sets.set_dealers(dealers_);
    set(first, sets.mutable_first());
    set(second, sets.mutable_second());
  }
  return contradiction;
}

}  // namespace dure::secagg
