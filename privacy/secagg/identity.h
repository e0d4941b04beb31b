// Who a member is, and the one thing that the protocol asks of certificates.
#ifndef DURE_PRIVACY_SECAGG_IDENTITY_H_
#define DURE_PRIVACY_SECAGG_IDENTITY_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "crypto/digest.h"
#include "crypto/ed25519.h"

namespace dure::secagg {

// client_id = H("client-id", pk), docs/secure-aggregation.md section 1.1.
using MemberId = Digest;
// 32 random bytes that name one attempt.
using SessionId = Digest;

MemberId MemberIdOf(const PublicKey& key);

struct MemberIdentity {
  PublicKey key = {};       // long-term Ed25519 key
  MemberId client_id = {};  // MemberIdOf(key)
  std::string name;
  std::string organisation;
};

// Decides whether a certificate belongs to a member of the federation: signed by the pinned
// enrolment CA, within its validity, not revoked. Implementations may remember what they verified:
// each engine asks once per certificate and session.
class CertificateVerifier {
 public:
  virtual ~CertificateVerifier() = default;
  // The identity in `der`. Any error means that the certificate is not to be accepted; its message
  // says why.
  virtual absl::StatusOr<MemberIdentity> Verify(ByteView der) = 0;
  // The key in `der`, whoever issued it: for telling what a hash was made of. nullopt if there is
  // none to be found.
  virtual std::optional<PublicKey> KeyIn(ByteView der) const = 0;
};

}  // namespace dure::secagg

#endif  // DURE_PRIVACY_SECAGG_IDENTITY_H_
