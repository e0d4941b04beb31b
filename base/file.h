// Files and descriptors: the one place that calls open, write, fsync and rename.
// Errors are absl::Status with the path, the cause in words and, where one applies, the limit:
// NotFound (no such file), PermissionDenied (also a read-only disk), ResourceExhausted (disk full,
// file above its limit), FailedPrecondition (locked by another process), Unknown (anything else).
// Thread-safe.
#ifndef DURE_BASE_FILE_H_
#define DURE_BASE_FILE_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace dure {

// Owns a file descriptor.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor() { Close(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int Release() { return std::exchange(fd_, -1); }
  void Close();

 private:
  int fd_ = -1;
};

// `text` with the words for `error_number`, as a status of the kind that fits.
absl::Status ErrnoStatus(int error_number, std::string_view text);

// The whole file. ResourceExhausted if it is larger than `max_bytes`.
absl::StatusOr<std::string> ReadFile(const std::string& path, uint64_t max_bytes);

// Writes beside `path`, fsyncs, renames over it and fsyncs the folder: a reader, or a restart
// after a crash, sees the old contents or the new, never a part.
absl::Status WriteFileAtomic(const std::string& path, std::string_view contents,
                             mode_t mode = 0644);

// The same for contents that come piece by piece: what was added is at `path` after Commit, and
// otherwise nowhere.
class AtomicFile {
 public:
  static absl::StatusOr<AtomicFile> Create(const std::string& path, mode_t mode = 0644);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  absl::Status Add(std::string_view contents);
  absl::Status Commit();

 private:
  AtomicFile(std::string path, std::string temporary, FileDescriptor fd);
  std::string path_;
  std::string temporary_;  // "" when it is no more
  FileDescriptor fd_;
};

// Makes `path` and the folders above it; a folder that is there is left as it is.
absl::Status MakeFolder(const std::string& path, mode_t mode = 0755);

bool FileExists(const std::string& path);
// Whether nothing is at `path`, for sure: false too if a folder on the way may not be looked into.
bool FileIsMissing(const std::string& path);

// What a decoder says of a file's bytes (InvalidArgument), as DataLoss: the file is at fault, not
// whoever named it.
template <typename T>
absl::StatusOr<T> BlameFile(absl::StatusOr<T> decoded) {
  if (!absl::IsInvalidArgument(decoded.status())) return decoded;
  return absl::DataLossError(decoded.status().message());
}

// A lock that ends with the process (flock). FailedPrecondition if another process has it.
class FileLock {
 public:
  static absl::StatusOr<FileLock> Acquire(const std::string& path);

 private:
  explicit FileLock(FileDescriptor fd) : fd_(std::move(fd)) {}
  FileDescriptor fd_;
};

}  // namespace dure

#endif  // DURE_BASE_FILE_H_
