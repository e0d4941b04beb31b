// What a session agrees on before anything else: the RoundConfig of the Offer and the hash by
// which every later message is bound to it. Thread-safe: pure functions.
#ifndef DURE_PRIVACY_SECAGG_CONFIG_H_
#define DURE_PRIVACY_SECAGG_CONFIG_H_

#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "crypto/digest.h"
#include "privacy/secagg/thresholds.h"
#include "proto/secagg.pb.h"

namespace dure::secagg {

// RoundConfig.suite of the protocol in this folder.
inline constexpr uint32_t kSuite = 1;
// RoundConfig.graph_rule, with "groups-of-G" (GraphRuleName): the complete graph up to
// kMaxDenseMembers members, and the sparse one above.
inline constexpr char kGraphRuleComplete[] = "complete";
inline constexpr char kGraphRuleRing[] = "ring";
// No secure aggregation: privacy/secagg/plain.h.
inline constexpr char kGraphRuleNone[] = "none";

// config_hash = H("config", f1, ...), the fields of RoundConfig in field-number order, each its own
// element: integers u64be, reals binary64 big-endian, hashes raw, names UTF-8
// (docs/secure-aggregation.md sections 1.1 and 1.2).
Digest ConfigHash(const RoundConfig& config);

// What both sides check first. InvalidArgument, naming the field, the value and the limit: another
// suite or graph rule, a hash that has not 32 bytes, a name above kMaxNameBytes, d outside
// 1..kMaxDim, b outside 1..64, s outside 1..1000, reals that are not finite or negative, n_min or
// U_min above n_invited. FailedPrecondition from ComputeSessionRules for n_invited members.
absl::Status ValidateConfig(const RoundConfig& config);
// The part of it that also holds without secure aggregation.
absl::Status ValidateConfigFields(const RoundConfig& config);

// The rules of a session with a roster of `members`, by a config that ValidateConfig accepted.
// Errors as ComputeSessionRules.
absl::StatusOr<SessionRules> RulesOf(const RoundConfig& config, uint32_t members);
// What an engine asks for its rules: RulesOf, but in tests.
using SessionRule =
    std::function<absl::StatusOr<SessionRules>(const RoundConfig& config, uint32_t members)>;

}  // namespace dure::secagg

#endif  // DURE_PRIVACY_SECAGG_CONFIG_H_
