#include "client/service/joining.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "crypto/pem_files.h"
#include "federation/spec.h"
#include "nlohmann/json.hpp"

namespace dure {
namespace {

using nlohmann::json;

std::string JoiningPath(const std::string& folder) {
  return PrivateFolder(folder) + "/joining.json";
}

std::optional<std::string> Text(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

}  // namespace

absl::Status WriteJoining(const std::string& node_folder, const Joining& joining) {
  const Membership& membership = joining.membership;
  const json object = {{"token", joining.token},
                       {"address", membership.address},
                       {"name", membership.name},
                       {"organisation", membership.organisation},
                       {"role", membership.role == EVALUATOR ? "evaluator" : "member"}};
  return WriteFileAtomic(JoiningPath(node_folder),
                         object.dump(2, ' ', false, json::error_handler_t::replace) + "\n", 0600);
}

absl::StatusOr<std::optional<Joining>> ReadJoining(const std::string& node_folder) {
  const std::string path = JoiningPath(node_folder);
  if (FileIsMissing(path) || !FileExists(path)) return std::nullopt;
  DURE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxNodeFileBytes));
  const json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  std::optional<std::string> token, address, name, organisation, role;
  if (object.is_object()) {
    token = Text(object, "token");
    address = Text(object, "address");
    name = Text(object, "name");
    organisation = Text(object, "organisation");
    role = Text(object, "role");
  }
  if (!token || !address || !name || !organisation || !role ||
      (*role != "member" && *role != "evaluator")) {
    return absl::DataLossError(absl::StrCat(
        path, " is damaged: ask the organiser for a new token, and join in another folder"));
  }
  return Joining{.token = *token,
                 .membership = {.address = *address,
                                .name = *name,
                                .organisation = *organisation,
                                .role = *role == "evaluator" ? EVALUATOR : MEMBER}};
}

void ForgetJoining(const std::string& node_folder) {
  std::error_code ignored;
  std::filesystem::remove(JoiningPath(node_folder), ignored);
}

absl::StatusOr<Node> ReadPreparedNode(const std::string& folder, const Joining& joining) {
  DURE_ASSIGN_OR_RETURN(SigningKey key, ReadKeyFile(MemberKeyPath(folder)));
  Node node{.folder = folder, .membership = joining.membership, .key = std::move(key)};
  const std::string terms = folder + "/federation.toml";
  DURE_ASSIGN_OR_RETURN(const std::string toml, ReadFile(terms, kMaxFederationFileBytes));
  DURE_ASSIGN_OR_RETURN(node.spec, ParseFederation(toml, terms));
  node.spec_digest = SpecDigest(node.spec);
  DURE_ASSIGN_OR_RETURN(node.ca_certificate, ReadCertificateFile(CaPath(folder)));
  DURE_ASSIGN_OR_RETURN(node.coordinator_certificate,
                        ReadCertificateFile(folder + "/coordinator.pem"));
  return node;
}

}  // namespace dure
