// How many members must answer (docs/secure-aggregation.md section 1.3): on the complete graph, on
// the sparse one, and in groups. Thread-safe: pure functions.
#ifndef DURE_PRIVACY_SECAGG_THRESHOLDS_H_
#define DURE_PRIVACY_SECAGG_THRESHOLDS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "privacy/secagg/graph.h"

namespace dure::secagg {

// Most members of a session, and of one on the complete graph by choice.
inline constexpr uint32_t kMaxMembers = 4096;
inline constexpr uint32_t kMaxDenseMembers = 128;
// Fewest members of any session: with two, each learns the other's input from the sum.
inline constexpr uint32_t kMinMembers = 3;
// Most members of one group when it is asked for; a group has up to twice as many less one, as
// the members that are left over are spread, and shares are over GF(2^8).
inline constexpr uint32_t kMaxGroupSize = 127;

// Of a session with one sum, or of one group.
struct Thresholds {
  uint32_t neighbours = 0;   // k: to so many each member deals shares
  uint32_t threshold = 0;    // t: shares that rebuild a secret
  uint32_t quorum = 0;       // Q = floor((n + c_max) / 2) + 1: signatures that open a sum
  uint32_t sum_minimum = 0;  // U_min' = max(U_min, Q, t + 1, c_max + 2): fewest inputs of a sum
  bool operator==(const Thresholds&) const = default;
};

// The thresholds of a session of `members` (n) on the complete graph, k = n - 1 and
// t = max(c_max + 1, 2, Q - 1), of whom at most `max_corrupt` (c_max, an absolute number) collude
// with the coordinator, when no sum of fewer than `minimum_sum` (U_min) inputs may be opened.
// FailedPrecondition, with the numbers and the remedy, for: n below 3 or above 255; c_max of 0;
// U_min' above n.
absl::StatusOr<Thresholds> ComputeThresholds(uint32_t members, uint32_t max_corrupt,
                                             uint32_t minimum_sum);

// RoundConfig.graph_rule in parts.
struct GraphRuleName {
  enum class Kind {
    kComplete,  // "complete": up to kMaxDenseMembers members
    kRing,      // "ring": complete up to kMaxDenseMembers members, sparse above
    kGroups,    // "groups-of-G": complete within groups, a sum for each
  };
  Kind kind = Kind::kComplete;
  uint32_t group_size = 0;  // G

  std::string ToString() const;
  // InvalidArgument, naming it, for any other name and for G outside 3 to kMaxGroupSize.
  static absl::StatusOr<GraphRuleName> Parse(std::string_view name);
};

struct RuleParams {
  GraphRuleName rule;
  uint32_t members = 0;      // n, of the roster
  uint32_t max_corrupt = 0;  // c_max, of the roster
  uint32_t minimum_sum = 0;  // U_min, of each sum that is opened
  uint32_t minimum_roster = 0;
  double max_dropout = 0;      // of the members of the sparse graph
  uint32_t security_bits = 0;  // s
};

// What holds in a session of a roster of given size.
struct SessionRules {
  uint32_t members = 0;
  bool sparse = false;  // the ring: k neighbours of n - 1
  uint32_t groups = 1;
  uint32_t quorum = 0;  // Q of the whole roster: one set of survivors is signed by all groups
  uint32_t survivors_minimum = 0;  // fewest inputs in the session, in all groups together
  // Of a group of floor(n / groups) members, and of one of ceil(n / groups), each with the most
  // corrupt members that it may have: equal where there is one group.
  Thresholds smaller;
  Thresholds larger;
  uint32_t corrupt_in_smaller = 0;
  uint32_t corrupt_in_larger = 0;

  // Of a group of `size` members, one of the two sizes.
  const Thresholds& OfGroup(uint32_t size) const {
    return size == members / groups ? smaller : larger;
  }
  // Most corrupt members in such a group.
  uint32_t CorruptIn(uint32_t size) const {
    return size == members / groups ? corrupt_in_smaller : corrupt_in_larger;
  }
  // Fewest members whose inputs are in one opened sum and do not collude with the coordinator.
  uint32_t HonestMinimum() const;
  // The graph that T1 draws.
  Graph MakeGraph(const Digest& t1) const;
  bool operator==(const SessionRules&) const = default;
};

// FailedPrecondition, with the numbers and the remedy, if such a session cannot be secure or cannot
// be opened: as ComputeThresholds and SolveGraphRule; with groups also for fewer members than two
// groups have, and for a group that may have more corrupt members than its sum can bear. With
// groups, a group's corrupt members are the fewest c with
//   groups P[Hyp(n, c_max, size) > c] <= 2^-security_bits.
absl::StatusOr<SessionRules> ComputeSessionRules(const RuleParams& params);

}  // namespace dure::secagg

#endif  // DURE_PRIVACY_SECAGG_THRESHOLDS_H_
