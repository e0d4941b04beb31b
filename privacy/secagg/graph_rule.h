// The sparse graph of section 1.3 of docs/secure-aggregation.md, for any number of members: the
// least degree k, and for it the least threshold t, for which secrets stay secret and sums can be
// opened but for stated probabilities. Sessions use it through privacy/secagg/thresholds.h;
// `dure privacy graph` for study. Thread-safe: pure functions.
//
// Hyp(N, K, m): marked ones among m drawn from N without replacement, of whom K are marked. The
// probabilities are computed in long double to about 15 digits; one that meets its limit more
// closely than that counts as above it.
#ifndef DURE_PRIVACY_SECAGG_GRAPH_RULE_H_
#define DURE_PRIVACY_SECAGG_GRAPH_RULE_H_

#include <cstdint>

#include "absl/status/statusor.h"

namespace dure::secagg {

// Most members that the rule is asked about.
inline constexpr uint64_t kMaxGraphMembers = 1'000'000'000;
// Most neighbours of a member: shares are over GF(2^8).
inline constexpr int kMaxNeighbours = 254;

enum class GraphMode {
  // Who drops out may depend on everything seen, and corrupt members lie:
  //   2n P[Hyp(n-1, c_max, k/2) >= t - k/2] <= 2^-security_bits, k/2 < t <= k.
  kAdaptive,
  // Dropouts independent of the graph, corrupt members follow the protocol (Bell and others 2020),
  // with B = c_max + dropouts:
  //   n (n-k-1)/2 C(B, k) / C(n, k) <= 2^-(security_bits + 1),
  //   n P[Hyp(n-1, c_max, k) >= t]  <= 2^-(security_bits + 1), t >= 2.
  kSemiHonest,
};
// And in both: n P[Hyp(n-1, dropouts, k) >= k-t+1] <= 2^-correctness_bits.

struct GraphRuleParams {
  uint64_t members = 0;      // n, 3 to kMaxGraphMembers
  uint64_t max_corrupt = 0;  // c_max, below n
  uint64_t dropouts = 0;     // below n
  GraphMode mode = GraphMode::kAdaptive;
  int security_bits = 128;    // 1 to 1000
  int correctness_bits = 20;  // 1 to 1000
  uint64_t minimum_sum = 0;   // U_min: no sum of fewer inputs is opened; at most n
};

struct GraphRule {
  bool complete = false;     // everybody is everybody's neighbour
  uint32_t neighbours = 0;   // k
  uint32_t threshold = 0;    // t
  uint64_t quorum = 0;       // Q = floor((n + c_max) / 2) + 1
  uint64_t sum_minimum = 0;  // U_min'
};

// The regular graph if there is one, k even and below n - 1; else, up to 255 members, the complete
// graph with t = max(c_max + 1, 2, Q - 1) (semi-honest: max(c_max + 1, 2)) if
// n - dropouts >= U_min' = max(U_min, Q, t + 1, c_max + 2) (semi-honest: max(U_min, Q)).
// InvalidArgument, naming the parameter and its limits; FailedPrecondition, with the numbers and
// the remedy, if no graph will do.
absl::StatusOr<GraphRule> SolveGraphRule(const GraphRuleParams& params);

// The least c for which groups P[Hyp(members, max_corrupt, group_size) > c] <= 2^-security_bits:
// how many corrupt members a group drawn at random may have. At most max_corrupt and group_size.
// max_corrupt and group_size are at most `members`, group_size at most kMaxNeighbours
// (DURE_CHECK).
struct GroupParams {
  uint64_t members = 0;
  uint64_t max_corrupt = 0;
  uint32_t group_size = 0;
  uint32_t groups = 1;
  int security_bits = 128;
};
uint32_t MostCorruptInGroup(const GroupParams& params);

}  // namespace dure::secagg

#endif  // DURE_PRIVACY_SECAGG_GRAPH_RULE_H_
