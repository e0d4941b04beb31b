// What the coordinator has signed in one session, as one member saw it: notices when it contradicts
// itself (docs/secure-aggregation.md section 1.5) and makes the evidence. Looks at messages that
// the session refuses too, whatever else is wrong with them, and goes on after its end. Holds no
// secrets. Not thread-safe.
#ifndef DURE_PRIVACY_SECAGG_WITNESS_H_
#define DURE_PRIVACY_SECAGG_WITNESS_H_

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "crypto/ed25519.h"
#include "privacy/secagg/evidence.h"
#include "privacy/secagg/identity.h"
#include "privacy/secagg/transcript.h"
#include "proto/secagg.pb.h"

namespace dure::secagg {

class Witness {
 public:
  // The session that an Offer began. `verifier` is borrowed.
  void Begin(const PublicKey& coordinator, const SessionId& session_id, const RoundConfig& config,
             CertificateVerifier* verifier);

  // In both, `roster` is the accepted one, empty before there is one.

  // A message of this session that was accepted: its signature is right and is not verified again.
  // `hash` is its T1, T2 or T3, by which later messages are judged. True if it contradicts an
  // earlier one. False for a Quorum, which says nothing of the coordinator's own.
  bool Accept(const DownMessage& message, const Digest& hash, std::span<const RosterEntry> roster);
  // Any other message of this session. True if it is signed and contradicts an earlier one.
  bool Look(const DownMessage& message, std::span<const RosterEntry> roster);

  // One for each kind of message at most.
  const std::vector<Evidence>& evidence() const { return evidence_; }

 private:
  using Kind = DownMessage::KindCase;
  using Members = google::protobuf::RepeatedPtrField<audit::RosterMember>;
  // What one message says, with what its hash is made of.
  struct Said {
    SignedStatement statement;
    std::string signature;
    std::optional<Members> members;  // of a roster that was not accepted
    std::string bitmap;              // of U2 or U3
  };

  // nullopt if it cannot be what the coordinator signs: it is far too long, or what it hashes is
  // not known.
  std::optional<Said> Read(const DownMessage& message) const;
  std::optional<Members> MembersOf(const Roster& message) const;
  bool Compare(Kind kind, Said said, std::span<const RosterEntry> roster);
  audit::Contradiction Contradict(Kind kind, const Said& first, const Said& second,
                                  std::span<const RosterEntry> roster) const;

  PublicKey coordinator_ = {};
  SessionId session_id_ = {};
  RoundConfig config_;
  CertificateVerifier* verifier_ = nullptr;
  std::map<Kind, Said> first_;
  std::optional<Digest> t1_, t2_;  // accepted
  std::string dealers_;            // the bitmap of t2_
  std::vector<Evidence> evidence_;
};

}  // namespace dure::secagg

#endif  // DURE_PRIVACY_SECAGG_WITNESS_H_
