#include "coordinator/service/signing_request.h"

#include <algorithm>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/printable.h"
#include "base/status_macros.h"
#include "crypto/digest.h"
#include "nlohmann/json.hpp"

namespace dure {
namespace {

using nlohmann::json;

constexpr char kKind[] = "certificate request 1";
// Characters of a fingerprint: 32 pairs and the colons between.
constexpr size_t kFingerprintChars = 95;
constexpr size_t kDigestChars = 64;
constexpr size_t kFileKeyChars = 16;

absl::Status NoRequest(std::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("this is no certificate request of dure: ",
                                                 absl::string_view(why.data(), why.size())));
}

std::optional<CertificateRole> RoleFrom(const std::string& name) {
  for (CertificateRole role :
       {CertificateRole::kCoordinator, CertificateRole::kMember, CertificateRole::kEvaluator}) {
    if (RoleName(role) == name) return role;
  }
  return std::nullopt;
}

absl::StatusOr<std::string> Text(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) {
    return NoRequest(absl::StrCat("\"", key, "\" is missing or no text"));
  }
  return found->get<std::string>();
}

bool IsHex(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isdigit(static_cast<unsigned char>(c)) || (c >= 'a' && c <= 'f');
  });
}

bool IsFingerprint(const std::string& text) {
  return text.size() == kFingerprintChars && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isdigit(static_cast<unsigned char>(c)) || (c >= 'A' && c <= 'F') ||
                  c == ':';
         });
}

absl::Status CheckSubject(const SigningRequest& request) {
  if (request.role == CertificateRole::kCoordinator) {
    if (request.name == RoleName(request.role) && request.organisation.empty()) {
      return absl::OkStatus();
    }
    return NoRequest("a coordinator has no other name and no organisation");
  }
  DURE_RETURN_IF_ERROR(CheckMemberName(request.name));
  return CheckOrganisation("the organisation", request.organisation);
}

}  // namespace

std::string EncodeSigningRequest(const SigningRequest& request) {
  const std::string_view role = RoleName(request.role);
  const json object = {
      {"dure", kKind},
      {"ca", request.ca_fingerprint},
      {"role", std::string(role)},
      {"name", request.name},
      {"organisation", request.organisation},
      {"request", absl::Base64Escape(request.certificate_request)},
      {"invitation", request.invitation},
      {"asked_unix", absl::ToUnixSeconds(request.asked)},
  };
  return object.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

absl::StatusOr<SigningRequest> DecodeSigningRequest(std::string_view text) {
  if (text.size() > kMaxSigningRequestBytes) {
    return NoRequest(
        absl::StrCat("it has ", text.size(), " bytes, limit ", kMaxSigningRequestBytes));
  }
  const json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return NoRequest("not a JSON object");
  DURE_ASSIGN_OR_RETURN(const std::string kind, Text(object, "dure"));
  if (kind != kKind) return NoRequest("of another kind, or of a newer version of dure");
  SigningRequest request;
  DURE_ASSIGN_OR_RETURN(request.ca_fingerprint, Text(object, "ca"));
  if (!IsFingerprint(request.ca_fingerprint)) return NoRequest("\"ca\" is no fingerprint");
  DURE_ASSIGN_OR_RETURN(const std::string role, Text(object, "role"));
  const std::optional<CertificateRole> known = RoleFrom(role);
  if (!known) return NoRequest("\"role\" is not coordinator, member or evaluator");
  request.role = *known;
  DURE_ASSIGN_OR_RETURN(request.name, Text(object, "name"));
  DURE_ASSIGN_OR_RETURN(request.organisation, Text(object, "organisation"));
  DURE_RETURN_IF_ERROR(CheckSubject(request));
  DURE_ASSIGN_OR_RETURN(const std::string escaped, Text(object, "request"));
  if (!absl::Base64Unescape(escaped, &request.certificate_request)) {
    return NoRequest("\"request\" is not base64");
  }
  DURE_ASSIGN_OR_RETURN(request.key, ParseCertificateRequest(request.certificate_request));
  DURE_ASSIGN_OR_RETURN(request.invitation, Text(object, "invitation"));
  if (!request.invitation.empty() &&
      (request.invitation.size() != kDigestChars || !IsHex(request.invitation))) {
    return NoRequest("\"invitation\" is no SHA-256");
  }
  const auto asked = object.find("asked_unix");
  if (asked == object.end() || !asked->is_number_integer()) {
    return NoRequest("\"asked_unix\" is missing or no whole number");
  }
  request.asked = absl::FromUnixSeconds(asked->get<int64_t>());
  return request;
}

std::string SigningFileName(CertificateRole role, const std::string& name, const PublicKey& key) {
  const std::string_view role_name = RoleName(role);
  const std::string who = role == CertificateRole::kCoordinator
                              ? std::string(role_name)
                              : absl::StrCat(std::string(role_name), "-", name);
  return absl::StrCat(who, "-", ToHex(key).substr(0, kFileKeyChars));
}

std::string KeyFingerprint(const PublicKey& key) {
  return CertificateFingerprint({reinterpret_cast<const char*>(key.data()), key.size()});
}

absl::StatusOr<std::string> SignRequest(const CertificateIssuer& issuer,
                                        const SigningRequest& request, const Validity& validity,
                                        Random& random) {
  if (request.ca_fingerprint != CertificateFingerprint(issuer.ca_der())) {
    return absl::PermissionDeniedError(absl::StrCat("the request of ", Printable(request.name),
                                                    " is for another CA, ", request.ca_fingerprint,
                                                    ": sign it where that one is"));
  }
  if (request.role == CertificateRole::kCoordinator) {
    return issuer.IssueCoordinator(request.key, validity, random);
  }
  return issuer.IssueMember(
      {.role = request.role, .name = request.name, .organisation = request.organisation},
      request.key, validity, random);
}

bool Answers(const Certificate& certificate, const SigningRequest& request) {
  return certificate.key == request.key && certificate.role == request.role &&
         certificate.name == request.name && certificate.organisation == request.organisation;
}

}  // namespace dure
