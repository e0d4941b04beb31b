#include "coordinator/service/backup.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "base/version.h"
#include "coordinator/service/database_copy.h"
#include "coordinator/service/federation_folder.h"
#include "coordinator/service/run_check.h"
#include "coordinator/service/sql.h"
#include "coordinator/service/state_files.h"
#include "coordinator/service/tar_file.h"
#include "federation/attachments.h"
#include "nlohmann/json.hpp"

namespace dure {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::ordered_json;

constexpr char kSummaryName[] = "dure-backup.json";
constexpr int kVersionOfBackup = 1;
constexpr size_t kMaxSummaryBytes = 64 * 1024;
constexpr uint64_t kMaxFiles = 100'000;
// While a coordinator writes, a model may go between the look at the database and that at the file.
constexpr int kLooks = 10;

struct Part {
  std::string name;  // in the archive
  std::string path;
  mode_t mode = 0600;
  FileDescriptor file;
};

absl::StatusOr<Part> OpenPart(std::string name, std::string path, mode_t mode) {
  FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file.valid()) return ErrnoStatus(errno, absl::StrCat("cannot open ", path));
  return Part{std::move(name), std::move(path), mode, std::move(file)};
}

// What does not change while a coordinator runs, but for certificates.
absl::Status AddFixedParts(const BackupOptions& options, const FederationSpec& spec,
                           std::vector<Part>* parts) {
  const auto add = [&](const std::string& name, mode_t mode) -> absl::Status {
    DURE_ASSIGN_OR_RETURN(Part part, OpenPart(name, absl::StrCat(options.folder, "/", name), mode));
    parts->push_back(std::move(part));
    return absl::OkStatus();
  };
  DURE_RETURN_IF_ERROR(add("federation.toml", 0644));
  std::set<std::string> named;
  for (const Attachment& attachment : AttachmentsOf(spec)) {
    if (named.insert(attachment.file).second) DURE_RETURN_IF_ERROR(add(attachment.file, 0644));
  }
  DURE_RETURN_IF_ERROR(add("model/initial.safetensors", 0644));
  std::error_code error;
  for (const auto& entry :
       fs::recursive_directory_iterator(FederationPrivateFolder(options.folder), error)) {
    if (entry.is_symlink(error) || !entry.is_regular_file(error)) continue;  // the socket
    const std::string name = absl::StrCat(
        "private/",
        fs::relative(entry.path(), FederationPrivateFolder(options.folder), error).string());
    if (absl::StrContains(name, ".new-")) continue;  // being written
    if (!options.with_keys && absl::EndsWith(name, ".key")) continue;
    DURE_RETURN_IF_ERROR(add(name, 0600));
  }
  if (error) {
    return ErrnoStatus(error.value(),
                       absl::StrCat("cannot read ", FederationPrivateFolder(options.folder)));
  }
  return absl::OkStatus();
}

using Database = std::unique_ptr<sqlite3, decltype(&sqlite3_close)>;

absl::StatusOr<int64_t> NumberFrom(sqlite3* database, const char* sql) {
  Statement statement(database, sql);
  DURE_RETURN_IF_ERROR(statement.Step().status());
  return statement.Int(0);
}

// The files that the copy of the database names, open: from here on none can go. NotFound if one
// has gone meanwhile.
absl::Status OpenModels(const std::string& folder, const RunFiles& files,
                        std::vector<Part>* models) {
  std::set<std::string> names = files.needed;
  for (const std::string& name : ModelFiles(folder)) {
    if (files.known.contains(name)) names.insert(name);
  }
  for (const std::string& name : names) {
    absl::StatusOr<Part> part =
        OpenPart(absl::StrCat("state/models/", name), absl::StrCat(folder, "/models/", name), 0600);
    if (absl::IsNotFound(part.status()) && !files.needed.contains(name)) continue;
    DURE_RETURN_IF_ERROR(part.status());
    models->push_back(*std::move(part));
  }
  return absl::OkStatus();
}

