#include "client/service/node.h"

#include <cstdint>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "client/service/data_ledger_file.h"
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

std::string TermsPath(const std::string& folder) { return folder + "/federation.toml"; }
std::string MemberListPath(const std::string& folder, const std::string& digest) {
  return absl::StrCat(folder, "/members-", digest.substr(0, 16), ".list");
}
std::string OfferedPath(const std::string& folder) { return folder + "/offered.toml"; }

absl::StatusOr<DataRegistration> ReadRegistration(const json& data, const std::string& path) {
  DataRegistration registration;
  DURE_ASSIGN_OR_RETURN(std::string identity, Text(data, path, "sha256"));
  if (!ReadLedgerDigest(identity, &registration.identity)) return Lacks(path, "sha256");
  const auto files = data.find("files");
  if (files == data.end() || !files->is_array()) return Lacks(path, "files");
  for (const json& file : *files) {
    const auto bytes = file.find("bytes"), modified = file.find("modified_ns");
    if (!file.is_object() || bytes == file.end() || !bytes->is_number_unsigned() ||
        modified == file.end() || !modified->is_number_integer()) {
      return Lacks(path, "files");
    }
    FileStamp stamp{.bytes = bytes->get<uint64_t>(), .modified_ns = modified->get<int64_t>()};
    DURE_ASSIGN_OR_RETURN(stamp.path, Text(file, path, "path"));
    registration.files.push_back(std::move(stamp));
  }
  return registration;
}

}  // namespace

bool IsNode(const std::string& folder) { return FileExists(MembershipPath(folder)); }

absl::Status WriteDataFolder(const std::string& node_folder, const std::string& data_folder,
                             const std::optional<DataRegistration>& registration) {
  json data = {{"path", data_folder}};
  if (registration) {
    data["sha256"] = ToHex(registration->identity);
    data["files"] = json::array();
    for (const FileStamp& file : registration->files) {
      data["files"].push_back(
          {{"path", file.path}, {"bytes", file.bytes}, {"modified_ns", file.modified_ns}});
    }
  }
  return WriteJson(node_folder + "/data.json", data);
}

absl::Status RegisterData(const std::string& node_folder, const std::string& data_folder,
                          const Dataset& data, const std::string& root) {
  DataRegistration registration;
  DURE_ASSIGN_OR_RETURN(registration.identity, DataIdentityAt(data_folder, data));
  DURE_ASSIGN_OR_RETURN(registration.files, StampsOf(data_folder));
  DURE_RETURN_IF_ERROR(
      DataLedgerFile::Register(root, registration.identity, DataPlace(data_folder)));
  return WriteDataFolder(node_folder, data_folder, registration);
}

absl::StatusOr<Digest> CheckRegistration(const Node& node, const std::string& root) {
  const std::string& folder = *node.data_folder;
  DURE_ASSIGN_OR_RETURN(std::vector<FileStamp> stamps, StampsOf(folder));
  if (node.registration && node.registration->files == stamps) return node.registration->identity;
  Dataset data;
  DURE_ASSIGN_OR_RETURN(const DataFiles files, OpenDataFolder(folder));
  if (files.kind == DataKind::kIdx) {
    DURE_ASSIGN_OR_RETURN(data, ReadDataset(files));
  }
  DURE_ASSIGN_OR_RETURN(const Digest identity, DataIdentityAt(folder, data));
  if (node.registration && node.registration->identity != identity) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the data in ", folder, " has changed since it was registered: `dure data add ", folder,
        " --node ", node.folder, "` registers it as it is now; what was spent on it still counts"));
  }
  DURE_RETURN_IF_ERROR(RegisterData(node.folder, folder, data, root));
  return identity;
}

LimitsFile DefaultLimitsOf(const Node& node) {
  return DefaultLimits(node.spec,
                       {.ca = node.ca_certificate, .coordinator = node.coordinator_certificate},
                       node.origins.approved);
}

