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

// Beside the ledger stands a file with the number of its entries (PATH.count), written after each
// entry and not synced: it may be behind, never ahead, and so tells a ledger that was cut off.
class LedgerFile {
 public:
  // An empty ledger, for a new member.
  static absl::Status Create(const std::string& path);
  // Reads `path`. DataLoss if it is missing: a ledger that is gone is not one that is empty. A last
  // line without its newline was being written when the machine stopped: nothing had left, and it
  // is cut off. DataLoss, with the line's number, if any other line is damaged; DataLoss, with the
  // numbers, if entries are missing at the end.
  static absl::StatusOr<LedgerFile> Open(const std::string& path);

  // What `path` says, without a change to anything: beside a client that may be writing.
  static absl::StatusOr<Ledger> Read(const std::string& path);

  const Ledger& ledger() const { return ledger_; }
  // Checks, writes and fsyncs. After an error nothing may leave the machine, and every further
  // call fails too: what is on disk is not known.
  absl::Status Append(const LedgerEntry& entry);

 private:
  LedgerFile(std::string path, FileDescriptor fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  absl::Status OpenCount();
  absl::Status WriteCount();

  std::string path_;
  FileDescriptor fd_;
  FileDescriptor count_fd_;
  uint64_t entries_ = 0;
  Ledger ledger_;
  absl::Status broken_;
};

}  // namespace dure

#endif  // DURE_CLIENT_SERVICE_LEDGER_FILE_H_
