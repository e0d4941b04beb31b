#include "client/service/certificate_keeper.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "client/service/node_files.h"
#include "crypto/pem_files.h"
#include "crypto/renewal.h"

namespace dure {

absl::StatusOr<RenewalAnswer> TakeRenewal(const HeldCertificate& held, const RenewReply& reply,
                                          absl::Time now) {
  RenewalAnswer answer;
  answer.awaits_signature = reply.awaits_signature();
  if (reply.certificate().empty() || reply.certificate() == held.certificate) return answer;
  DURE_ASSIGN_OR_RETURN(const Certificate older,
                        VerifyCertificateAtAnyTime(held.certificate, held.ca_certificate));
  DURE_ASSIGN_OR_RETURN(const Certificate newer,
                        VerifyMemberCertificate(reply.certificate(), held.ca_certificate, now));
  if (newer.key != older.key || newer.role != older.role || newer.name != older.name ||
      newer.validity.not_after <= older.validity.not_after) {
    return absl::InvalidArgumentError(
        "the coordinator answered with a certificate that is not a newer one of this member");
  }
  DURE_RETURN_IF_ERROR(
      WriteCertificateFile(MemberCertificatePath(held.folder), reply.certificate()));
  answer.certificate = reply.certificate();
  answer.awaits_signature = false;
  return answer;
}

CertificateKeeper::CertificateKeeper(std::function<void(absl::StatusOr<RenewalAnswer>)> done,
                                     Ask ask)
    : done_(std::move(done)), ask_(std::move(ask)) {}

CertificateKeeper::~CertificateKeeper() = default;

void CertificateKeeper::Look(const Node& node, absl::Time now) {
  looked_ = now;
  if (asking_ || now < not_before_) return;
  const absl::StatusOr<Certificate> held =
      VerifyCertificateAtAnyTime(node.certificate, node.ca_certificate);
  if (!held.ok() || !RenewalDue(held->validity, now)) return;
  asking_ = true;
  if (!strand_) strand_ = std::make_unique<Strand>();
  RenewRequest request;
  request.set_certificate_request(MakeCertificateRequest(node.key));
  HeldCertificate known{node.folder, node.certificate, node.ca_certificate};
  strand_->Post(
      [this, known = std::move(known), source = SourceOf(node), request = std::move(request)] {
        absl::StatusOr<RenewReply> reply = ask_(source, request);
        done_(reply.ok() ? TakeRenewal(known, *reply, absl::Now()) : reply.status());
      });
}

void CertificateKeeper::Answered(const absl::StatusOr<RenewalAnswer>& answer) {
  asking_ = false;
  if (answer.ok() && answer->certificate) {
    pause_ = kFirstPause;
    return;
  }
  not_before_ = looked_ + pause_;
  pause_ = std::min(2 * pause_, kLongestPause);
}

}  // namespace dure
