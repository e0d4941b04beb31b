#include "client/service/node.h"

#include <cstdint>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "client/service/ledger_file.h"
#include "crypto/pem_files.h"
#include "federation/spec.h"
#include "nlohmann/json.hpp"

namespace dure {
namespace {

using nlohmann::json;

// More than a certificate and membership.json need.
constexpr size_t kReservedBytes = size_t{64} << 10;

std::string MembershipPath(const std::string& folder) { return folder + "/membership.json"; }
std::string ReservedPath(const std::string& folder) { return folder + "/reserved"; }

// Whether the ledger of somebody who took part is there.
bool HasSpent(const std::string& folder) {
  std::error_code missing;
  const uintmax_t bytes = std::filesystem::file_size(LedgerPath(folder), missing);
  return !missing && bytes > 0;
}

absl::StatusOr<json> ReadJson(const std::string& path) {
  DURE_ASSIGN_OR_RETURN(std::string text, ReadFile(path, kMaxNodeFileBytes));
  json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) {
    return absl::DataLossError(absl::StrCat(path, " is damaged: not a JSON object"));
  }
  return object;
}

absl::Status WriteJson(const std::string& path, const json& object) {
  // What is not UTF-8 would be written as something else.
  std::string text = object.dump(2, ' ', false, json::error_handler_t::replace);
  if (json::parse(text, nullptr, false) != object) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot write ", path, ": a path or a name in it is not UTF-8"));
  }
  return WriteFileAtomic(path, text + "\n", 0600);
}

absl::Status Lacks(const std::string& path, const char* key) {
  return absl::DataLossError(absl::StrCat(path, " is damaged: \"", key, "\" is missing or wrong"));
}

absl::StatusOr<std::string> Text(const json& object, const std::string& path, const char* key) {
  auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return Lacks(path, key);
  return found->get<std::string>();
}

absl::StatusOr<double> Number(const json& object, const std::string& path, const char* key) {
  auto found = object.find(key);
  if (found == object.end() || !found->is_number()) return Lacks(path, key);
  return found->get<double>();
}

absl::StatusOr<Policy> ReadPolicy(const std::string& folder) {
  std::string path = folder + "/policy.json";
  DURE_ASSIGN_OR_RETURN(json object, ReadJson(path));
  Policy policy;
  DURE_ASSIGN_OR_RETURN(policy.max_epsilon, Number(object, path, "max_epsilon"));
  DURE_ASSIGN_OR_RETURN(policy.min_noise_multiplier, Number(object, path, "min_noise_multiplier"));
  DURE_ASSIGN_OR_RETURN(double min_sum, Number(object, path, "min_sum"));
  if (!(min_sum >= 0 && min_sum <= UINT32_MAX)) return Lacks(path, "min_sum");
  policy.min_sum = static_cast<uint32_t>(min_sum);
  return policy;
}

}  // namespace

bool IsNode(const std::string& folder) { return FileExists(MembershipPath(folder)); }

absl::Status WriteDataFolder(const std::string& node_folder, const std::string& data_folder) {
  return WriteJson(node_folder + "/data.json", {{"path", data_folder}});
}

absl::Status WritePolicy(const std::string& node_folder, const Policy& policy) {
  return WriteJson(node_folder + "/policy.json",
                   {{"max_epsilon", policy.max_epsilon},
                    {"min_noise_multiplier", policy.min_noise_multiplier},
                    {"min_sum", policy.min_sum}});
}

absl::Status PrepareNode(const Node& node) {
  const std::string& folder = node.folder;
  if (IsNode(folder)) {
    return absl::FailedPreconditionError(
        absl::StrCat(folder, " is a member's folder already: choose another with --node"));
  }
  if (HasSpent(folder)) {
    return absl::FailedPreconditionError(
        absl::StrCat(LedgerPath(folder),
                     " is the ledger of a member whose membership.json is gone: restore "
                     "that, or choose another folder with --node"));
  }
  DURE_RETURN_IF_ERROR(MakeFolder(PrivateFolder(folder), 0700));
  DURE_RETURN_IF_ERROR(WriteKeyFile(MemberKeyPath(folder), node.key));
  DURE_RETURN_IF_ERROR(WriteCertificateFile(folder + "/ca.pem", node.ca_certificate));
  DURE_RETURN_IF_ERROR(
      WriteCertificateFile(folder + "/coordinator.pem", node.coordinator_certificate));
  DURE_RETURN_IF_ERROR(WriteFileAtomic(folder + "/federation.toml", FederationToToml(node.spec)));
  DURE_RETURN_IF_ERROR(WritePolicy(folder, node.policy));
  DURE_RETURN_IF_ERROR(LedgerFile::Create(LedgerPath(folder)));
  return WriteFileAtomic(ReservedPath(folder), std::string(kReservedBytes, '\0'), 0600);
}

