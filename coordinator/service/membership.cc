#include "coordinator/service/membership.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "crypto/secret_bytes.h"
#include "crypto/x509.h"
#include "transport/token.h"

namespace dure {

std::string HostOf(const std::string& address) { return address.substr(0, address.rfind(':')); }
std::string PortOf(const std::string& address) { return address.substr(address.rfind(':') + 1); }
std::string WithPort(const std::string& address, int port) {
  return PortOf(address) == "0" ? absl::StrCat(HostOf(address), ":", port) : address;
}

absl::StatusOr<InviteReply> Invite(const FederationFolder& federation, Store& store,
                                   const InviteContext& context, const InviteRequest& request,
                                   Random& random) {
  DURE_RETURN_IF_ERROR(CheckMemberName(request.name()));
  absl::Duration valid = absl::Seconds(request.valid_seconds());
  if (valid < kShortestInvitation || valid > kLongestInvitation) {
    return absl::InvalidArgumentError(absl::StrCat(
        "an invitation may hold from ", absl::FormatDuration(kShortestInvitation), " to ",
        absl::FormatDuration(kLongestInvitation), ", not ", absl::FormatDuration(valid)));
  }
  DURE_RETURN_IF_ERROR(CheckOrganisation("the organisation", request.organisation()));
  if (PortOf(context.address) == "0") {
    return absl::FailedPreconditionError(
        "federation.address has port 0, and no coordinator has run that could say which port it "
        "got: "
        "start it first");
  }
  Invitation invitation;
  invitation.set_address(context.address);
  SecretBytes secret(kInvitationSecretBytes);
  random.Fill(secret.mutable_view());
  invitation.set_secret(ToString(secret.view()));
  invitation.set_ca_certificate(federation.ca_certificate);
  InviteReply reply;
  DURE_ASSIGN_OR_RETURN(*reply.mutable_token(), EncodeToken(invitation));
  const absl::Time expires = context.now + valid;
  DURE_RETURN_IF_ERROR(
      store.AddInvitation({.secret_hash = Sha256(secret.view()),
                           .name = request.name(),
                           .organisation = request.organisation(),
                           .role = request.role() == EVALUATOR ? EVALUATOR : MEMBER,
                           .expires = expires},
                          context.now));
  reply.set_expires_unix(absl::ToUnixSeconds(expires));
  return reply;
}

absl::StatusOr<MembersReply> ListMembers(Store& store) {
  DURE_ASSIGN_OR_RETURN(std::vector<MemberRecord> members, store.Members());
  MembersReply reply;
  for (const MemberRecord& record : members) {
    MembersReply::Member* member = reply.add_members();
    member->set_name(record.name);
    member->set_organisation(record.organisation);
    member->set_role(record.role);
    member->set_enrolled_unix(absl::ToUnixSeconds(record.enrolled));
    member->set_last_seen_unix(absl::ToUnixSeconds(record.last_seen));
    member->set_revoked(record.revoked);
    member->set_client_id(ToHex(record.client_id));
  }
  return reply;
}

}  // namespace dure
