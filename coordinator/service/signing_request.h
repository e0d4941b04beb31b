// What travels to the machine that has the enrolment CA's key, when that is another one than the
// coordinator's: a JSON file that asks for one certificate. The certificate itself travels back as
// PEM. Nothing in either is secret. Thread-safe.
#ifndef DURE_COORDINATOR_SERVICE_SIGNING_REQUEST_H_
#define DURE_COORDINATOR_SERVICE_SIGNING_REQUEST_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "crypto/ed25519.h"
#include "crypto/random.h"
#include "crypto/x509.h"

namespace dure {

// Largest such file, in bytes.
inline constexpr uint64_t kMaxSigningRequestBytes = uint64_t{16} << 10;

struct SigningRequest {
  std::string ca_fingerprint;  // of the CA that is asked: CertificateFingerprint
  CertificateRole role = CertificateRole::kMember;
  std::string name;  // "coordinator" for the coordinator
  std::string organisation;
  std::string certificate_request;  // PKCS #10, DER
  PublicKey key{};                  // of that request, which its own key has signed
  // For the coordinator's own use: the invitation that is used up (SHA-256 of its secret, in
  // hexadecimal; empty where none is) and when its holder asked.
  std::string invitation;
  absl::Time asked;
};

std::string EncodeSigningRequest(const SigningRequest& request);
// InvalidArgument with the fault, also if the certificate request is not signed by its own key, or
// if the name, role and organisation could not stand in a certificate.
absl::StatusOr<SigningRequest> DecodeSigningRequest(std::string_view text);

// "member-clinic-1-0123456789abcdef": role, name and the beginning of the key, for files.
std::string SigningFileName(CertificateRole role, const std::string& name, const PublicKey& key);

// A certificate's key as people compare it: SHA-256 as CertificateFingerprint writes it.
std::string KeyFingerprint(const PublicKey& key);

// The certificate that `request` asks for, DER. PermissionDenied if it asks another CA than the
// issuer's.
absl::StatusOr<std::string> SignRequest(const CertificateIssuer& issuer,
                                        const SigningRequest& request, const Validity& validity,
                                        Random& random);

// Whether `certificate` is what `request` asked for.
bool Answers(const Certificate& certificate, const SigningRequest& request);

}  // namespace dure

#endif  // DURE_COORDINATOR_SERVICE_SIGNING_REQUEST_H_
