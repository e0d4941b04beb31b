// Everything that FLSA-v1 hashes, signs or derives keys from, in one place for both sides
// (docs/secure-aggregation.md sections 1.1 and 1.2). Statements are what Ed25519 signs. Indices are
// u32be positions in the roster. Thread-safe: pure functions.
#ifndef DURE_PRIVACY_SECAGG_TRANSCRIPT_H_
#define DURE_PRIVACY_SECAGG_TRANSCRIPT_H_

#include <span>

#include "base/strong_id.h"
#include "crypto/digest.h"
#include "crypto/x25519.h"
#include "privacy/secagg/graph.h"
#include "privacy/secagg/identity.h"

namespace dure::secagg {

// One member of a roster, as the transcript binds it.
struct RosterEntry {
  MemberIdentity identity;
  X25519PublicKey enc_key = {};
  X25519PublicKey mask_key = {};
  Digest nonce = {};
  Signature signature = {};  // on AdvertiseStatement
};

// 0: M("offer", sid, config_hash).
Transcript OfferStatement(const SessionId& session_id, const Digest& config_hash);
// 1: M("advertise", sid, config_hash, enc_pk, mask_pk, nonce).
Transcript AdvertiseStatement(const SessionId& session_id, const Digest& config_hash,
                              const RosterEntry& entry);

// 2: T1 = H("roster", sid, config_hash, n, entry...), entries by ascending client id.
Digest RosterHash(const SessionId& session_id, const Digest& config_hash,
                  std::span<const RosterEntry> entries);
Transcript RosterStatement(const Digest& t1);

// 3. Which of a dealer's two secrets a share is of.
enum class Secret { kMaskKey, kSelfSeed };
// C_x = H("commit-share", T1, i, j, x, share), x = "s" or "b".
Digest ShareCommitment(const Digest& t1, const Edge& edge, Secret secret, ByteView share);
struct SealedShares {
  ByteView ciphertext;
  ByteView commit_mask;
  ByteView commit_self;
};
// leaf_j = H("share-leaf", T1, i, j, ct, C_s, C_b).
Digest ShareLeaf(const Digest& t1, const Edge& edge, const SealedShares& sealed);
// commit_b = H("commit-b", T1, i, b_i).
Digest SeedCommitment(const Digest& t1, ClientIndex dealer, ByteView seed);
// M("shares", T1, i, root, commit_b).
Transcript SharesStatement(const Digest& t1, ClientIndex dealer, const Digest& root,
                           ByteView seed_commitment);
// Associated data of the encrypted shares: M("share-aad", T1, i, j).
Transcript ShareAad(const Digest& t1, const Edge& edge);

// 4: T2 = H("u2", T1, bitmap); M("u2", T2).
Digest DealersHash(const Digest& t1, ByteView bitmap);
Transcript DealersStatement(const Digest& t2);

// 5: M("masked", T2, i, SHA-256(packed), void bitmap).
Transcript MaskedStatement(const Digest& t2, ClientIndex member, const Digest& packed_hash,
                           ByteView void_bitmap);

// 6: T3 = H("u3", T2, bitmap); M("u3", T3).
Digest SurvivorsHash(const Digest& t2, ByteView bitmap);
Transcript SurvivorsStatement(const Digest& t3);

// 7: M("u3-sign", T3).
Transcript ConsentStatement(const Digest& t3);

// Between sessions: M("last-seen", task, client_id, attempt), the coordinator's word on the last
// attempt in which it saw shares of a member.
Transcript LastSeenStatement(const Digest& task, const MemberId& member, uint32_t attempt);

// Info of HKDF-SHA256 with salt T1: M("enc", i, j), M("mask", min, max), M("self", i).
Transcript EncryptionInfo(const Edge& edge);
Transcript PairMaskInfo(const Edge& edge);
Transcript SelfMaskInfo(ClientIndex member);

}  // namespace dure::secagg

#endif  // DURE_PRIVACY_SECAGG_TRANSCRIPT_H_
