// Two signed statements of one signer that an honest signer never makes together, with all that
// they hash: whoever knows the signer's certificate can check them (docs/formats/evidence.md).
// Thread-safe: values and pure functions.
#ifndef DURE_PRIVACY_SECAGG_EVIDENCE_H_
#define DURE_PRIVACY_SECAGG_EVIDENCE_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "crypto/ed25519.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "privacy/secagg/transcript.h"
#include "proto/audit.pb.h"

namespace dure::secagg {

struct SignedStatement {
  std::vector<uint8_t> statement;  // M(label, ...), what the signature is over
  Signature signature = {};
};

struct Evidence {
  PublicKey signer = {};
  std::string what;  // for people: "two rosters for one Advertise"
  SignedStatement first;
  SignedStatement second;
  audit::Contradiction contradiction;  // the same, with what the statements hash
  std::string certificate;             // DER, of a member that signed; empty: the coordinator
};

// A roster as evidence carries it.
google::protobuf::RepeatedPtrField<audit::RosterMember> EvidenceRoster(
    std::span<const RosterEntry> roster);

}  // namespace dure::secagg

#endif  // DURE_PRIVACY_SECAGG_EVIDENCE_H_
