#include "privacy/secagg/evidence.h"

namespace dure::secagg {

google::protobuf::RepeatedPtrField<audit::RosterMember> EvidenceRoster(
    std::span<const RosterEntry> roster) {
  google::protobuf::RepeatedPtrField<audit::RosterMember> members;
  for (const RosterEntry& entry : roster) {
    audit::RosterMember& member = *members.Add();
    member.set_key(ToString(entry.identity.key));
    member.set_enc_key(ToString(entry.enc_key));
    member.set_mask_key(ToString(entry.mask_key));
    member.set_nonce(ToString(entry.nonce));
    member.set_signature(ToString(entry.signature));
  }
  return members;
}

}  // namespace dure::secagg