absl::StatusOr<LimitsFile> ReadPolicy(const Node& node) {
  DURE_ASSIGN_OR_RETURN(LimitsFile limits,
                        ReadLimits(PolicyPath(node.folder), DefaultLimitsOf(node)));
  if (limits.policy.members.empty()) return limits;
  static constexpr char kRemedy[] =
      ": put it back, or write \"none\" as the value of members in policy.json and set the list "
      "again with `dure policy set members`";
  const std::string path = MemberListPath(node.folder, limits.policy.members);
  absl::StatusOr<std::string> text = ReadFile(path, kMaxMemberListBytes);
  if (absl::IsNotFound(text.status())) {
    return absl::DataLossError(absl::StrCat("the list of members ", path, " is missing", kRemedy));
  }
  DURE_RETURN_IF_ERROR(text.status());
  absl::StatusOr<MemberList> list = DecodeMemberList(*text);
  if (!list.ok() || MemberListDigest(*list) != limits.policy.members) {
    return absl::DataLossError(
        absl::StrCat(path, " is damaged, or not the list that policy.json names", kRemedy));
  }
  limits.policy.member_list = *std::move(list);
  return limits;
}
absl::Status WriteMemberList(const std::string& node_folder, std::optional<MemberList> list,
                             absl::Time now, LimitsFile* limits) {
  const std::string before = limits->policy.members;
  limits->policy.members = list ? MemberListDigest(*list) : "";
  if (list) {
    DURE_RETURN_IF_ERROR(WriteFileAtomic(MemberListPath(node_folder, limits->policy.members),
                                         EncodeMemberList(*list), 0600));
  }
  limits->policy.member_list = std::move(list);
  MarkSetHere("members", now, &limits->origins);
  DURE_RETURN_IF_ERROR(WritePolicy(node_folder, *limits));
  if (!before.empty() && before != limits->policy.members) {
    std::error_code left_behind;  // does no harm
    std::filesystem::remove(MemberListPath(node_folder, before), left_behind);
  }
  return absl::OkStatus();
}

absl::Status WritePolicy(const std::string& node_folder, const LimitsFile& limits) {
  return WriteLimits(PolicyPath(node_folder), limits);
}

absl::Status WriteOfferedTerms(const std::string& node_folder, const FederationSpec& spec) {
  return WriteFileAtomic(OfferedPath(node_folder), FederationToToml(spec), 0600);
}

absl::StatusOr<std::optional<FederationSpec>> ReadOfferedTerms(const std::string& node_folder) {
  const std::string path = OfferedPath(node_folder);
  if (FileIsMissing(path)) return std::nullopt;
  DURE_ASSIGN_OR_RETURN(std::string toml, ReadFile(path, kMaxFederationFileBytes));
  DURE_ASSIGN_OR_RETURN(FederationSpec spec, BlameFile(ParseFederation(toml, path)));
  return spec;
}

absl::Status ApproveTerms(const Node& node, const FederationSpec& spec, const LimitsFile& limits) {
  DURE_RETURN_IF_ERROR(WritePolicy(node.folder, limits));
  DURE_RETURN_IF_ERROR(WriteFileAtomic(TermsPath(node.folder), FederationToToml(spec)));
  return ForgetOfferedTerms(node.folder);
}

absl::Status ForgetOfferedTerms(const std::string& node_folder) {
  std::error_code error;
  std::filesystem::remove(OfferedPath(node_folder), error);
  if (!error) return absl::OkStatus();
  return ErrnoStatus(error.value(), absl::StrCat("cannot remove ", OfferedPath(node_folder)));
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
  DURE_RETURN_IF_ERROR(WriteFileAtomic(TermsPath(folder), FederationToToml(node.spec)));
  LimitsFile limits = DefaultLimitsOf(node);
  if (!node.origins.of.empty()) limits = {.policy = node.policy, .origins = node.origins};
  DURE_RETURN_IF_ERROR(WritePolicy(folder, limits));
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
  std::filesystem::remove_all(folder + "/files", ignored);
  for (const std::string& path :
       {ReservedPath(folder), LedgerPath(folder), folder + "/ca.pem", folder + "/coordinator.pem",
        folder + "/member.pem", TermsPath(folder), PolicyPath(folder),
        LedgerPath(folder) + ".count", MemberKeyPath(folder), PrivateFolder(folder), folder}) {
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
  std::string toml_path = TermsPath(folder);
  DURE_ASSIGN_OR_RETURN(std::string toml, ReadFile(toml_path, kMaxFederationFileBytes));
  DURE_ASSIGN_OR_RETURN(node.spec, ParseFederation(toml, toml_path));
  node.spec_digest = SpecDigest(node.spec);
  DURE_ASSIGN_OR_RETURN(node.ca_certificate, ReadCertificateFile(folder + "/ca.pem"));
  DURE_ASSIGN_OR_RETURN(node.coordinator_certificate,
                        ReadCertificateFile(folder + "/coordinator.pem"));
  DURE_ASSIGN_OR_RETURN(node.certificate, ReadCertificateFile(folder + "/member.pem"));
  DURE_ASSIGN_OR_RETURN(LimitsFile limits, ReadPolicy(node));
  node.policy = std::move(limits.policy);
  node.origins = std::move(limits.origins);
  std::string data_path = folder + "/data.json";
  if (FileExists(data_path)) {
    DURE_ASSIGN_OR_RETURN(json data, ReadJson(data_path));
    DURE_ASSIGN_OR_RETURN(node.data_folder, Text(data, data_path, "path"));
    if (data.contains("sha256")) {
      DURE_ASSIGN_OR_RETURN(node.registration, ReadRegistration(data, data_path));
    }
  }
  return node;
}

}  // namespace dure
