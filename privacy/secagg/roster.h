// The members of a session: the checks of an Advertise that both sides make.
#ifndef DURE_PRIVACY_SECAGG_ROSTER_H_
#define DURE_PRIVACY_SECAGG_ROSTER_H_

#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "privacy/secagg/identity.h"
#include "privacy/secagg/transcript.h"
#include "proto/secagg.pb.h"

namespace dure::secagg {

// The fields of an Advertise, which must have passed CheckSizes, with the identity that its
// certificate proves. The verifier's error if the certificate is refused. Neither the signature nor
// the order of the keys is checked: see below and IsUsableX25519Key.
absl::StatusOr<RosterEntry> ReadAdvertise(const Advertise& message, CertificateVerifier& verifier);

// What an Advertise is bound to.
struct SessionBinding {
  const SessionId& session_id;
  const Digest& config_hash;
};
// Unauthenticated, naming the member, if the entry is not signed for this session and config.
absl::Status VerifyEntry(const RosterEntry& entry, const SessionBinding& session);

// InvalidArgument, naming the member, if two of the 2n session keys are equal.
absl::Status CheckKeysDistinct(std::span<const RosterEntry> entries);

// Aborted: this member's session keys give no secret.
absl::Status LowOrderKey(const MemberIdentity& identity);

// "clinic-3 (3cefc94e)": how messages name a member.
std::string DisplayName(const MemberIdentity& identity);

}  // namespace dure::secagg

#endif  // DURE_PRIVACY_SECAGG_ROSTER_H_
