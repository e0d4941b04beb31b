// When certificates are renewed, and when people are told that one ends. Pure.
#ifndef DURE_CRYPTO_RENEWAL_H_
#define DURE_CRYPTO_RENEWAL_H_

#include "absl/time/time.h"
#include "crypto/x509.h"

namespace dure {

// A coordinator that cannot renew its own certificate says so from this long before its end, and
// that its enrolment CA ends from this long before.
inline constexpr absl::Duration kCertificateNotice = absl::Hours(24 * 60);
inline constexpr absl::Duration kCaNotice = absl::Hours(24 * 365);

// Whether less than a third of the time that a certificate holds is left.
inline bool RenewalDue(const Validity& validity, absl::Time now) {
  return validity.not_after - now < (validity.not_after - validity.not_before) / 3;
}

}  // namespace dure

#endif  // DURE_CRYPTO_RENEWAL_H_
