// A rule that combines vectors of which a few may be poisoned: what there is to know about each.
// The vectors are the means of groups, or single updates; m of them, f poisoned by one party that
// knows all the others and may send anything finite. A rule is one file that defines a RobustRule,
// and one line in the switch that chooses among them (docs/extending.md).
//
//   rule            file               bears f of m          costs        source
//   median          coordinate_rule.h  m >= 2f + 1           n d          Yin et al. 2018
//   trimmed mean    coordinate_rule.h  f = trim m, 2f < m    n d          Yin et al. 2018
//   Krum            krum.h             m >= 2f + 3           n^2 d        Blanchard et al. 2017
//   Multi-Krum      krum.h             m >= 2f + 3           n^2 d        Blanchard et al. 2017
//   geometric       geometric_median.h m >= 2f + 1           at most      Pillutla et al. 2019
//     median                                                 64 n d
//   norm bound      norm_bound.h       m >= 2f + 1, in part  n d          Sun et al. 2019
//
// "Bears" means: however far the f are, the result stays as near to the honest vectors as these are
// to each other. Three things no rule here bears, and robust_attack_test.cc shows them:
//   - A push that is small beside the spread of the honest vectors ("a little is enough", Baruch et
//     al. 2019). It is kept to what that spread is, in every step and in the same direction; where
//     the honest spread alike, plain averaging does no worse.
//   - Honest members of different minds. A minority whose data say something else than the others'
//     is treated as poisoned.
//   - More than f poisoned, or members that poison by turns so that no round has more than f, but
//     every round has some: what is borne in a round may add up over rounds.
// Norm bounding takes away length only: a poisoned vector counts as one honest vector in whichever
// direction it likes, so that f of m turned round cost 2 f / m of the step.
//
// Thread-safe: pure functions.
#ifndef DURE_AGGREGATION_ROBUST_RULE_H_
#define DURE_AGGREGATION_ROBUST_RULE_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace dure {

// At least one, all of one length (DURE_CHECK where they are combined), all finite.
using VectorSpan = std::span<const std::vector<float>>;

// What the federation file says to a rule; each uses its own.
struct RobustParams {
  double trim = 0;          // share that the trimmed mean leaves out at each end, (0, 0.5)
  double max_poisoned = 0;  // share that may be poisoned by Multi-Krum, (0, 0.5)
  double norm_bound = 0;    // L2 norm that the norm bound leaves; 0: the median of the norms
};

struct RobustRule {
  std::string_view name;  // within a sentence, such as "the trimmed mean"

  // How many poisoned vectors of `vectors` the rule bears, at least one.
  // FailedPrecondition, with the numbers, if it is none or fewer than `params` ask for. Not called
  // in a round, where fewer vectors may have come than were planned: Combine does with any number
  // what it can.
  absl::StatusOr<uint32_t> (*borne)(const RobustParams& params, uint32_t vectors);

  std::vector<float> (*combine)(const RobustParams& params, VectorSpan vectors);

  // Of normal noise in the vectors, all alike: the standard deviation in a coordinate of what the
  // rule makes of them by that in their mean. An estimate for many vectors and coordinates.
  double (*noise)(const RobustParams& params, uint32_t vectors);

  std::string_view limits;  // what it does not bear beyond what is said above, or ""
};

// The most f with m >= 2f + 1, or, where distances to others count, with m >= 2f + 3.
uint32_t MostInMinority(uint32_t vectors);
uint32_t MostBesideNeighbours(uint32_t vectors);

// `most`; or, if that is none, FailedPrecondition: `name` needs `needed` vectors to bear one.
absl::StatusOr<uint32_t> AtLeastOne(uint32_t most, std::string_view name, uint32_t vectors,
                                    uint32_t needed);

// What every rule takes for granted of its vectors (DURE_CHECK).
void CheckVectors(VectorSpan vectors);

}  // namespace dure

#endif  // DURE_AGGREGATION_ROBUST_RULE_H_
