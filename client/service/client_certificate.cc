// ClientService: certificates that are renewed while a client runs, this member's and the
// coordinator's.
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/service/client_service.h"
#include "crypto/pem_files.h"
#include "crypto/x509.h"

namespace dure {
namespace {

// How often the client looks at how much time is left of its certificate.
constexpr absl::Duration kLook = absl::Minutes(10);
constexpr absl::Duration kAskTimeout = absl::Seconds(10);

}  // namespace

// The key is what was pinned. A certificate of it that has ended since then was renewed, and the
// coordinator shows the newer one.
absl::StatusOr<PublicKey> ClientService::PinnedCoordinator() const {
  const absl::Time now = absl::Now();
  absl::StatusOr<Certificate> coordinator =
      VerifyCoordinatorCertificate(node_.coordinator_certificate, node_.ca_certificate, now);
  if (coordinator.ok()) return coordinator->key;
  absl::StatusOr<Certificate> before =
      VerifyCertificateAtAnyTime(node_.coordinator_certificate, node_.ca_certificate);
  const bool ended = absl::IsFailedPrecondition(coordinator.status()) && before.ok() &&
                     before->role == CertificateRole::kCoordinator &&
                     before->validity.not_after < now;
  if (ended) return before->key;
  return coordinator.status();
}

void ClientService::SawCoordinator(const std::string& certificate_der) {
  if (certificate_der == node_.coordinator_certificate) return;
  node_.coordinator_certificate = certificate_der;
  // What cannot be written is seen again at the next connection.
  WriteCertificateFile(node_.folder + "/coordinator.pem", certificate_der).IgnoreError();
}

void ClientService::BeginKeeping() {
  keeper_ = std::make_unique<CertificateKeeper>(
      [this](absl::StatusOr<RenewalAnswer> answer) {
        strand_->Post([this, answer = std::move(answer)] { Renewed(answer); });
      },
      [](const FetchSource& source, const RenewRequest& request) {
        return Renew(source, request, kAskTimeout);
      });
  LookLater();
}

// For as long as the client runs.
void ClientService::LookLater() {
  strand_->PostAfter(kLook, [this] {
    KeepCertificate();
    LookLater();
  });
}

void ClientService::KeepCertificate() {
  if (over_ || keeper_ == nullptr) return;
  if (connected_) keeper_->Look(node_, clock_.Now());
}

void ClientService::Renewed(const absl::StatusOr<RenewalAnswer>& answer) {
  if (over_ || keeper_ == nullptr) return;
  keeper_->Answered(answer);
  if (!answer.ok()) {
    Tell(member::Tell::Level::kWarning,
         absl::StrCat("this member's certificate ends soon and could not be renewed yet: ",
                      answer.status().message()));
    return;
  }
  if (!answer->certificate) {
    if (answer->awaits_signature && !said_unsigned_) {
      said_unsigned_ = true;
      Tell(member::Tell::Level::kNote,
           "this member's certificate ends soon; its renewal waits for the organiser's signature");
    }
    return;
  }
  said_unsigned_ = false;
  node_.certificate = *answer->certificate;
  engine_->set_certificate(node_.certificate);
  const absl::StatusOr<Certificate> renewed =
      VerifyCertificateAtAnyTime(node_.certificate, node_.ca_certificate);
  if (!renewed.ok()) return;
  Tell(
      member::Tell::Level::kNote,
      absl::StrCat("this member's certificate was renewed, and holds until ",
                   absl::FormatTime("%Y-%m-%d", renewed->validity.not_after, absl::UTCTimeZone())));
}

}  // namespace dure
