// The certificates of a federation (RFC 5280) and the requests for them (RFC 2986), all Ed25519
// (RFC 8410), over OpenSSL. There are three kinds, and none is ever accepted as another:
//
//   enrolment CA   self-signed, CA:TRUE with path length 0, keyCertSign;
//                  O = the federation's name, CN = "dure enrolment CA of " + name
//   coordinator    extended key usage serverAuth, DNS name kCoordinatorDnsName, CN = "coordinator"
//   member         extended key usage clientAuth, CN = "member/NAME" or "evaluator/NAME",
//                  O = organisation, absent if empty
//
// Who somebody is comes from the issuer alone: whatever a request says besides its key is ignored.
// Certificates travel as DER in strings. Every function here is thread-safe.
#ifndef DURE_CRYPTO_X509_H_
#define DURE_CRYPTO_X509_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "crypto/ed25519.h"
#include "crypto/random.h"

namespace dure {

// Longest certificate or request, DER, that is looked at; PEM may be twice as long.
inline constexpr size_t kMaxCertificateBytes = 8 * 1024;
// Longest name of a member: letters, digits, '-', '_' and '.'.
inline constexpr size_t kMaxMemberNameBytes = 48;
// Longest organisation or federation in a certificate: UTF-8 without control characters.
inline constexpr size_t kMaxOrganisationBytes = 64;
// The DNS name in the coordinator's certificate, wherever the coordinator is reached.
inline constexpr std::string_view kCoordinatorDnsName = "coordinator.dure";

enum class CertificateRole { kCoordinator, kMember, kEvaluator };

// "coordinator", "member" or "evaluator".
std::string_view RoleName(CertificateRole role);

// When a certificate holds, both ends included, in whole seconds. Issuers usually begin a few
// minutes in the past, so that clocks that differ a little do no harm.
struct Validity {
  absl::Time not_before;
  absl::Time not_after;
};

// What a verified certificate of the coordinator or of a member says.
struct Certificate {
  PublicKey key;
  CertificateRole role;
  std::string name;          // "coordinator" for the coordinator
  std::string organisation;  // may be empty
  std::string serial;        // 32 lower-case hexadecimal digits
  Validity validity;
};

// What an enrolment CA's certificate says.
struct CaCertificate {
  PublicKey key;
  std::string federation;
  Validity validity;
};

// Whom a member's certificate is for.
struct MemberSubject {
  CertificateRole role = CertificateRole::kMember;  // kMember or kEvaluator
  std::string name;
  std::string organisation;
};

// InvalidArgument if `name` is empty, too long or has a character that names of members lack.
absl::Status CheckMemberName(std::string_view name);
// InvalidArgument if `name`, the name of `what`, is too long or has control characters.
absl::Status CheckOrganisation(std::string_view what, std::string_view name);

// A self-signed enrolment CA for the federation called `federation`, DER. The serial is 128 bits
// of `random`. InvalidArgument for a name that does not fit or a validity that ends before it
// begins.
absl::StatusOr<std::string> MakeEnrolmentCa(const SigningKey& key, std::string_view federation,
                                            const Validity& validity, Random& random);

// Reads an enrolment CA's certificate and checks its form and its own signature, not the time.
// InvalidArgument with the fault.
absl::StatusOr<CaCertificate> ParseCaCertificate(std::string_view der);

// Issues certificates in the name of one enrolment CA.
class CertificateIssuer {
 public:
  // `key` is borrowed and must outlive the issuer. InvalidArgument if `ca_der` is not an enrolment
  // CA or not the one of `key`.
  static absl::StatusOr<CertificateIssuer> Create(std::string ca_der, const SigningKey* key);

  // DER. A validity that ends after the CA's own is cut to it. InvalidArgument for a validity that
  // is empty, and for a subject that does not fit (see the limits above). The serial is 128 bits
  // of `random`.
  absl::StatusOr<std::string> IssueCoordinator(const PublicKey& key, const Validity& validity,
                                               Random& random) const;
  absl::StatusOr<std::string> IssueMember(const MemberSubject& subject, const PublicKey& key,
                                          const Validity& validity, Random& random) const;

  const std::string& ca_der() const { return ca_der_; }

 private:
  CertificateIssuer(std::string ca_der, const SigningKey* key, absl::Time ca_ends)
      : ca_der_(std::move(ca_der)), key_(key), ca_ends_(ca_ends) {}
  std::string ca_der_;
  const SigningKey* key_;
  absl::Time ca_ends_;
};

// A certificate request (PKCS #10, DER) for `key`, signed with it, with an empty subject.
std::string MakeCertificateRequest(const SigningKey& key);
// The key that a request is for, its signature checked. InvalidArgument with the fault.
absl::StatusOr<PublicKey> ParseCertificateRequest(std::string_view der);

// Verifies that `der` is a certificate that the enrolment CA `ca_der` issued and that holds at
// `now`, and returns what it says. The first accepts only the coordinator's, the second only those
// of members and evaluators: see `role`.
//   InvalidArgument    not a certificate of this form, or `ca_der` is not an enrolment CA
//   PermissionDenied   issued by another CA, altered, or of the other kind
//   FailedPrecondition expired or not valid yet; says since when or until when
absl::StatusOr<Certificate> VerifyCoordinatorCertificate(std::string_view der,
                                                         std::string_view ca_der, absl::Time now);
absl::StatusOr<Certificate> VerifyMemberCertificate(std::string_view der, std::string_view ca_der,
                                                    absl::Time now);
// The same for anybody's certificate (see `role`) and without a look at the time: whose key it was
// does not change when the certificate ends. For what was signed in the past.
absl::StatusOr<Certificate> VerifyCertificateAtAnyTime(std::string_view der,
                                                       std::string_view ca_der);

// The key in a certificate, whoever issued it: for telling which private key belongs to it. Nothing
// is verified. InvalidArgument if it is not a certificate or the key is not Ed25519.
absl::StatusOr<PublicKey> CertificateKey(std::string_view der);

// PEM of a certificate, and back. The text may have words around the one certificate in it.
// InvalidArgument if there is none, or more than one.
std::string CertificateToPem(std::string_view der);
absl::StatusOr<std::string> CertificateFromPem(std::string_view pem);

// SHA-256 of a certificate as people compare it: "AB:CD:..", 32 pairs.
std::string CertificateFingerprint(std::string_view der);

}  // namespace dure

#endif  // DURE_CRYPTO_X509_H_
