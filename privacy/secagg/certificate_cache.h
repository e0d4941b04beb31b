// Which certificates are members': issued by the enrolment CA, valid now, members rather than
// evaluators. Remembers what it verified, because the same ten certificates come again in every
// round. Thread-safe.
#ifndef DURE_PRIVACY_SECAGG_CERTIFICATE_CACHE_H_
#define DURE_PRIVACY_SECAGG_CERTIFICATE_CACHE_H_

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "base/clock.h"
#include "crypto/x509.h"
#include "privacy/secagg/identity.h"

namespace dure::secagg {

class CertificateCache final : public CertificateVerifier {
 public:
  // Most certificates remembered; above it the memory begins anew.
  static constexpr size_t kMaxRemembered = 4096;

  // `clock` is borrowed.
  CertificateCache(std::string ca_certificate, Clock* clock)
      : ca_certificate_(std::move(ca_certificate)), clock_(clock) {}

  absl::StatusOr<MemberIdentity> Verify(ByteView der) override;
  std::optional<PublicKey> KeyIn(ByteView der) const override;

 private:
  struct Verified {
    MemberIdentity identity;
    Validity validity;
  };

  const std::string ca_certificate_;
  Clock* const clock_;
  std::mutex mutex_;
  std::map<Digest, Verified> verified_;  // by the certificate's SHA-256
};

}  // namespace dure::secagg

#endif  // DURE_PRIVACY_SECAGG_CERTIFICATE_CACHE_H_
