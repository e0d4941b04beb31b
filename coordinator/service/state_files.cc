#include "coordinator/service/state_files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "crypto/digest.h"

namespace dure {
namespace {

constexpr uint64_t kMaxModelFileBytes = uint64_t{1} << 36;
constexpr char kUnfinished[] = ".new-";  // in the names of files that are being written

std::string ModelFolder(const std::string& folder) { return folder + "/models"; }

}  // namespace

std::string DatabasePath(const std::string& folder) { return folder + "/coordinator.db"; }
std::string DatabaseLogPath(const std::string& folder) { return DatabasePath(folder) + "-wal"; }
std::string StateLockPath(const std::string& folder) { return folder + "/lock"; }

std::string FederationOf(const std::string& folder) {
  return std::filesystem::path(folder).parent_path().string();
}

absl::Status ExpectDatabase(const std::string& folder) {
  const std::string path = DatabasePath(folder);
  const bool used = !ModelFiles(folder).empty() || FileExists(DatabaseLogPath(folder));
  const bool missing = FileIsMissing(path);
  if (missing && (used || FileExists(StateLockPath(folder)))) {
    return absl::DataLossError(
        absl::StrCat(path, " is missing, and a coordinator has run here", kRestoreState));
  }
  DURE_ASSIGN_OR_RETURN(bool has_contents, HasDatabase(folder));
  if (!missing && used && !has_contents) {
    return absl::DataLossError(
        absl::StrCat(path, " is empty, and a coordinator has run here", kRestoreState));
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> HasDatabase(const std::string& folder) {
  const std::string path = DatabasePath(folder);
  struct stat info;
  if (stat(path.c_str(), &info) == 0) return info.st_size > 0;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  return ErrnoStatus(errno, absl::StrCat("cannot read ", path));
}

absl::Status MakeStateFiles(const std::string& folder) {
  DURE_RETURN_IF_ERROR(MakeFolder(folder, 0700));
  DURE_RETURN_IF_ERROR(MakeFolder(ModelFolder(folder), 0700));
  const std::string path = DatabasePath(folder);
  FileDescriptor fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("cannot write ", path));
  return absl::OkStatus();
}

absl::Status WriteModelFile(const std::string& folder, const std::string& name,
                            const std::string& bytes) {
  return WriteFileAtomic(ModelFolder(folder) + "/" + name, bytes, 0600);
}

absl::StatusOr<std::string> ReadModelFile(const std::string& folder, const std::string& name) {
  const std::string path = ModelFolder(folder) + "/" + name;
  absl::StatusOr<std::string> bytes = ReadFile(path, kMaxModelFileBytes);
  if (absl::IsNotFound(bytes.status())) {
    return absl::DataLossError(
        absl::StrCat(path,
                     " is missing, and the newest round needs it: restore that file, whose "
                     "SHA-256 is its name, from a backup"));
  }
  DURE_RETURN_IF_ERROR(bytes.status());
  if (ToHex(Sha256(AsBytes(*bytes))) != name) {
    return absl::DataLossError(absl::StrCat(
        path, " is damaged: its SHA-256 is not its name; restore that file from a backup"));
  }
  return bytes;
}

std::set<std::string> ModelFiles(const std::string& folder) {
  std::set<std::string> names;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(ModelFolder(folder), ignored)) {
    std::string name = entry.path().filename().string();
    if (!absl::StrContains(name, kUnfinished)) names.insert(std::move(name));
  }
  return names;
}

void KeepModelFiles(const std::string& folder, const std::set<std::string>& kept) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(ModelFolder(folder), ignored)) {
    if (!kept.contains(entry.path().filename().string())) {
      std::filesystem::remove(entry.path(), ignored);
    }
  }
}

}  // namespace dure
