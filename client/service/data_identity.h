// Which data a member has registered: its identity is a digest of the records themselves, so that
// the same records are the same data wherever they lie, compressed or not. Files with other
// records, or with the same in another order, are other data. Thread-safe: pure functions, and
// reading files.
#ifndef DURE_CLIENT_SERVICE_DATA_IDENTITY_H_
#define DURE_CLIENT_SERVICE_DATA_IDENTITY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "crypto/digest.h"
#include "learner/data/dataset.h"

namespace dure {

// What tells without reading it that a file has not changed.
struct FileStamp {
  std::string path;
  uint64_t bytes = 0;
  int64_t modified_ns = 0;  // since 1970

  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

struct DataRegistration {
  Digest identity{};
  std::vector<FileStamp> files;
};

// H("data", n, shape..., SHA-256(features), SHA-256(labels)), integers u64
// (docs/formats/data-ledger.md).
Digest DataIdentity(const Dataset& data);
// Of what lies in `folder` and, if these are IDX files, has been read as `data`. Of a table it is
// H("table", SHA-256 of each MiB of the file): the same records whatever schema they were read by;
// of text and tensors the same with "text" and "tensors". Errors as OpenDataFolder.
absl::StatusOr<Digest> DataIdentityAt(const std::string& folder, const Dataset& data);
// Where the records lie: `folder`, or the file that it holds a link to.
std::string DataPlace(const std::string& folder);

absl::StatusOr<FileStamp> StampOfFile(const std::string& path);
// The files of a data folder, as they are now. Errors as OpenDataFolder.
absl::StatusOr<std::vector<FileStamp>> StampsOf(const std::string& folder);

}  // namespace dure

#endif  // DURE_CLIENT_SERVICE_DATA_IDENTITY_H_
