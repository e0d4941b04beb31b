// Archives as tar reads and writes them, POSIX.1-1988 ("ustar"): plain files with their names,
// modes and sizes, no links and nothing else. Sizes from 8 GiB on are written in base 256, as GNU
// tar does. Archives come from elsewhere: each header is checked, and no name leads out of the
// folder that it is unpacked into. Not thread-safe.
#ifndef DURE_COORDINATOR_SERVICE_TAR_FILE_H_
#define DURE_COORDINATOR_SERVICE_TAR_FILE_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file.h"

namespace dure {

inline constexpr size_t kTarBlockBytes = 512;
inline constexpr size_t kMaxTarNameBytes = 100;
inline constexpr uint64_t kMaxTarFileBytes = uint64_t{1} << 40;

struct TarEntry {
  std::string name;  // "state/coordinator.db": relative, without "." and ".."
  mode_t mode = 0600;
  uint64_t size = 0;

  bool operator==(const TarEntry&) const = default;
};

// InvalidArgument for a name that does not fit.
absl::StatusOr<std::string> EncodeTarHeader(const TarEntry& entry);
// Of a block of 512 bytes; nothing for the block of zeros that ends an archive. InvalidArgument for
// everything that EncodeTarHeader does not write.
absl::StatusOr<std::optional<TarEntry>> DecodeTarHeader(std::string_view block);

class TarWriter {
 public:
  // The archive is at `path` after Finish, whole, for the owner alone (0600), and otherwise not.
  static absl::StatusOr<TarWriter> Create(const std::string& path);

  absl::Status AddText(const std::string& name, mode_t mode, std::string_view contents);
  // The rest of an open file; `path` is for messages.
  absl::Status AddFile(const std::string& name, mode_t mode, const FileDescriptor& file,
                       const std::string& path);
  absl::Status Finish();

 private:
  explicit TarWriter(AtomicFile file) : file_(std::move(file)) {}
  absl::Status Pad(uint64_t size);
  AtomicFile file_;
};

class TarReader {
 public:
  static absl::StatusOr<TarReader> Open(const std::string& path);

  // The next file; what was not read of the one before is skipped. Nothing at the end. DataLoss,
  // naming the archive, if it is damaged or cut.
  absl::StatusOr<std::optional<TarEntry>> Next();
  // The contents of that file, piece by piece.
  absl::Status Read(const std::function<absl::Status(std::string_view)>& piece);

 private:
  TarReader(FileDescriptor file, std::string path)
      : file_(std::move(file)), path_(std::move(path)) {}
  absl::Status ReadAll(char* to, size_t size);

  FileDescriptor file_;
  std::string path_;
  uint64_t left_ = 0;     // of the file
  uint64_t padding_ = 0;  // after it
};

}  // namespace dure

#endif  // DURE_COORDINATOR_SERVICE_TAR_FILE_H_
