// Both ledgers of a member that takes part: that of its membership and that of its data, which it
// shares with other memberships. They check each other at the start, and every charge is in both,
// on disk, before anything derived from data leaves: first in that of the data. Not thread-safe.
#ifndef DURE_CLIENT_SERVICE_LEDGERS_H_
#define DURE_CLIENT_SERVICE_LEDGERS_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/engine.h"
#include "client/ledger.h"
#include "client/service/data_ledger_file.h"
#include "client/service/ledger_file.h"

namespace dure {

class Ledgers {
 public:
  struct Options {
    std::string path;            // of the ledger of the membership
    std::string root;            // of the ledgers of data sets
    std::optional<Digest> data;  // identity of the data; absent: it is not accounted (evaluators)
    Digest member{};             // client id
    // What an attempt cost that only the ledger of the membership knows.
    std::function<DataCharge(const ChargeEntry&)> charge_for;
    // Charges that one of the two lacks are added to it; else they are a reason not to take part.
    bool charge_missing = false;
  };
  // DataLoss, naming both numbers and the remedy, if one of the two lacks charges of this
  // membership: it is an old copy. The newest charge alone may be missing in the ledger of the
  // membership, where a crash came between the two writes: it is added. Errors as LedgerFile::Open
  // and DataLedgerFile::Open. What was mended is added to `notes`, for people.
  static absl::StatusOr<std::unique_ptr<Ledgers>> Open(Options options,
                                                       std::vector<std::string>* notes);

  const Ledger& ledger() const { return file_.ledger(); }
  // nullptr without data.
  const DataSpent* spent() const { return data_ ? &data_->spent() : nullptr; }
  const DataLedgerFile* data() const { return data_.get(); }

  // Reads what others have spent on the data since.
  absl::Status Refresh();
  // Writes the entry, and its charge before it. False: nothing was written, because with it the
  // data's epsilon would pass `total_epsilon` at `total_delta`. A charge made afterwards, in round
  // 0, is written all the same.
  absl::StatusOr<bool> Write(const member::WriteLedger& write, double total_epsilon,
                             double total_delta);

 private:
  Ledgers(Options options, LedgerFile file)
      : options_(std::move(options)), file_(std::move(file)) {}
  absl::Status Compare(std::vector<std::string>* notes);
  absl::Status AddHere(const std::vector<ChargeEntry>& missing, std::vector<std::string>* notes);
  absl::Status AddThere(const std::vector<ChargeEntry>& missing, std::vector<std::string>* notes);

  Options options_;
  LedgerFile file_;
  std::unique_ptr<DataLedgerFile> data_;
};

}  // namespace dure

#endif  // DURE_CLIENT_SERVICE_LEDGERS_H_