// The database and its models; nothing before a coordinator has run. `copy` holds the first.
absl::Status AddState(const std::string& folder, std::optional<DatabaseCopy>* copy,
                      BackupSummary* summary, std::vector<Part>* parts) {
  for (int look = 1;; ++look) {
    absl::StatusOr<DatabaseCopy> taken = DatabaseCopy::Take(folder);
    if (absl::IsNotFound(taken.status())) return absl::OkStatus();
    DURE_RETURN_IF_ERROR(taken.status());
    copy->emplace(*std::move(taken));
    sqlite3* opened = nullptr;
    const int code =
        sqlite3_open_v2((*copy)->path().c_str(), &opened, SQLITE_OPEN_READONLY, nullptr);
    const Database database(opened, sqlite3_close);
    if (code != SQLITE_OK) return SqlStatus(opened, "the database cannot be opened");
    DURE_RETURN_IF_ERROR(CheckEveryPage(opened).status());
    DURE_ASSIGN_OR_RETURN(const RunFiles files, FilesOfRounds(opened));
    DURE_ASSIGN_OR_RETURN(const int64_t round,
                          NumberFrom(opened, "SELECT coalesce(max(round), 0) FROM rounds"));
    DURE_ASSIGN_OR_RETURN(const int64_t attempts,
                          NumberFrom(opened, "SELECT coalesce(max(attempt), 0) FROM attempts"));
    std::vector<Part> models;
    const absl::Status status = OpenModels(folder, files, &models);
    if (absl::IsNotFound(status) && (*copy)->running() && look < kLooks) continue;
    DURE_RETURN_IF_ERROR(status);
    summary->round = static_cast<uint32_t>(round);
    summary->attempts = static_cast<uint32_t>(attempts);
    DURE_ASSIGN_OR_RETURN(Part part, OpenPart("state/coordinator.db", (*copy)->path(), 0600));
    parts->push_back(std::move(part));
    for (Part& model : models) parts->push_back(std::move(model));
    return absl::OkStatus();
  }
}

std::string SummaryToJson(const BackupSummary& summary) {
  return json({{"dure_backup", kVersionOfBackup},
               {"dure", kVersion},
               {"federation", summary.federation},
               {"taken_unix", absl::ToUnixSeconds(summary.taken)},
               {"round", summary.round},
               {"attempts", summary.attempts},
               {"files", summary.files},
               {"keys", summary.with_keys}})
             .dump(2, ' ', false, json::error_handler_t::replace) +
         "\n";
}

template <typename T>
bool Read(const json& object, const char* key, T* value) {
  const auto found = object.find(key);
  if (found == object.end()) return false;
  if constexpr (std::is_same_v<T, bool>) {
    if (!found->is_boolean()) return false;
  } else if constexpr (std::is_same_v<T, std::string>) {
    if (!found->is_string()) return false;
  } else {
    if (!found->is_number_integer()) return false;
  }
  *value = found->template get<T>();
  return true;
}

absl::StatusOr<BackupSummary> SummaryFromJson(const std::string& text, const std::string& file) {
  const json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  BackupSummary summary;
  int version = 0;
  int64_t taken = 0;
  if (!object.is_object() || !Read(object, "dure_backup", &version)) {
    return absl::DataLossError(absl::StrCat(file, " is no backup of a federation"));
  }
  if (version != kVersionOfBackup) {
    return absl::FailedPreconditionError(absl::StrCat(file, " was written by a newer dure (backup ",
                                                      version, ", this one knows ",
                                                      kVersionOfBackup, "): upgrade dure"));
  }
  if (!Read(object, "federation", &summary.federation) || !Read(object, "round", &summary.round) ||
      !Read(object, "attempts", &summary.attempts) || !Read(object, "files", &summary.files) ||
      !Read(object, "keys", &summary.with_keys) || !Read(object, "taken_unix", &taken)) {
    return absl::DataLossError(absl::StrCat(file, ": ", kSummaryName, " cannot be read"));
  }
  summary.taken = absl::FromUnixSeconds(taken);
  return summary;
}

absl::StatusOr<BackupSummary> ReadSummary(TarReader& archive, const std::string& file) {
  DURE_ASSIGN_OR_RETURN(const std::optional<TarEntry> first, archive.Next());
  if (!first || first->name != kSummaryName || first->size > kMaxSummaryBytes) {
    return absl::DataLossError(absl::StrCat(file, " is no backup of a federation"));
  }
  std::string text;
  DURE_RETURN_IF_ERROR(archive.Read([&](std::string_view piece) {
    text.append(piece);
    return absl::OkStatus();
  }));
  return SummaryFromJson(text, file);
}

absl::Status MakeFolders(const std::string& folder) {
  for (const auto& [name, mode] : {std::pair{"", 0755},
                                   {"/model", 0755},
                                   {"/private", 0700},
                                   {"/state", 0700},
                                   {"/state/models", 0700}}) {
    DURE_RETURN_IF_ERROR(MakeFolder(folder + name, static_cast<mode_t>(mode)));
  }
  return absl::OkStatus();
}

