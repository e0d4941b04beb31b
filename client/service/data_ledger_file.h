// The ledgers of the data sets of this machine, on disk (client/data_ledger.h has the format):
//
//   ROOT/IDENTITY/ledger         only grows, fsynced at each entry; 0600 in folders of 0700
//   ROOT/IDENTITY/ledger.count   the number of its entries: may be behind, never ahead
//   ROOT/IDENTITY/lock           held while one of several clients looks and adds
//   ROOT/by-path/HASH            the identity last registered at a path; HASH: SHA-256 of the path
//
// ROOT is $DURE_DATA_LEDGERS, or dure/data-ledgers in $XDG_DATA_HOME or ~/.local/share. Clients of
// several federations share it. Not thread-safe for one object; processes exclude each other.
#ifndef DURE_CLIENT_SERVICE_DATA_LEDGER_FILE_H_
#define DURE_CLIENT_SERVICE_DATA_LEDGER_FILE_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/file.h"
#include "client/data_ledger.h"

namespace dure {

// Largest ledger of a data set, in bytes: about half a million attempts.
inline constexpr uint64_t kMaxDataLedgerBytes = uint64_t{1} << 28;

// ROOT. FailedPrecondition, with the remedy, if no variable says where it is.
absl::StatusOr<std::string> DataLedgersFolder();
std::string DataLedgerPath(const std::string& root, const Digest& identity);

class DataLedgerFile {
 public:
  // Makes the ledger of data that was not known; if the data at `path` had another identity before,
  // what was spent on that counts for this one, too. DataLoss as Open.
  static absl::Status Register(const std::string& root, const Digest& identity,
                               const std::string& path);
  // Reads the ledger, and those of the data whose place it has taken. DataLoss, naming the file and
  // the line: missing, damaged, or with fewer entries than were written.
  static absl::StatusOr<std::unique_ptr<DataLedgerFile>> Open(const std::string& root,
                                                              const Digest& identity,
                                                              const Digest& member);

  const DataSpent& spent() const { return spent_; }
  // The attempts that this membership was charged for on this data, in the order of the ledger.
  const std::vector<ChargeEntry>& own_charges() const { return own_charges_; }
  // Everybody who has charged something, by membership.
  struct Spender {
    std::string federation;  // its name
    uint64_t charges = 0;
  };
  const std::map<Digest, Spender>& spenders() const { return spenders_; }
  const Digest& identity() const { return sources_.front().identity; }
  const std::string& path() const { return sources_.front().path; }

  // Reads what others have added.
  absl::Status Refresh();
  // Locks, reads what others have added, and if `fits`, writes the charge and fsyncs. False:
  // nothing was written, because it does not fit. After an error nothing may leave the machine.
  absl::StatusOr<bool> Charge(const DataCharge& charge,
                              const std::function<bool(const DataSpent&)>& fits);

 private:
  // One ledger, read as far as `offset`.
  struct Source {
    Digest identity{};
    std::string path;
    uint64_t offset = 0;
    uint64_t entries = 0;
    Digest check{};  // of the last entry
  };

  explicit DataLedgerFile(std::string root, const Digest& member)
      : root_(std::move(root)), member_(member) {}
  absl::Status AddSource(const Digest& identity);
  absl::Status ReadNew(size_t index);
  absl::Status Take(size_t index, const DataEntry& entry);
  absl::Status Append(const DataEntry& entry);
  absl::StatusOr<FileLock> Lock() const;

  std::string root_;
  Digest member_{};
  std::vector<Source> sources_;  // the first is this data's own
  DataSpent spent_;
  std::vector<ChargeEntry> own_charges_;
  std::map<Digest, Spender> spenders_;
  absl::Status broken_;
};

}  // namespace dure

#endif  // DURE_CLIENT_SERVICE_DATA_LEDGER_FILE_H_
