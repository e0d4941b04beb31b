#include "client/service/data_identity.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace dure {
namespace {

// Of a file that is hashed as it is: at once.
constexpr size_t kPartBytes = size_t{1} << 20;

absl::StatusOr<FileStamp> StampOf(const FileDescriptor& file, std::string path) {
  struct stat info;
  if (fstat(file.get(), &info) != 0) return ErrnoStatus(errno, absl::StrCat("cannot read ", path));
  return FileStamp{
      .path = std::move(path),
      .bytes = static_cast<uint64_t>(info.st_size),
      .modified_ns = int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + int64_t{info.st_mtim.tv_nsec}};
}

}  // namespace

Digest DataIdentity(const Dataset& data) {
  Transcript transcript("data");
  transcript.AddU64(data.records());
  for (uint32_t length : data.shape) transcript.AddU64(length);
  const std::vector<uint8_t> labels(data.labels.begin(), data.labels.end());
  transcript.Add(Sha256(data.features)).Add(Sha256(labels));
  return transcript.Hash();
}

absl::StatusOr<Digest> DataIdentityAt(const std::string& folder, const Dataset& data) {
  DURE_ASSIGN_OR_RETURN(const DataFiles files, OpenDataFolder(folder));
  if (files.kind == DataKind::kIdx) return DataIdentity(data);
  Transcript transcript(IsTable(files) ? "table" : IsText(files) ? "text" : "tensors");
  std::vector<uint8_t> part(kPartBytes);
  for (off_t offset = 0;;) {
    size_t have = 0;
    while (have < part.size()) {
      const ssize_t got = pread(files.images.get(), part.data() + have, part.size() - have,
                                offset + static_cast<off_t>(have));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return ErrnoStatus(errno, absl::StrCat("cannot read ", files.images_path));
      if (got == 0) break;
      have += static_cast<size_t>(got);
    }
    if (have == 0) return transcript.Hash();
    transcript.Add(Sha256(ByteView(part).first(have)));
    offset += static_cast<off_t>(have);
  }
}

std::string DataPlace(const std::string& folder) {
  absl::StatusOr<DataFiles> files = OpenDataFolder(folder);
  if (!files.ok() || files->kind == DataKind::kIdx) return folder;
  std::error_code error;
  const auto place = std::filesystem::canonical(files->images_path, error);
  return error ? folder : place.string();
}

absl::StatusOr<FileStamp> StampOfFile(const std::string& path) {
  FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return ErrnoStatus(errno, absl::StrCat("cannot read ", path));
  return StampOf(file, path);
}

absl::StatusOr<std::vector<FileStamp>> StampsOf(const std::string& folder) {
  DURE_ASSIGN_OR_RETURN(const DataFiles files, OpenDataFolder(folder));
  std::vector<FileStamp> stamps(2);
  DURE_ASSIGN_OR_RETURN(stamps[0], StampOf(files.images, files.images_path));
  DURE_ASSIGN_OR_RETURN(stamps[1], StampOf(files.labels, files.labels_path));
  return stamps;
}

}  // namespace dure
