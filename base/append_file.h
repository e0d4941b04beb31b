// A file that only grows, a record at a time: what a killed process leaves ends with a whole
// record. Errors are those of base/file.h. Not thread-safe.
#ifndef DURE_BASE_APPEND_FILE_H_
#define DURE_BASE_APPEND_FILE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file.h"

namespace dure {

class AppendFile {
 public:
  // A new, empty file. AlreadyExists if there is something at `path`.
  static absl::StatusOr<AppendFile> Create(const std::string& path, mode_t mode = 0644);
  // The file at `path`, cut to its first `bytes`. OutOfRange if it is shorter.
  static absl::StatusOr<AppendFile> Reopen(const std::string& path, uint64_t bytes);

  // One write(2). If the disk takes only a part of it, the part is taken back before the error is
  // returned.
  absl::Status Append(std::string_view record);
  // Waits until the disk has it (fdatasync).
  absl::Status Sync();

  const std::string& path() const { return path_; }
  uint64_t size() const { return size_; }

 private:
  AppendFile(std::string path, FileDescriptor fd, uint64_t size)
      : path_(std::move(path)), fd_(std::move(fd)), size_(size) {}

  std::string path_;
  FileDescriptor fd_;
  uint64_t size_;
};

}  // namespace dure

#endif  // DURE_BASE_APPEND_FILE_H_
