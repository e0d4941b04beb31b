#include "coordinator/service/own_certificate.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "coordinator/service/signing_folder.h"
#include "crypto/pem_files.h"
#include "crypto/renewal.h"
#include "crypto/x509.h"

namespace dure {
namespace {

std::string OwnCertificatePath(const FederationFolder& federation) {
  return FederationPrivateFolder(federation.folder) + "/coordinator.pem";
}

std::string Day(absl::Time time) { return absl::FormatTime("%Y-%m-%d", time, absl::UTCTimeZone()); }

// "on 2027-01-31, in 12 days", "on 2027-01-31, which has passed".
std::string WhenInWords(absl::Time ends, absl::Time now) {
  const int64_t days = absl::ToInt64Hours(ends - now) / 24;
  return absl::StrCat("on ", Day(ends),
                      ends < now ? ", which has passed" : absl::StrCat(", in ", days, " days"));
}

// Of a certificate of the coordinator's key that this CA issued: when it ends.
std::optional<absl::Time> EndOf(const std::string& der, const FederationFolder& federation,
                                absl::Time now) {
  const absl::StatusOr<Certificate> certificate =
      VerifyCoordinatorCertificate(der, federation.ca_certificate, now);
  if (!certificate.ok() || certificate->key != federation.key.public_key()) return std::nullopt;
  return certificate->validity.not_after;
}

// What is in the folder, or came back, and ends after `ends`.
absl::StatusOr<std::optional<std::string>> FindNewer(const FederationFolder& federation,
                                                     absl::Time ends, absl::Time now) {
  const std::string path = OwnCertificatePath(federation);
  if (absl::StatusOr<std::string> der = ReadCertificateFile(path); der.ok()) {
    if (EndOf(*der, federation, now).value_or(ends) > ends) return *std::move(der);
  }
  const std::string keys = FederationPrivateFolder(federation.folder);
  std::optional<std::string> came =
      FindSigned(keys, federation.key.public_key(), federation.ca_certificate, now);
  if (!came || EndOf(*came, federation, now).value_or(ends) <= ends) return std::nullopt;
  DURE_RETURN_IF_ERROR(WriteCertificateFile(path, *came));
  for (const WaitingRequest& waiting : ListWaiting(keys)) {
    if (waiting.request.key == federation.key.public_key()) RemoveWaiting(waiting);
  }
  return came;
}

absl::Status AskForSignature(const FederationFolder& federation, absl::Time now) {
  const std::string keys = FederationPrivateFolder(federation.folder);
  for (const WaitingRequest& waiting : ListWaiting(keys)) {
    if (waiting.request.key == federation.key.public_key()) return absl::OkStatus();
  }
  const std::string_view name = RoleName(CertificateRole::kCoordinator);
  return AddWaiting(keys, {.ca_fingerprint = CertificateFingerprint(federation.ca_certificate),
                           .role = CertificateRole::kCoordinator,
                           .name = std::string(name),
                           .certificate_request = MakeCertificateRequest(federation.key),
                           .key = federation.key.public_key(),
                           .asked = now})
      .status();
}

}  // namespace

std::vector<std::string> CertificateWarnings(const FederationFolder& federation, absl::Time now) {
  std::vector<std::string> warnings;
  const absl::StatusOr<Certificate> own =
      VerifyCertificateAtAnyTime(federation.certificate, federation.ca_certificate);
  const absl::StatusOr<CaCertificate> ca = ParseCaCertificate(federation.ca_certificate);
  if (!own.ok() || !ca.ok()) return warnings;
  const absl::Time ends = own->validity.not_after, ca_ends = ca->validity.not_after;
  if (ends - now < kCertificateNotice && RenewalDue(own->validity, now) && ends < ca_ends) {
    warnings.push_back(absl::StrCat(
        "the coordinator's certificate ends ", WhenInWords(ends, now),
        federation.ca_key ? ": a running coordinator renews it"
                          : ", and its renewal waits for a signature: see `dure sign --help`"));
  }
  if (ca_ends - now < kCaNotice) {
    warnings.push_back(absl::StrCat("the enrolment CA ends ", WhenInWords(ca_ends, now),
                                    ", and with it every certificate: a federation that is to go "
                                    "on after that has to be made anew and joined again"));
  }
  return warnings;
}

absl::StatusOr<CertificateLook> LookAfterCertificate(const FederationFolder& federation,
                                                     absl::Time now, Random& random) {
  DURE_ASSIGN_OR_RETURN(
      const Certificate own,
      VerifyCertificateAtAnyTime(federation.certificate, federation.ca_certificate));
  CertificateLook look;
  DURE_ASSIGN_OR_RETURN(look.newer, FindNewer(federation, own.validity.not_after, now));
  if (look.newer) return look;
  if (RenewalDue(own.validity, now)) {
    if (!federation.ca_key) {
      DURE_RETURN_IF_ERROR(AskForSignature(federation, now));
    } else {
      DURE_ASSIGN_OR_RETURN(
          const CertificateIssuer issuer,
          CertificateIssuer::Create(federation.ca_certificate, &*federation.ca_key));
      DURE_ASSIGN_OR_RETURN(
          std::string der,
          issuer.IssueCoordinator(federation.key.public_key(),
                                  {now - kClockTolerance, now + kCoordinatorValidity}, random));
      // The CA's own end cuts what it signs.
      if (EndOf(der, federation, now).value_or(absl::InfinitePast()) > own.validity.not_after) {
        DURE_RETURN_IF_ERROR(WriteCertificateFile(OwnCertificatePath(federation), der));
        look.newer = std::move(der);
        return look;
      }
    }
  }
  look.warnings = CertificateWarnings(federation, now);
  return look;
}

}  // namespace dure
