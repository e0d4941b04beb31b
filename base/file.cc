#include "base/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace dure {
namespace {

absl::Status WriteAll(int fd, std::string_view data, const std::string& path) {
  while (!data.empty()) {
    ssize_t written = write(fd, data.data(), data.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoStatus(errno, absl::StrCat("cannot write ", path));
    data.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status SyncFolderOf(const std::string& path) {
  std::string folder = std::filesystem::path(path).parent_path().string();
  if (folder.empty()) folder = ".";
  FileDescriptor fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || fsync(fd.get()) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot sync the folder ", folder));
  }
  return absl::OkStatus();
}

}  // namespace

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    Close();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void FileDescriptor::Close() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

absl::Status ErrnoStatus(int error_number, std::string_view text) {
  std::string message =
      absl::StrCat(absl::string_view(text.data(), text.size()), ": ", std::strerror(error_number));
  switch (error_number) {
    case ENOENT:
      return absl::NotFoundError(message);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(message);
    case ENOSPC:
    case EDQUOT:
      return absl::ResourceExhaustedError(
          absl::StrCat(message, "; make room there, then run the same command again"));
    case EFBIG:
      return absl::ResourceExhaustedError(
          absl::StrCat(message, "; raise the limit (ulimit -f), then run the same command again"));
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return absl::ResourceExhaustedError(message);
    case EEXIST:
      return absl::AlreadyExistsError(message);
    default:
      return absl::UnknownError(message);
  }
}

absl::StatusOr<std::string> ReadFile(const std::string& path, uint64_t max_bytes) {
  FileDescriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("cannot open ", path));
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, absl::StrCat("cannot read ", path));
  if (S_ISDIR(info.st_mode)) return ErrnoStatus(EISDIR, absl::StrCat("cannot read ", path));
  const auto too_large = [&] {
    return absl::ResourceExhaustedError(
        absl::StrCat(path, " is larger than its limit of ", max_bytes, " bytes"));
  };
  if (S_ISREG(info.st_mode) && static_cast<uint64_t>(info.st_size) > max_bytes) return too_large();
  std::string contents;
  contents.reserve(std::min(static_cast<uint64_t>(info.st_size), max_bytes));
  char buffer[1 << 16];
  for (;;) {
    ssize_t got = read(fd.get(), buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, absl::StrCat("cannot read ", path));
    if (got == 0) return contents;
    if (contents.size() + static_cast<size_t>(got) > max_bytes) return too_large();
    contents.append(buffer, static_cast<size_t>(got));
  }
}

AtomicFile::AtomicFile(std::string path, std::string temporary, FileDescriptor fd)
    : path_(std::move(path)), temporary_(std::move(temporary)), fd_(std::move(fd)) {}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, "")),
      fd_(std::move(other.fd_)) {}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

absl::StatusOr<AtomicFile> AtomicFile::Create(const std::string& path, mode_t mode) {
  std::string temporary = absl::StrCat(path, ".new-", getpid());
  FileDescriptor fd(
      open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("cannot create ", temporary));
  return AtomicFile(path, std::move(temporary), std::move(fd));
}

absl::Status AtomicFile::Add(std::string_view contents) {
  return WriteAll(fd_.get(), contents, temporary_);
}

absl::Status AtomicFile::Commit() {
  if (fsync(fd_.get()) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot sync ", temporary_));
  }
  if (rename(temporary_.c_str(), path_.c_str()) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot rename ", temporary_, " to ", path_));
  }
  temporary_.clear();
  return SyncFolderOf(path_);
}

absl::Status WriteFileAtomic(const std::string& path, std::string_view contents, mode_t mode) {
  DURE_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path, mode));
  DURE_RETURN_IF_ERROR(file.Add(contents));
  return file.Commit();
}

absl::Status MakeFolder(const std::string& path, mode_t mode) {
  std::error_code unreadable;  // mkdir says why
  std::filesystem::path parent = std::filesystem::path(path).parent_path();
  if (!parent.empty() && !std::filesystem::is_directory(parent, unreadable)) {
    DURE_RETURN_IF_ERROR(MakeFolder(parent.string(), mode));
  }
  if (mkdir(path.c_str(), mode) != 0 && errno != EEXIST) {
    return ErrnoStatus(errno, absl::StrCat("cannot make the folder ", path));
  }
  if (!std::filesystem::is_directory(path, unreadable)) {
    return ErrnoStatus(ENOTDIR, absl::StrCat("cannot make the folder ", path));
  }
  return absl::OkStatus();
}

bool FileExists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

bool FileIsMissing(const std::string& path) {
  return access(path.c_str(), F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

absl::StatusOr<FileLock> FileLock::Acquire(const std::string& path) {
  FileDescriptor fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("cannot open the lock ", path));
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, " is locked: another process is using this folder"));
    }
    return ErrnoStatus(errno, absl::StrCat("cannot lock ", path));
  }
  return FileLock(std::move(fd));
}

}  // namespace dure
