#include "privacy/secagg/transcript.h"

#include <algorithm>

namespace dure::secagg {
namespace {

// M(label, T1, i, j), with which everything that concerns one edge begins.
Transcript EdgeTranscript(std::string_view label, const Digest& t1, const Edge& edge) {
  return Transcript(label).Add(t1).AddU32(edge.dealer.value()).AddU32(edge.holder.value());
}

}  // namespace

MemberId MemberIdOf(const PublicKey& key) { return Transcript("client-id").Add(key).Hash(); }

Transcript OfferStatement(const SessionId& session_id, const Digest& config_hash) {
  return Transcript("offer").Add(session_id).Add(config_hash);
}

Transcript AdvertiseStatement(const SessionId& session_id, const Digest& config_hash,
                              const RosterEntry& entry) {
  return Transcript("advertise")
      .Add(session_id)
      .Add(config_hash)
      .Add(entry.enc_key)
      .Add(entry.mask_key)
      .Add(entry.nonce);
}

Digest RosterHash(const SessionId& session_id, const Digest& config_hash,
                  std::span<const RosterEntry> entries) {
  Transcript roster("roster");
  roster.Add(session_id).Add(config_hash).AddU32(static_cast<uint32_t>(entries.size()));
  for (const RosterEntry& entry : entries) {
    roster.Add(Transcript("entry")
                   .Add(entry.identity.client_id)
                   .Add(entry.identity.key)
                   .Add(entry.enc_key)
                   .Add(entry.mask_key)
                   .Add(entry.nonce)
                   .Add(entry.signature)
                   .bytes());
  }
  return roster.Hash();
}

Transcript RosterStatement(const Digest& t1) { return Transcript("roster").Add(t1); }

Digest ShareCommitment(const Digest& t1, const Edge& edge, Secret secret, ByteView share) {
  return EdgeTranscript("commit-share", t1, edge)
      .Add(secret == Secret::kMaskKey ? "s" : "b")
      .HashWithSecret(share);
}

Digest ShareLeaf(const Digest& t1, const Edge& edge, const SealedShares& sealed) {
  return EdgeTranscript("share-leaf", t1, edge)
      .Add(sealed.ciphertext)
      .Add(sealed.commit_mask)
      .Add(sealed.commit_self)
      .Hash();
}

Digest SeedCommitment(const Digest& t1, ClientIndex dealer, ByteView seed) {
  return Transcript("commit-b").Add(t1).AddU32(dealer.value()).HashWithSecret(seed);
}

Transcript SharesStatement(const Digest& t1, ClientIndex dealer, const Digest& root,
                           ByteView seed_commitment) {
  return Transcript("shares").Add(t1).AddU32(dealer.value()).Add(root).Add(seed_commitment);
}

Transcript ShareAad(const Digest& t1, const Edge& edge) {
  return EdgeTranscript("share-aad", t1, edge);
}

Digest DealersHash(const Digest& t1, ByteView bitmap) {
  return Transcript("u2").Add(t1).Add(bitmap).Hash();
}

Transcript DealersStatement(const Digest& t2) { return Transcript("u2").Add(t2); }

Transcript MaskedStatement(const Digest& t2, ClientIndex member, const Digest& packed_hash,
                           ByteView void_bitmap) {
  return Transcript("masked").Add(t2).AddU32(member.value()).Add(packed_hash).Add(void_bitmap);
}

Digest SurvivorsHash(const Digest& t2, ByteView bitmap) {
  return Transcript("u3").Add(t2).Add(bitmap).Hash();
}

Transcript SurvivorsStatement(const Digest& t3) { return Transcript("u3").Add(t3); }

Transcript ConsentStatement(const Digest& t3) { return Transcript("u3-sign").Add(t3); }

Transcript LastSeenStatement(const Digest& task, const MemberId& member, uint32_t attempt) {
  return Transcript("last-seen").Add(task).Add(member).AddU32(attempt);
}

Transcript EncryptionInfo(const Edge& edge) {
  return Transcript("enc").AddU32(edge.dealer.value()).AddU32(edge.holder.value());
}

Transcript PairMaskInfo(const Edge& edge) {
  return Transcript("mask")
      .AddU32(std::min(edge.dealer, edge.holder).value())
      .AddU32(std::max(edge.dealer, edge.holder).value());
}

Transcript SelfMaskInfo(ClientIndex member) { return Transcript("self").AddU32(member.value()); }

}  // namespace dure::secagg
