// How many members must answer, by the number of members of a session: section 1.3 of
// docs/secure-aggregation.md for the complete graph. Thread-safe: pure functions.
#ifndef DURE_PRIVACY_SECAGG_THRESHOLDS_H_
#define DURE_PRIVACY_SECAGG_THRESHOLDS_H_

#include <cstdint>

#include "absl/status/statusor.h"

namespace dure::secagg {

// Most members of a session on the complete graph.
inline constexpr uint32_t kMaxMembers = 128;
// Fewest members of any session: with two, each learns the other's input from the sum.
inline constexpr uint32_t kMinMembers = 3;

struct Thresholds {
  uint32_t neighbours = 0;   // k = n - 1: everybody deals a share to everybody else
  uint32_t threshold = 0;    // t = max(c_max + 1, 2, Q - 1): shares that rebuild a secret
  uint32_t quorum = 0;       // Q = floor((n + c_max) / 2) + 1: signatures that open a sum
  uint32_t sum_minimum = 0;  // U_min' = max(U_min, Q, t + 1, c_max + 2): fewest inputs of a sum
  bool operator==(const Thresholds&) const = default;
};

// The thresholds of a session of `members` (n), of whom at most `max_corrupt` (c_max, an absolute
// number) collude with the coordinator, when no sum of fewer than `minimum_sum` (U_min) inputs may
// be opened. FailedPrecondition, with the numbers and the remedy, for: n below 3 or above 128;
// c_max of 0; U_min' above n.
absl::StatusOr<Thresholds> ComputeThresholds(uint32_t members, uint32_t max_corrupt,
                                             uint32_t minimum_sum);

}  // namespace dure::secagg

#endif  // DURE_PRIVACY_SECAGG_THRESHOLDS_H_
