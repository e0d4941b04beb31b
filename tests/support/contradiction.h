// A coordinator that contradicts itself: to one member it sends a message twice, the second time
// another one, both under its signature. For tests.
#ifndef DURE_TESTS_SUPPORT_CONTRADICTION_H_
#define DURE_TESTS_SUPPORT_CONTRADICTION_H_

#include <optional>
#include <string>
#include <vector>

#include "crypto/ed25519.h"
#include "crypto/x509.h"
#include "privacy/secagg/config.h"
#include "privacy/secagg/transcript.h"
#include "proto/wire.pb.h"

namespace dure::testing {

class Contradiction {
 public:
  enum class At { kRoster, kDealt, kSurvivors };

  // `key` is the coordinator's; borrowed. `broken`: the second message also breaks other rules.
  Contradiction(const SigningKey* key, At at, bool broken = false)
      : key_(key), at_(at), broken_(broken) {}

  // Sees everything that the member is sent, in order. What it is to be sent besides, if it is time
  // for that: once in each session.
  std::optional<ServerMessage> Against(const ServerMessage& message) {
    if (message.has_offer()) {
      session_id_ = *DigestFromBytes(message.offer().offer().session_id());
      config_hash_ = secagg::ConfigHash(message.offer().offer().config());
    }
    if (!message.has_secagg()) return std::nullopt;
    const secagg::DownMessage& said = message.secagg();
    ServerMessage second = message;
    secagg::DownMessage& other = *second.mutable_secagg();
    if (said.has_roster()) {
      t1_ = Hash(said.roster());
      if (at_ != At::kRoster) return std::nullopt;
      secagg::Roster& roster = *other.mutable_roster();
      roster.mutable_entries()->RemoveLast();
      if (broken_) roster.mutable_entries(0)->set_nonce("short");
      Sign(secagg::RosterStatement(Hash(roster)), roster.mutable_signature());
      return second;
    }
    if (said.has_dealt()) {
      t2_ = secagg::DealersHash(t1_, AsBytes(said.dealt().bitmap()));
      if (at_ != At::kDealt) return std::nullopt;
      secagg::Dealt& dealt = *other.mutable_dealt();
      ClearABit(dealt.mutable_bitmap());
      if (broken_) dealt.clear_dealers();
      Sign(secagg::DealersStatement(secagg::DealersHash(t1_, AsBytes(dealt.bitmap()))),
           dealt.mutable_signature());
      return second;
    }
    if (!said.has_survivors() || at_ != At::kSurvivors) return std::nullopt;
    secagg::Survivors& survivors = *other.mutable_survivors();
    ClearABit(survivors.mutable_bitmap());
    if (broken_) survivors.mutable_uploads(0)->set_signature("x");
    Sign(secagg::SurvivorsStatement(secagg::SurvivorsHash(t2_, AsBytes(survivors.bitmap()))),
         survivors.mutable_signature());
    return second;
  }

 private:
  static void ClearABit(std::string* bitmap) {
    auto& byte = bitmap->front();
    byte = static_cast<char>(byte & (byte - 1));
  }

  void Sign(const Transcript& statement, std::string* signature) const {
    *signature = ToString(key_->Sign(statement.bytes()));
  }

  // T1 of a roster whose fields may have any length.
  Digest Hash(const secagg::Roster& message) const {
    Transcript roster("roster");
    roster.Add(session_id_).Add(config_hash_).AddU32(static_cast<uint32_t>(message.entries_size()));
    for (const secagg::Advertise& entry : message.entries()) {
      const PublicKey key = *CertificateKey(entry.certificate());
      roster.Add(Transcript("entry")
                     .Add(secagg::MemberIdOf(key))
                     .Add(key)
                     .Add(entry.enc_key())
                     .Add(entry.mask_key())
                     .Add(entry.nonce())
                     .Add(entry.signature())
                     .bytes());
    }
    return roster.Hash();
  }

  const SigningKey* key_;
  const At at_;
  const bool broken_;
  Digest session_id_{}, config_hash_{}, t1_{}, t2_{};
};

}  // namespace dure::testing

#endif  // DURE_TESTS_SUPPORT_CONTRADICTION_H_