absl::Status Unpack(TarReader& archive, const BackupSummary& summary, const std::string& folder,
                    const std::string& file) {
  DURE_RETURN_IF_ERROR(MakeFolders(folder));
  uint64_t files = 0;
  for (;; ++files) {
    DURE_ASSIGN_OR_RETURN(const std::optional<TarEntry> entry, archive.Next());
    if (!entry) break;
    const std::string path = absl::StrCat(folder, "/", entry->name);
    if (files >= kMaxFiles || FileExists(path)) {
      return absl::DataLossError(absl::StrCat(file, " has ", entry->name, " twice, or too much"));
    }
    DURE_RETURN_IF_ERROR(MakeFolder(fs::path(path).parent_path().string(), 0700));
    const bool secret =
        absl::StartsWith(entry->name, "private/") || absl::StartsWith(entry->name, "state/");
    DURE_ASSIGN_OR_RETURN(AtomicFile out, AtomicFile::Create(path, secret ? 0600 : 0644));
    DURE_RETURN_IF_ERROR(archive.Read([&](std::string_view piece) { return out.Add(piece); }));
    DURE_RETURN_IF_ERROR(out.Commit());
  }
  if (files == summary.files) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(file, " has ", files, " files instead of ", summary.files,
                                          ": take another backup"));
}

// The first thing that is wrong with what was unpacked.
absl::Status FirstFailure(const FolderReport& report, const BackupSummary& summary,
                          const std::string& file) {
  for (const FolderFinding& finding : report.findings) {
    if (finding.result != FolderFinding::Result::kFail) continue;
    if (finding.check == "keys" && !summary.with_keys) continue;
    return absl::DataLossError(
        absl::StrCat(file, " was not restored; ", finding.check, ": ", finding.detail));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<BackupSummary> WriteBackup(const BackupOptions& options) {
  if (!FileIsMissing(options.file)) {
    return absl::AlreadyExistsError(
        absl::StrCat(options.file, " is there already: choose another name, or remove it"));
  }
  DURE_RETURN_IF_ERROR(ExpectFederation(options.folder));
  DURE_ASSIGN_OR_RETURN(const FederationSpec spec,
                        ReadFederationFile(FederationFilePath(options.folder)));
  BackupSummary summary{
      .federation = spec.federation().name(), .with_keys = options.with_keys, .taken = options.now};
  std::vector<Part> parts;
  DURE_RETURN_IF_ERROR(AddFixedParts(options, spec, &parts));
  std::optional<DatabaseCopy> copy;
  DURE_RETURN_IF_ERROR(AddState(options.folder + "/state", &copy, &summary, &parts));
  summary.files = parts.size();
  DURE_ASSIGN_OR_RETURN(TarWriter archive, TarWriter::Create(options.file));
  DURE_RETURN_IF_ERROR(archive.AddText(kSummaryName, 0600, SummaryToJson(summary)));
  for (const Part& part : parts) {
    DURE_RETURN_IF_ERROR(archive.AddFile(part.name, part.mode, part.file, part.path));
  }
  DURE_RETURN_IF_ERROR(archive.Finish());
  return summary;
}

absl::StatusOr<Restored> RestoreBackup(const std::string& file, const std::string& folder,
                                       absl::Time now) {
  if (!FileIsMissing(folder)) {
    return absl::AlreadyExistsError(
        absl::StrCat(folder, " is there already: name a folder that is not"));
  }
  DURE_ASSIGN_OR_RETURN(TarReader archive, TarReader::Open(file));
  Restored restored;
  DURE_ASSIGN_OR_RETURN(restored.summary, ReadSummary(archive, file));
  std::string made = fs::path(folder).lexically_normal().string();
  while (made.size() > 1 && made.back() == '/') made.pop_back();
  const std::string wanted = made;
  made += ".restoring-XXXXXX";
  if (mkdtemp(made.data()) == nullptr) {
    return ErrnoStatus(errno, absl::StrCat("cannot make a folder beside ", folder));
  }
  absl::Status status = Unpack(archive, restored.summary, made, file);
  if (status.ok()) {
    restored.report = CheckFederationFolder(made, now);
    status = FirstFailure(restored.report, restored.summary, file);
  }
  if (status.ok() && chmod(made.c_str(), 0755) != 0) {
    status = ErrnoStatus(errno, absl::StrCat("cannot change ", made));
  }
  if (status.ok() && (!FileIsMissing(wanted) || std::rename(made.c_str(), wanted.c_str()) != 0)) {
    status = ErrnoStatus(errno == 0 ? EEXIST : errno, absl::StrCat("cannot make ", wanted));
  }
  if (status.ok()) return restored;
  std::error_code ignored;
  fs::remove_all(made, ignored);
  return status;
}

}  // namespace dure
