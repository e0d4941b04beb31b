// What a member has spent and signed, as it must be on disk before anything that follows from it
// leaves the machine (docs/secure-aggregation.md section 1.5). Pure: the file is in
// client/service/ledger_file.h. Not thread-safe.
//
// The ledger is text, one entry a line, each line ending in a check of itself:
//   charge ROUND ATTEMPT SESSION T1 CHECK   one attempt's privacy, in full, never refunded; written
//                                           before the member's shares leave
//   consent SESSION T1 T3 CHECK             the one set of survivors agreed to in a session;
//   written
//                                           before the signature on it leaves
// Numbers are decimal, SESSION, T1 and T3 64 hexadecimal digits, CHECK the first 16 digits of the
// SHA-256 of the line before it, the space included.
#ifndef DURE_CLIENT_LEDGER_H_
#define DURE_CLIENT_LEDGER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/strong_id.h"
#include "crypto/digest.h"

namespace dure {

struct ChargeEntry {
  RoundNumber round;
  AttemptNumber attempt;
  Digest session_id{};
  Digest t1{};
};
struct ConsentEntry {
  Digest session_id{};
  Digest t1{};
  Digest t3{};
};
using LedgerEntry = std::variant<ChargeEntry, ConsentEntry>;

// Longest line, in bytes.
inline constexpr size_t kMaxLedgerLineBytes = 512;

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
  uint32_t charges() const { return charges_; }
  // Newest attempt charged; an offer must have a higher one.
  AttemptNumber last_attempt() const { return last_attempt_; }

 private:
  uint32_t charges_ = 0;
  AttemptNumber last_attempt_;
  Digest last_session_{};
  Digest last_t1_{};
  bool consented_ = false;  // in last_session_
};

}  // namespace dure

#endif  // DURE_CLIENT_LEDGER_H_
