// NODE/policy.json: every limit of a member with its value and where it comes from. Functions read
// and write that file; not thread-safe for one file.
//
//   {"terms_approved": "2026-11-22",
//    "limits": {"max_epsilon": {"value": 4.0, "origin": "terms approved 2026-11-22"}, ...}}
#ifndef DURE_CLIENT_SERVICE_POLICY_FILE_H_
#define DURE_CLIENT_SERVICE_POLICY_FILE_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/policy.h"
#include "proto/federation.pb.h"

namespace dure {

// What limits come from, for people: "default", "terms approved 2026-11-22", "pinned 2026-11-22",
// "set here 2026-11-22".
struct PolicyOrigins {
  std::string approved;                   // the day on which the terms were approved, 2026-11-22
  std::map<std::string, std::string> of;  // by limit
};

struct LimitsFile {
  Policy policy;
  PolicyOrigins origins;
};

// The certificates, DER, that a member has pinned.
struct Pinned {
  std::string_view ca;
  std::string_view coordinator;
};

// "2026-11-22", in UTC.
std::string DayOf(absl::Time time);
// SHA-256 of a key or of whatever else is compared by eye: "AB:CD:...", 32 pairs.
std::string KeyFingerprint(std::string_view coordinator_der);

// What the limits are while nobody has set any.
LimitsFile DefaultLimits(const FederationSpec& spec, const Pinned& pinned, std::string approved);
// Whether somebody has set the limit on this machine.
bool IsSetHere(const PolicyOrigins& origins, const std::string& key);
// Marks the limit as set on that day.
void MarkSetHere(const std::string& key, absl::Time now, PolicyOrigins* origins);

// The limits after approving `spec` in place of earlier terms: those set here and the pinned keys
// stay, and so do the safe defaults of what protects at all (privacy_unit, and
// require_secure_aggregation); every other limit follows the new terms.
LimitsFile LimitsUnderNewTerms(const LimitsFile& limits, const FederationSpec& spec,
                               const Pinned& pinned, std::string approved);

// Limits that the file lacks get the value of `defaults`: files of an older dure have three numbers
// only. DataLoss, naming the file and the limit, for anything that cannot be understood.
absl::StatusOr<LimitsFile> ReadLimits(const std::string& path, const LimitsFile& defaults);
absl::Status WriteLimits(const std::string& path, const LimitsFile& limits);

}  // namespace dure

#endif  // DURE_CLIENT_SERVICE_POLICY_FILE_H_