absl::Status FinishNode(const Node& node) {
  const std::string& folder = node.folder;
  std::error_code ignored;
  std::filesystem::remove(ReservedPath(folder), ignored);
  DURE_RETURN_IF_ERROR(WriteCertificateFile(folder + "/member.pem", node.certificate));
  const Membership& membership = node.membership;
  return WriteJson(MembershipPath(folder),
                   {{"address", membership.address},
                    {"name", membership.name},
                    {"organisation", membership.organisation},
                    {"role", membership.role == EVALUATOR ? "evaluator" : "member"}});
}

void ForgetPreparedNode(const std::string& folder) {
  if (IsNode(folder) || HasSpent(folder)) return;
  std::error_code ignored;
  for (const std::string& path :
       {ReservedPath(folder), LedgerPath(folder), folder + "/ca.pem", folder + "/coordinator.pem",
        folder + "/member.pem", folder + "/federation.toml", folder + "/policy.json",
        MemberKeyPath(folder), PrivateFolder(folder), folder}) {
    std::filesystem::remove(path, ignored);  // a folder only if it is empty
  }
}

absl::StatusOr<Node> ReadNode(const std::string& folder) {
  if (FileIsMissing(MembershipPath(folder))) {
    return absl::NotFoundError(absl::StrCat(
        folder, " is not a member's folder: join a federation first, with `dure join TOKEN --node ",
        folder, "`"));
  }
  std::string path = MembershipPath(folder);
  DURE_ASSIGN_OR_RETURN(json object, ReadJson(path));
  Membership membership;
  DURE_ASSIGN_OR_RETURN(membership.address, Text(object, path, "address"));
  DURE_ASSIGN_OR_RETURN(membership.name, Text(object, path, "name"));
  DURE_ASSIGN_OR_RETURN(membership.organisation, Text(object, path, "organisation"));
  DURE_ASSIGN_OR_RETURN(std::string role, Text(object, path, "role"));
  if (role != "member" && role != "evaluator") return Lacks(path, "role");
  membership.role = role == "evaluator" ? EVALUATOR : MEMBER;

  DURE_ASSIGN_OR_RETURN(SigningKey key, ReadKeyFile(MemberKeyPath(folder)));
  Node node{.folder = folder, .membership = std::move(membership), .key = std::move(key)};
  std::string toml_path = folder + "/federation.toml";
  DURE_ASSIGN_OR_RETURN(std::string toml, ReadFile(toml_path, kMaxFederationFileBytes));
  DURE_ASSIGN_OR_RETURN(node.spec, ParseFederation(toml, toml_path));
  node.spec_digest = SpecDigest(node.spec);
  DURE_ASSIGN_OR_RETURN(node.ca_certificate, ReadCertificateFile(folder + "/ca.pem"));
  DURE_ASSIGN_OR_RETURN(node.coordinator_certificate,
                        ReadCertificateFile(folder + "/coordinator.pem"));
  DURE_ASSIGN_OR_RETURN(node.certificate, ReadCertificateFile(folder + "/member.pem"));
  DURE_ASSIGN_OR_RETURN(node.policy, ReadPolicy(folder));
  std::string data_path = folder + "/data.json";
  if (FileExists(data_path)) {
    DURE_ASSIGN_OR_RETURN(json data, ReadJson(data_path));
    DURE_ASSIGN_OR_RETURN(node.data_folder, Text(data, data_path, "path"));
  }
  return node;
}

}  // namespace dure
