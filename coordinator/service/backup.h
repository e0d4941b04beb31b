// dure backup and dure restore: a federation's folder as one file. docs/recovery.md. Not
// thread-safe for one file.
#ifndef DURE_COORDINATOR_SERVICE_BACKUP_H_
#define DURE_COORDINATOR_SERVICE_BACKUP_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/service/folder_check.h"

namespace dure {

struct BackupOptions {
  std::string folder;  // of the federation
  std::string file;    // the archive
  bool with_keys = true;
  absl::Time now;
};

struct BackupSummary {
  std::string federation;
  uint32_t round = 0;
  uint32_t attempts = 0;
  uint64_t files = 0;
  bool with_keys = true;
  absl::Time taken;
};

// Writes the archive while a coordinator runs, or while none does: the state as it is at one
// moment. AlreadyExists if the archive is there; DataLoss, and there is no archive, if the state is
// damaged.
absl::StatusOr<BackupSummary> WriteBackup(const BackupOptions& options);

struct Restored {
  BackupSummary summary;
  FolderReport report;  // keys that were left out are no failure
};
// Unpacks the archive into `folder`, which must not be there, and checks it: the folder is there
// afterwards, whole, or not at all. AlreadyExists; DataLoss with what is wrong.
absl::StatusOr<Restored> RestoreBackup(const std::string& file, const std::string& folder,
                                       absl::Time now);

}  // namespace dure

#endif  // DURE_COORDINATOR_SERVICE_BACKUP_H_
