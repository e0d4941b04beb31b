// The coordinator's checks of what members send: the right-hand column of the table in
// docs/secure-aggregation.md section 1.2 for steps 1, 3, 5, 7 and 9.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/ring.h"
#include "base/status_macros.h"
#include "crypto/x25519.h"
#include "privacy/secagg/limits.h"
#include "privacy/secagg/server.h"

namespace dure::secagg {
namespace {

// The kind of message that answers each phase.
UpMessage::KindCase KindOf(Phase phase) {
  switch (phase) {
    case Phase::kAdvertise:
      return UpMessage::kAdvertise;
    case Phase::kShares:
      return UpMessage::kShares;
    case Phase::kMaskedInput:
      return UpMessage::kMaskedInput;
    case Phase::kConsent:
      return UpMessage::kConsent;
    case Phase::kUnmask:
      return UpMessage::kUnmask;
    default:
      return UpMessage::KIND_NOT_SET;
  }
}

// Equal for byte-identical messages only. The packed input goes in by its hash, which is needed
// anyway.
Digest Fingerprint(const UpMessage& message, const Digest& packed_hash) {
  if (!message.has_masked_input()) return Sha256(AsBytes(message.SerializeAsString()));
  return Transcript("fingerprint")
      .Add(packed_hash)
      .Add(message.masked_input().void_bitmap())
      .Add(message.masked_input().signature())
      .Hash();
}

SignedStatement Signed(const Transcript& statement, const std::string& signature) {
  SignedStatement result{.statement = statement.bytes()};
  std::copy(signature.begin(), signature.end(), result.signature.begin());
  return result;
}

void SetKeys(const Advertise& advertise, audit::SignedKeys* keys) {
  keys->set_enc_key(advertise.enc_key());
  keys->set_mask_key(advertise.mask_key());
  keys->set_nonce(advertise.nonce());
  keys->set_signature(advertise.signature());
}

void SetShares(const Dealing& dealing, audit::SignedShares* shares) {
  shares->set_root(ToString(dealing.tree.root()));
  shares->set_commit_seed(dealing.message.commit_seed());
  shares->set_signature(dealing.message.signature());
}

}  // namespace

absl::StatusOr<std::optional<AcceptedInput>> Server::Receive(const MemberId& sender,
                                                             UpMessage message,
                                                             const StagedInput* staged) {
  auto found = members_.find(sender);
  if (found == members_.end()) {
    return absl::NotFoundError("the sender is not of this session");
  }
  if (Excluded(sender)) {
    return absl::PermissionDeniedError(absl::StrCat("excluded: ", faults_.at(sender)));
  }
  if (message.session_id() != offer_.session_id()) {
    return absl::InvalidArgumentError("the message is of another session");
  }
  if (phase() >= Phase::kFinished) {
    return absl::FailedPreconditionError("the session has ended");
  }
  DURE_RETURN_IF_ERROR(staged == nullptr ? CheckSizes(message, config_)
                                         : CheckSizes(message, config_, staged->bytes->size()));
  Member& member = found->second;
  const std::string& packed = message.masked_input().packed();
  const Digest packed_hash = staged != nullptr            ? staged->sha256
                             : message.has_masked_input() ? Sha256(AsBytes(packed))
                                                          : Digest{};
  const uint8_t last_byte = staged != nullptr ? staged->last_byte
                            : packed.empty()  ? uint8_t{0}
                                              : static_cast<uint8_t>(packed.back());
  const Digest fingerprint = Fingerprint(message, packed_hash);
  if (auto before = member.said.find(message.kind_case()); before != member.said.end()) {
    if (before->second.fingerprint == fingerprint) return std::nullopt;
    return CheckContradiction(sender, member, message, packed_hash, last_byte);
  }
  if (message.kind_case() != KindOf(phase()) || !Expects(member)) {
    return absl::FailedPreconditionError(
        absl::StrCat("not awaited: the session is collecting ", std::string(PhaseName(phase()))));
  }
  DURE_ASSIGN_OR_RETURN(SignedStatement statement,
                        Take(sender, member, message, packed_hash, last_byte));
  member.said[message.kind_case()] = {.fingerprint = fingerprint,
                                      .signed_statement = std::move(statement)};
  member.lost = false;
  if (phase() == Phase::kAdvertise) {
    session_keys_[member.entry.enc_key] = sender;
    session_keys_[member.entry.mask_key] = sender;
  }
  if (!message.has_masked_input()) return std::nullopt;
  return AcceptedInput{.member = sender,
                       .index = *member.index,
                       .group = graph().GroupOf(*member.index),
                       .packed = std::move(*message.mutable_masked_input()->mutable_packed()),
                       .staged = staged == nullptr ? nullptr : staged->bytes};
}

std::optional<uint64_t> Server::ExpectedInput(const MemberId& id) const {
  const auto found = members_.find(id);
  if (phase() != Phase::kMaskedInput || found == members_.end() || Excluded(id) ||
      !Expects(found->second) || HasAnswered(found->second)) {
    return std::nullopt;
  }
  return PackedBytes(config_.dim(), static_cast<int>(config_.bits()));
}

absl::StatusOr<SignedStatement> Server::Take(const MemberId& id, Member& member, UpMessage& message,
                                             const Digest& packed_hash, uint8_t last_byte) {
  switch (message.kind_case()) {
    case UpMessage::kAdvertise:
      return TakeAdvertise(id, member, std::move(*message.mutable_advertise()));
    case UpMessage::kShares:
      return TakeShares(member, std::move(*message.mutable_shares()));
    case UpMessage::kMaskedInput:
      return TakeMaskedInput(member, message.masked_input(), packed_hash, last_byte);
    case UpMessage::kConsent:
      DURE_RETURN_IF_ERROR(TakeConsent(member, message.consent()));
      return SignedStatement{};
    default:
      DURE_RETURN_IF_ERROR(TakeUnmask(id, member, message.unmask()));
      return SignedStatement{};
  }
}

absl::Status Server::CheckContradiction(const MemberId& id, const Member& member,
                                        UpMessage& message, const Digest& packed_hash,
                                        uint8_t last_byte) {
  const SignedStatement& first = member.said.at(message.kind_case()).signed_statement;
  const absl::Status refused =
      absl::InvalidArgumentError("the message differs from the sender's first of its kind");
  if (first.statement.empty()) return refused;  // consent and unmasking sign nothing new
  Member second;
  second.index = member.index;
  auto statement = Take(id, second, message, packed_hash, last_byte);
  if (!statement.ok() || statement->statement == first.statement) return refused;
  evidence_.push_back({.signer = member.entry.identity.key,
                       .what = "two different messages of one kind in one session",
                       .first = first,
                       .second = *std::move(statement),
                       .contradiction = Contradict(message.kind_case(), member, second),
                       .certificate = member.advertise->certificate()});
  Exclude(id, evidence_.back().what);
  return absl::PermissionDeniedError(absl::StrCat("excluded: ", evidence_.back().what));
}

// What two messages of a member say, with what both of them hash.
audit::Contradiction Server::Contradict(UpMessage::KindCase kind, const Member& first,
                                        const Member& second) const {
  audit::Contradiction contradiction;
  contradiction.set_session_id(offer_.session_id());
  *contradiction.mutable_config() = config_;
  if (kind == UpMessage::kAdvertise) {
    audit::TwoAdvertises& two = *contradiction.mutable_advertises();
    SetKeys(*first.advertise, two.mutable_first());
    SetKeys(*second.advertise, two.mutable_second());
    return contradiction;
  }
  std::vector<RosterEntry> roster;
  for (const MemberIdentity& identity : roster_) {
    roster.push_back(members_.at(identity.client_id).entry);
  }
  if (kind == UpMessage::kShares) {
    audit::TwoShares& two = *contradiction.mutable_shares();
    *two.mutable_roster() = EvidenceRoster(roster);
    SetShares(*first.dealing, two.mutable_first());
    SetShares(*second.dealing, two.mutable_second());
    return contradiction;
  }
  audit::TwoInputs& two = *contradiction.mutable_inputs();
  *two.mutable_roster() = EvidenceRoster(roster);
  two.set_dealers(u2_->ToString());
  for (const Member* member : {&first, &second}) {
    audit::SignedInput& input = member == &first ? *two.mutable_first() : *two.mutable_second();
    input.set_packed_hash(ToString(member->upload->packed_hash));
    input.set_void_bitmap(member->upload->voids.ToString());
    input.set_signature(member->upload->signature);
  }
  return contradiction;
}

absl::StatusOr<SignedStatement> Server::TakeAdvertise(const MemberId& id, Member& member,
                                                      Advertise message) {
  auto entry = ReadAdvertise(message, *verifier_);
  if (!entry.ok()) return absl::InvalidArgumentError(entry.status().message());
  if (entry->identity.client_id != id) {
    return absl::InvalidArgumentError("the certificate is not the sender's");
  }
  const absl::Status signed_here =
      VerifyEntry(*entry, {.session_id = session_id_, .config_hash = config_hash_});
  if (!signed_here.ok()) return absl::InvalidArgumentError(signed_here.message());
  if (!IsUsableX25519Key(entry->enc_key) || !IsUsableX25519Key(entry->mask_key)) {
    return absl::InvalidArgumentError("a session key is of low order");
  }
  if (entry->enc_key == entry->mask_key) {
    return absl::InvalidArgumentError("the two session keys are equal");
  }
  for (const X25519PublicKey& key : {entry->enc_key, entry->mask_key}) {
    if (auto found = session_keys_.find(key); found != session_keys_.end() && found->second != id) {
      return absl::InvalidArgumentError("a session key is that of another member");
    }
  }
  member.entry = *std::move(entry);
  member.advertise = std::move(message);
  return Signed(AdvertiseStatement(session_id_, config_hash_, member.entry),
                member.advertise->signature());
}

absl::StatusOr<SignedStatement> Server::TakeShares(Member& member, Shares message) {
  auto dealing =
      VerifyShares(std::move(message), t1_, graph(),
                   {.index = *member.index, .key = At(*member.index).entry.identity.key});
  if (!dealing.ok()) return absl::InvalidArgumentError(dealing.status().message());
  member.dealing = *std::move(dealing);
  return Signed(member.dealing->Statement(t1_, *member.index), member.dealing->message.signature());
}

absl::StatusOr<SignedStatement> Server::TakeMaskedInput(Member& member, const MaskedInput& message,
                                                        const Digest& packed_hash,
                                                        uint8_t last_byte) {
  // CheckSizes has seen to its length.
  const int bits = static_cast<int>(config_.bits());
  DURE_RETURN_IF_ERROR(
      CheckPackedSize(PackedBytes(config_.dim(), bits), last_byte, config_.dim(), bits));
  DURE_ASSIGN_OR_RETURN(MemberSet voids,
                        MemberSet::Parse(message.void_bitmap(), graph().degree(*member.index)));
  const std::vector<ClientIndex> neighbours = graph().Neighbours(*member.index);
  for (uint32_t position = 0; position < voids.size(); ++position) {
    if (voids.Contains(position) && !u2_->Contains(neighbours[position].value())) {
      return absl::InvalidArgumentError("void bitmap with a member that dealt no shares");
    }
  }
  const Transcript statement = MaskedStatement(t2_, *member.index, packed_hash, voids.bytes());
  if (!VerifySignature(At(*member.index).entry.identity.key, statement.bytes(),
                       AsBytes(message.signature()))) {
    return absl::InvalidArgumentError("the masked input is not signed for this session's U2");
  }
  member.upload = Upload{
      .packed_hash = packed_hash, .voids = std::move(voids), .signature = message.signature()};
  return Signed(statement, message.signature());
}

absl::Status Server::TakeConsent(Member& member, const Consent& message) {
  if (!VerifySignature(member.entry.identity.key, ConsentStatement(t3_).bytes(),
                       AsBytes(message.signature()))) {
    return absl::InvalidArgumentError("the consent is not a signature on this session's U3");
  }
  member.consent = message.signature();
  return absl::OkStatus();
}

absl::Status Server::CheckShareSet(const Member& holder, const Unmask& message) const {
  auto seeds = message.self_seeds().begin();
  auto keys = message.mask_keys().begin();
  for (const ClientIndex dealer : graph().Neighbours(*holder.index)) {
    const uint32_t j = dealer.value();
    if (!u2_->Contains(j) || IsVoid({.dealer = dealer, .holder = *holder.index})) continue;
    auto& next = u3_->Contains(j) ? seeds : keys;
    const auto end = u3_->Contains(j) ? message.self_seeds().end() : message.mask_keys().end();
    if (next == end || next->member() != j) {
      return absl::InvalidArgumentError(
          absl::StrCat("no share of ", DisplayName(roster_[j]), " at its place"));
    }
    ++next;
  }
  if (seeds != message.self_seeds().end() || keys != message.mask_keys().end()) {
    return absl::InvalidArgumentError("more shares than the sender was dealt");
  }
  return absl::OkStatus();
}

absl::Status Server::TakeUnmask(const MemberId& id, Member& member, const Unmask& message) {
  DURE_RETURN_IF_ERROR(CheckShareSet(member, message));
  struct Checked {
    Edge edge;
    ByteView share;
  };
  std::vector<Checked> checked;
  for (Secret secret : {Secret::kSelfSeed, Secret::kMaskKey}) {
    const bool is_seed = secret == Secret::kSelfSeed;
    for (const Unmask::Share& share : is_seed ? message.self_seeds() : message.mask_keys()) {
      const Edge edge = {.dealer = ClientIndex(share.member()), .holder = *member.index};
      const Shares::Sealed& sealed =
          At(edge.dealer).dealing->message.sealed(static_cast<int>(graph().PositionOfHolder(edge)));
      const Digest commitment = ShareCommitment(t1_, edge, secret, AsBytes(share.share()));
      if (ToString(commitment) != (is_seed ? sealed.commit_self() : sealed.commit_mask())) {
        const std::string why = absl::StrCat(
            "its share of ", DisplayName(roster_[edge.dealer.value()]), " is not the one dealt");
        Exclude(id, why);
        return absl::InvalidArgumentError(
            absl::StrCat("unmasking shares of ", DisplayName(member.entry.identity), ": ", why));
      }
      checked.push_back({edge, AsBytes(share.share())});
    }
  }
  UnmaskingShares& shares = std::get<Unmasking>(state_).shares;
  for (const Checked& share : checked) {
    shares.Add(share.edge.dealer, graph().ShareX(share.edge), share.share);
  }
  member.unmasked = true;
  return absl::OkStatus();
}

}  // namespace dure::secagg
