// The hashes of FLSA-v1 that evidence is about, computed from what an evidence file carries
// (docs/secure-aggregation.md sections 1.1 and 1.2). Written from the specification and not with
// the code of the protocol's engines: a mistake there would otherwise pass its own check. Fields go
// in as they are, whatever their length. Thread-safe: pure functions.
#ifndef DURE_AUDIT_EVIDENCE_HASHES_H_
#define DURE_AUDIT_EVIDENCE_HASHES_H_

#include <string>

#include "crypto/digest.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "proto/audit.pb.h"

namespace dure::audit {

// H("client-id", key).
Digest ClientId(const std::string& key);
Digest ConfigHash(const secagg::RoundConfig& config);

using RosterMembers = google::protobuf::RepeatedPtrField<RosterMember>;
// T1 = H("roster", sid, config_hash, n, entry...).
Digest RosterHash(const Contradiction& session, const RosterMembers& members);
// T2 = H("u2", T1, bitmap), T3 = H("u3", T2, bitmap).
Digest DealersHash(const Digest& t1, const std::string& bitmap);
Digest SurvivorsHash(const Digest& t2, const std::string& bitmap);

}  // namespace dure::audit

#endif  // DURE_AUDIT_EVIDENCE_HASHES_H_
