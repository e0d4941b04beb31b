#include "coordinator/service/registrar.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "coordinator/service/signing_folder.h"
#include "crypto/renewal.h"
#include "privacy/secagg/identity.h"

namespace dure {
namespace {

CertificateRole RoleOf(Role role) {
  return role == EVALUATOR ? CertificateRole::kEvaluator : CertificateRole::kMember;
}

std::optional<WaitingRequest> FindWaiting(const std::string& private_folder,
                                          const Digest& secret_hash) {
  const std::string invitation = ToHex(secret_hash);
  for (WaitingRequest& waiting : ListWaiting(private_folder)) {
    if (waiting.request.invitation == invitation) return std::move(waiting);
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<Registrar> Registrar::Create(const FederationFolder* federation, Store* store,
                                            Random* random) {
  Registrar registrar(federation, store, random);
  if (federation->ca_key) {
    DURE_ASSIGN_OR_RETURN(registrar.issuer_, CertificateIssuer::Create(federation->ca_certificate,
                                                                       &*federation->ca_key));
  }
  return registrar;
}

absl::StatusOr<std::string> Registrar::Sign(const MemberSubject& subject, const PublicKey& key,
                                            absl::Time now) {
  return issuer_->IssueMember(subject, key, {now - kClockTolerance, now + kMemberValidity},
                              *random_);
}

absl::StatusOr<EnrolReply> Registrar::Enrol(const EnrolRequest& request, absl::Time now) {
  const Digest secret_hash = Sha256(AsBytes(request.secret()));
  // A secret that nobody was given is told apart from nothing else.
  absl::StatusOr<InvitationRecord> invitation = store_->FindInvitation(secret_hash, now);
  if (absl::IsNotFound(invitation.status())) return invitation.status();
  DURE_ASSIGN_OR_RETURN(const PublicKey key,
                        ParseCertificateRequest(request.certificate_request()));
  // The answer to the first request may have been lost.
  absl::StatusOr<MemberRecord> known = store_->FindMember(secagg::MemberIdOf(key));
  if (!invitation.ok() && known.ok() && !known->revoked) {
    EnrolReply reply;
    reply.set_certificate(known->certificate);
    return reply;
  }
  if (!issuer_) return EnrolSignedElsewhere(request, secret_hash, key, now);
  DURE_RETURN_IF_ERROR(invitation.status());
  if (request.spec_digest() != ToString(federation_->spec_digest)) {
    return absl::FailedPreconditionError(
        "the terms that were approved are not this federation's: run `dure join` again");
  }
  DURE_ASSIGN_OR_RETURN(std::string certificate, Sign({.role = RoleOf(invitation->role),
                                                       .name = invitation->name,
                                                       .organisation = invitation->organisation},
                                                      key, now));
  return Admit(*invitation, key, std::move(certificate), now, now);
}

absl::StatusOr<EnrolReply> Registrar::EnrolSignedElsewhere(const EnrolRequest& request,
                                                           const Digest& secret_hash,
                                                           const PublicKey& key, absl::Time now) {
  const std::string folder = FederationPrivateFolder(federation_->folder);
  const std::optional<WaitingRequest> waiting = FindWaiting(folder, secret_hash);
  // Who asked in time need not be signed in time.
  const absl::Time asked = waiting ? waiting->request.asked : now;
  DURE_ASSIGN_OR_RETURN(const InvitationRecord invitation,
                        store_->FindInvitation(secret_hash, asked));
  if (waiting && waiting->request.key != key) {
    return absl::FailedPreconditionError(
        "this token waits for the organiser's signature already, for another key: run `dure join` "
        "with the folder (--node) where it was begun, or ask the organiser for a new token");
  }
  if (request.spec_digest() != ToString(federation_->spec_digest)) {
    return absl::FailedPreconditionError(
        "the terms that were approved are not this federation's: run `dure join` again");
  }
  SigningRequest wanted{.ca_fingerprint = CertificateFingerprint(federation_->ca_certificate),
                        .role = RoleOf(invitation.role),
                        .name = invitation.name,
                        .organisation = invitation.organisation,
                        .certificate_request = request.certificate_request(),
                        .key = key,
                        .invitation = ToHex(secret_hash),
                        .asked = now};
  if (std::optional<std::string> der = FindSigned(folder, key, federation_->ca_certificate, now)) {
    DURE_ASSIGN_OR_RETURN(const Certificate certificate,
                          VerifyCertificateAtAnyTime(*der, federation_->ca_certificate));
    if (Answers(certificate, wanted)) {
      DURE_ASSIGN_OR_RETURN(EnrolReply reply, Admit(invitation, key, *std::move(der), now, asked));
      if (waiting) RemoveWaiting(*waiting);
      return reply;
    }
    LogWarning(absl::StrCat("the certificate that was signed for the key of ", invitation.name,
                            " says something else than its invitation, and is not used"));
  }
  if (!waiting) {
    DURE_ASSIGN_OR_RETURN(const std::string path, AddWaiting(folder, wanted));
    LogInfo(absl::StrCat(invitation.name, " asks to join, and waits for a signature: ", path,
                         "; see dure sign --help"));
  }
  EnrolReply reply;
  reply.set_awaits_signature(true);
  return reply;
}

absl::StatusOr<EnrolReply> Registrar::Admit(const InvitationRecord& invitation,
                                            const PublicKey& key, std::string certificate,
                                            absl::Time now, absl::Time asked) {
  MemberRecord member;
  member.client_id = secagg::MemberIdOf(key);
  member.name = invitation.name;
  member.organisation = invitation.organisation;
  member.role = invitation.role;
  member.certificate = std::move(certificate);
  DURE_RETURN_IF_ERROR(store_->Enrol(invitation.secret_hash, member, now, asked));
  LogInfo(absl::StrCat(member.name, " has joined"), member.name);
  EnrolReply reply;
  reply.set_certificate(member.certificate);
  return reply;
}

absl::StatusOr<RenewReply> Registrar::Renew(const RenewRequest& request, const Certificate& shown,
                                            const MemberRecord& member, absl::Time now) {
  DURE_ASSIGN_OR_RETURN(const PublicKey key,
                        ParseCertificateRequest(request.certificate_request()));
  if (key != shown.key) {
    return absl::InvalidArgumentError(
        "a certificate is renewed for the key that it has: another key needs an invitation");
  }
  RenewReply reply;
  DURE_ASSIGN_OR_RETURN(
      const Certificate stored,
      VerifyCertificateAtAnyTime(member.certificate, federation_->ca_certificate));
  // The answer that brought a newer one may have been lost.
  if (!RenewalDue(stored.validity, now)) {
    reply.set_certificate(member.certificate);
    return reply;
  }
  const MemberSubject subject{
      .role = RoleOf(member.role), .name = member.name, .organisation = member.organisation};
  if (issuer_) {
    DURE_ASSIGN_OR_RETURN(*reply.mutable_certificate(), Sign(subject, key, now));
    DURE_RETURN_IF_ERROR(store_->SaveCertificate(member.client_id, reply.certificate()));
    LogInfo(absl::StrCat("the certificate of ", member.name, " was renewed"));
    return reply;
  }
  const std::string folder = FederationPrivateFolder(federation_->folder);
  const SigningRequest wanted{.ca_fingerprint = CertificateFingerprint(federation_->ca_certificate),
                              .role = subject.role,
                              .name = subject.name,
                              .organisation = subject.organisation,
                              .certificate_request = request.certificate_request(),
                              .key = key,
                              .asked = now};
  std::optional<WaitingRequest> waiting;
  for (WaitingRequest& any : ListWaiting(folder)) {
    if (any.request.key == key) waiting = std::move(any);
  }
  if (std::optional<std::string> der = FindSigned(folder, key, federation_->ca_certificate, now)) {
    DURE_ASSIGN_OR_RETURN(const Certificate newer,
                          VerifyCertificateAtAnyTime(*der, federation_->ca_certificate));
    if (Answers(newer, wanted) && newer.validity.not_after > stored.validity.not_after) {
      DURE_RETURN_IF_ERROR(store_->SaveCertificate(member.client_id, *der));
      if (waiting) RemoveWaiting(*waiting);
      LogInfo(absl::StrCat("the certificate of ", member.name, " was renewed"));
      reply.set_certificate(*std::move(der));
      return reply;
    }
  }
  if (!waiting) {
    DURE_ASSIGN_OR_RETURN(const std::string path, AddWaiting(folder, wanted));
    LogInfo(absl::StrCat("the certificate of ", member.name,
                         " ends soon, and its renewal waits for a signature: ", path));
  }
  reply.set_awaits_signature(true);
  return reply;
}

}  // namespace dure
