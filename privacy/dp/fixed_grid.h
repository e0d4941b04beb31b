// Updates without noise of their own, as integers (docs/secure-aggregation.md section 2.1, last
// line): unit = none, and the results of local DP-SGD, whose noise is in the local steps.
//
//   v_j = round(s w min(max(u_j, -R), R)),
//
// s a power of two, R a public bound on any coordinate, w the member's weight over the largest,
// round to the nearest integer. Where the federation chose coarse numbers, to one of the two
// neighbours at random, so that the mean over many members is right: floor(x + U), U uniform on
// [0, 1). A simulation without masks uses the same grid. Thread-safe: pure functions. The way back
// is DecodeMean (privacy/dp/record_gradient.h) with the number of members as the divisor; of
// weighted ones, the sum of the weights over the largest.
#ifndef DURE_PRIVACY_DP_FIXED_GRID_H_
#define DURE_PRIVACY_DP_FIXED_GRID_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "crypto/random.h"

namespace dure::dp {

struct FixedGrid {
  int scale_log2 = 0;  // log2 s, 0 to 30
  double range = 8;    // R, above 0; s R is at most 2^31 - 1
};

// The largest s = 2^k with members s range < 2^31, and, unless number_bits is 0, with which s range
// has at most so many bits, the sign included.
// InvalidArgument unless members >= 1, range is positive and finite, and there is such an s >= 1;
// or, with the widths that work, if s range has fewer bits whatever s.
absl::StatusOr<FixedGrid> DeriveFixedGrid(uint32_t members, double range, int number_bits = 0);

struct GridUpdate {
  std::vector<uint32_t> words;  // mod 2^32; see RingFromWords (privacy/dp/client_update.h)
  uint64_t saturated = 0;       // coordinates that were outside -R to R
};

struct GridUpdateParams {
  FixedGrid grid;
  double weight = 1;  // w = w_i / w_max, 0 to 1
  // Appended as it is where members are weighted: w_i, at most 2^31 - 1.
  bool append_weight = false;
  uint32_t weight_coordinate = 0;
  int threads = 1;  // 0: as many as the machine has
  // For rounding at random; borrowed. Null: to the nearest.
  AesCtrRandom* coins = nullptr;
};

// FailedPrecondition, naming the first such coordinate, if one is not a number or infinite: the
// member leaves the round. Precondition (DURE_CHECK): params in range, update not empty.
absl::StatusOr<GridUpdate> EncodeOnGrid(std::span<const float> update,
                                        const GridUpdateParams& params);

}  // namespace dure::dp

#endif  // DURE_PRIVACY_DP_FIXED_GRID_H_
