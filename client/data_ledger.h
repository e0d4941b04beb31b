// What has been spent on a data set: one ledger for all memberships, federations and coordinators
// that use it on this machine (docs/formats/data-ledger.md). Pure: the file is in
// client/service/data_ledger_file.h. Not thread-safe.
//
// The ledger is text, one entry a line:
//   COUNTER charge FEDERATION NAME MEMBER ROUND ATTEMPT SESSION T1 UNIT DIM PARTIES SIGMA2 BOUND
//           RATE USES DELTA CHECK       one attempt's privacy, in full, never refunded
//   COUNTER former IDENTITY CHECK       this data has taken the place of other data: what was spent
//                                       on those counts here too
// COUNTER is 1, 2, 3, ...; CHECK is the SHA-256 of the CHECK of the line before (of the identity of
// the data for the first) and the line up to it, so that no line can be changed or taken out of the
// middle unnoticed.
#ifndef DURE_CLIENT_DATA_LEDGER_H_
#define DURE_CLIENT_DATA_LEDGER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/strong_id.h"
#include "client/ledger.h"
#include "crypto/digest.h"
#include "federation/terms/terms.h"
#include "privacy/dp/attempt_cost.h"
#include "privacy/dp/rdp.h"
#include "proto/federation.pb.h"

namespace dure {

// What an attempt costs whom: enough to compute its privacy again.
struct ChargedCost {
  PrivacySection::Unit unit = PrivacySection::RECORD;
  dp::AttemptCost cost;  // not used with unit NONE
  double delta = 0;      // added by each attempt to the delta of the mechanism

  friend bool operator==(const ChargedCost&, const ChargedCost&) = default;
};

// Of an attempt under `terms`.
ChargedCost ChargedCostOf(const RoundTerms& terms);

struct DataCharge {
  Digest federation{};  // digest of its terms
  std::string name;     // of the federation
  Digest member{};      // client id of the membership
  ChargeEntry attempt;  // as in the ledger of the membership
  ChargedCost cost;
};
struct FormerData {
  Digest identity{};
};
using DataEntry = std::variant<DataCharge, FormerData>;

// Longest line, in bytes.
inline constexpr size_t kMaxDataLineBytes = 1024;

struct DataLine {
  uint64_t counter = 0;
  DataEntry entry;
  Digest check{};
};
// With the newline. The name of a federation must have no space and no control character.
std::string EncodeDataLine(uint64_t counter, const Digest& previous, const DataEntry& entry);
// DataLoss if `line` (without its newline) is not exactly what EncodeDataLine wrote.
absl::StatusOr<DataLine> DecodeDataLine(std::string_view line, const Digest& previous);

// What charges add up to. Costs of all kinds are composed at orders 2 to 64
// (docs/secure-aggregation.md section 2.2). Charges of the units record and client give an epsilon
// each; they are not added: the one is for a record, the other for all that a member contributes,
// its every record included.
class Tally {
 public:
  // Precondition: ValidateAttemptCost, unless the unit is NONE.
  void Add(const ChargedCost& cost, uint64_t count = 1);

  // 0 if nothing was charged for `unit`; infinite without noise, or if the charges' own deltas use
  // `delta` up.
  double Epsilon(PrivacySection::Unit unit, double delta) const;
  // The same, for the unit of `next`, as if it had been added.
  double EpsilonWith(const ChargedCost& next, double delta) const;
  uint64_t charges(PrivacySection::Unit unit) const;
  // Whether every charge of the unit of `cost` cost the same as `cost`.
  bool IsAll(const ChargedCost& cost) const;

 private:
  using Key = std::tuple<int, uint64_t, uint32_t, uint64_t, uint64_t, double, uint32_t, double>;
  struct Group {
    ChargedCost cost;
    std::optional<dp::RdpCurve> curve;  // absent: unit NONE
    uint64_t count = 0;
  };
  static Key KeyOf(const ChargedCost& cost);

  std::map<Key, Group> groups_;
};

// What a member knows of its data when it looks at an offer.
struct DataSpent {
  Tally all;  // by everybody
  Tally own;  // by this membership
};

}  // namespace dure

#endif  // DURE_CLIENT_DATA_LEDGER_H_
