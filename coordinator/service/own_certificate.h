// The coordinator's own certificate, which must not end unnoticed: it is renewed for the same key
// when less than a third of its time is left, by the enrolment CA's key if that is here, and
// otherwise by what comes back from the machine where it is. Not thread-safe for one folder.
#ifndef DURE_COORDINATOR_SERVICE_OWN_CERTIFICATE_H_
#define DURE_COORDINATOR_SERVICE_OWN_CERTIFICATE_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/service/federation_folder.h"
#include "crypto/random.h"

namespace dure {

struct CertificateLook {
  // DER of a certificate that holds longer than the federation's; it is in the folder already.
  std::optional<std::string> newer;
  // A line each, for people: what ends, when, and what to do.
  std::vector<std::string> warnings;
};

// Renews, asks for a signature, or takes what came back, as it is due at `now`.
absl::StatusOr<CertificateLook> LookAfterCertificate(const FederationFolder& federation,
                                                     absl::Time now, Random& random);

// The warnings alone: nothing is changed.
std::vector<std::string> CertificateWarnings(const FederationFolder& federation, absl::Time now);

}  // namespace dure

#endif  // DURE_COORDINATOR_SERVICE_OWN_CERTIFICATE_H_
