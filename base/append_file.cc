#include "base/append_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"

namespace dure {

absl::StatusOr<AppendFile> AppendFile::Create(const std::string& path, mode_t mode) {
  FileDescriptor fd(
      open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("cannot create ", path));
  return AppendFile(path, std::move(fd), 0);
}

absl::StatusOr<AppendFile> AppendFile::Reopen(const std::string& path, uint64_t bytes) {
  FileDescriptor fd(open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  struct stat info;
  if (!fd.valid() || fstat(fd.get(), &info) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot open ", path));
  }
  if (static_cast<uint64_t>(info.st_size) < bytes) {
    return absl::OutOfRangeError(absl::StrCat(path, " holds ", info.st_size, " bytes, and not the ",
                                              bytes, " to go on from"));
  }
  if (ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot cut ", path));
  }
  return AppendFile(path, std::move(fd), bytes);
}

absl::Status AppendFile::Append(std::string_view record) {
  ssize_t written;
  do {
    written = write(fd_.get(), record.data(), record.size());
  } while (written < 0 && errno == EINTR);
  if (written == static_cast<ssize_t>(record.size())) {
    size_ += record.size();
    return absl::OkStatus();
  }
  // A write that stops half-way says why only when it is asked again.
  int error = errno;
  if (written >= 0) {
    record.remove_prefix(static_cast<size_t>(written));
    error = write(fd_.get(), record.data(), record.size()) < 0 ? errno : ENOSPC;
  }
  const bool taken_back = ftruncate(fd_.get(), static_cast<off_t>(size_)) == 0;
  return ErrnoStatus(
      error, absl::StrCat("cannot write ", path_, taken_back ? "" : " (its end is cut short)"));
}

absl::Status AppendFile::Sync() {
  if (fdatasync(fd_.get()) != 0) return ErrnoStatus(errno, absl::StrCat("cannot sync ", path_));
  return absl::OkStatus();
}

}  // namespace dure
