#include "privacy/secagg/certificate_cache.h"

#include "absl/status/status.h"
#include "base/status_macros.h"

namespace dure::secagg {

absl::StatusOr<MemberIdentity> CertificateCache::Verify(ByteView der) {
  const Digest hash = Sha256(der);
  const absl::Time now = clock_->Now();
  {
    std::lock_guard lock(mutex_);
    auto found = verified_.find(hash);
    if (found != verified_.end() && now >= found->second.validity.not_before &&
        now <= found->second.validity.not_after) {
      return found->second.identity;
    }
  }
  DURE_ASSIGN_OR_RETURN(Certificate certificate,
                        VerifyMemberCertificate(ToString(der), ca_certificate_, now));
  if (certificate.role != CertificateRole::kMember) {
    return absl::PermissionDeniedError("an evaluator takes no part in rounds");
  }
  Verified verified{.identity = {.key = certificate.key,
                                 .client_id = MemberIdOf(certificate.key),
                                 .name = certificate.name,
                                 .organisation = certificate.organisation},
                    .validity = certificate.validity};
  std::lock_guard lock(mutex_);
  if (verified_.size() >= kMaxRemembered) verified_.clear();
  return verified_.insert_or_assign(hash, std::move(verified)).first->second.identity;
}

std::optional<PublicKey> CertificateCache::KeyIn(ByteView der) const {
  absl::StatusOr<PublicKey> key = CertificateKey(ToString(der));
  if (!key.ok()) return std::nullopt;
  return *key;
}

}  // namespace dure::secagg
