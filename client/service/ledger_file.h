// The ledger on disk: a file that only grows, fsynced at each entry (client/ledger.h has the
// format). Not thread-safe.
#ifndef DURE_CLIENT_SERVICE_LEDGER_FILE_H_
#define DURE_CLIENT_SERVICE_LEDGER_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file.h"
#include "client/ledger.h"

namespace dure {

// Largest ledger read, in bytes: about a million attempts.
inline constexpr uint64_t kMaxLedgerBytes = uint64_t{1} << 28;

class LedgerFile {
 public:
  // An empty ledger, for a new member.
  static absl::Status Create(const std::string& path);
  // Reads `path`. DataLoss if it is missing: a ledger that is gone is not one that is empty. A last line without its newline was being written when the machine
  // stopped: nothing had left, and it is cut off. DataLoss, with the line's number, if any other
  // line is damaged.
  static absl::StatusOr<LedgerFile> Open(const std::string& path);

  const Ledger& ledger() const { return ledger_; }
  // Checks, writes and fsyncs. After an error nothing may leave the machine, and every further
  // call fails too: what is on disk is not known.
  absl::Status Append(const LedgerEntry& entry);

 private:
  LedgerFile(std::string path, FileDescriptor fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  std::string path_;
  FileDescriptor fd_;
  Ledger ledger_;
  absl::Status broken_;
};

}  // namespace dure

#endif  // DURE_CLIENT_SERVICE_LEDGER_FILE_H_
