// What a member has spent and signed, as it must be on disk before anything that follows from it
// leaves the machine (docs/secure-aggregation.md section 1.5). Pure: the file is in
// client/service/ledger_file.h. Not thread-safe.
//
// The ledger is text, one entry a line, each line ending in a check of itself:
//   charge ROUND ATTEMPT SESSION T1 CHECK   one attempt's privacy, in full, never refunded; written
//                                           before the member's shares leave
//   charge-statistics ..., charge-evaluation ...   the same, of attempts that were no training
//   consent SESSION T1 T3 CHECK             the one set of survivors agreed to in a session;
//                                           written before the signature on it leaves
//   data IDENTITY CHECK                     the data set that the charges which follow were made
//                                           on (client/data_ledger.h); those before the first such
//                                           line belong to it too
// Numbers are decimal, SESSION, T1 and T3 64 hexadecimal digits, CHECK the first 16 digits of the
// SHA-256 of the line before it, the space included. Round 0 is a charge made afterwards, for an
// attempt that the coordinator has seen shares of and this ledger lacked.
#ifndef DURE_CLIENT_LEDGER_H_
#define DURE_CLIENT_LEDGER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/strong_id.h"
#include "crypto/digest.h"
#include "federation/terms/sums_terms.h"

namespace dure {

struct ChargeEntry {
  RoundNumber round;
  AttemptNumber attempt;
  Digest session_id{};
  Digest t1{};
  SumsKind kind = SumsKind::kTraining;
};
struct ConsentEntry {
  Digest session_id{};
  Digest t1{};
  Digest t3{};
};
struct UsedDataEntry {
  Digest identity{};
};
using LedgerEntry = std::variant<ChargeEntry, ConsentEntry, UsedDataEntry>;

// Longest line, in bytes.
inline constexpr size_t kMaxLedgerLineBytes = 512;

// Reads 64 lower-case hexadecimal digits; false for anything else.
bool ReadLedgerDigest(absl::string_view text, Digest* digest);

// With the newline.
std::string EncodeLedgerEntry(const LedgerEntry& entry);
// DataLoss if `line` (without its newline) is not exactly what EncodeLedgerEntry wrote.
absl::StatusOr<LedgerEntry> DecodeLedgerEntry(std::string_view line);

class Ledger {
 public:
  // Takes up an entry. FailedPrecondition if it contradicts what is there: an attempt not above
  // all charged before, a second consent in a session, a consent without its charge.
  absl::Status Add(const LedgerEntry& entry);

  // Attempts charged.
  uint32_t charges() const { return counts_.all(); }
  // The same, by what they were for.
  const AttemptCounts& counts() const { return counts_; }
  // Newest attempt charged; an offer must have a higher one.
  AttemptNumber last_attempt() const { return last_attempt_; }
  // The data set that the newest entries are about, if any says so.
  const std::optional<Digest>& data() const { return data_; }
  // The attempts charged on a data set, ascending.
  const std::vector<ChargeEntry>& ChargesOn(const Digest& data) const;

 private:
  AttemptCounts counts_;
  AttemptNumber last_attempt_;
  Digest last_session_{};
  Digest last_t1_{};
  bool consented_ = false;  // in last_session_
  std::optional<Digest> data_;
  std::map<Digest, std::vector<ChargeEntry>> charges_on_;  // by data; zeros: not said yet
};

}  // namespace dure

#endif  // DURE_CLIENT_LEDGER_H_
