#include "transport/token.h"

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "crypto/x509.h"
#include "transport/address.h"
#include "transport/limits.h"
#include "transport/quiet.h"

namespace dure {
namespace {

constexpr std::string_view kAskAgain = ". Copy it again, whole, as `dure invite` printed it";

absl::Status Bad(std::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("the invitation ", absl::string_view(what.data(), what.size()),
                   absl::string_view(kAskAgain.data(), kAskAgain.size())));
}

absl::Status Check(const Invitation& invitation) {
  // The certificate comes last: a text that was cut between two fields lacks it.
  if (invitation.ca_certificate().empty()) return Bad("is cut off: its end is missing");
  if (invitation.secret().size() != kInvitationSecretBytes) {
    return Bad(absl::StrCat("is damaged: its secret has ", invitation.secret().size(),
                            " bytes instead of ", kInvitationSecretBytes));
  }
  if (!ParseAddress(invitation.address()).ok())
    return Bad("is damaged: its address is not HOST:PORT");
  if (!ParseCaCertificate(invitation.ca_certificate()).ok()) {
    return Bad("is damaged: its certificate does not verify");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> EncodeToken(const Invitation& invitation) {
  DURE_RETURN_IF_ERROR(Check(invitation));
  std::string text = absl::StrCat(absl::string_view(kTokenPrefix.data(), kTokenPrefix.size()),
                                  absl::WebSafeBase64Escape(invitation.SerializeAsString()));
  if (text.size() > kMaxTokenBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("an invitation of ", text.size(), " characters, limit ", kMaxTokenBytes));
  }
  return text;
}

absl::StatusOr<Invitation> DecodeToken(std::string_view text) {
  // White space may double the length of a text that mail programs broke into short lines.
  if (text.size() > 2 * kMaxTokenBytes) {
    return Bad(absl::StrCat("has ", text.size(), " characters, limit ", kMaxTokenBytes));
  }
  std::string token;
  for (char c : text) {
    if (!absl::ascii_isspace(static_cast<unsigned char>(c))) token.push_back(c);
  }
  if (token.empty()) return Bad("is empty");
  if (token.size() > kMaxTokenBytes) {
    return Bad(absl::StrCat("has ", token.size(), " characters, limit ", kMaxTokenBytes));
  }
  if (!token.starts_with(kTokenPrefix)) {
    bool newer = token.starts_with("dure") && token.find(':') < kTokenPrefix.size() + 2;
    return newer ? absl::InvalidArgumentError(
                       "the invitation was made by another version of dure: this one reads those "
                       "that begin with \"dure1:\"")
                 : Bad("does not begin with \"dure1:\"");
  }
  std::string bytes;
  if (!absl::WebSafeBase64Unescape(token.substr(kTokenPrefix.size()), &bytes)) {
    return Bad("is cut off, or has characters that do not belong there");
  }
  QuietLibraries();
  Invitation invitation;
  if (!invitation.ParseFromString(bytes)) return Bad("is cut off or damaged");
  DURE_RETURN_IF_ERROR(Check(invitation));
  return invitation;
}

}  // namespace dure
