// From the opened sums to the mean update, by the terms of the attempt: central noise where the
// coordinator is trusted to add it, the divisor, the rotation back, the count of adaptive clipping
// (docs/secure-aggregation.md sections 2.1 and 2.4), and the robust rule over groups. Thread-safe:
// a pure function.
#ifndef DURE_COORDINATOR_MEAN_UPDATE_H_
#define DURE_COORDINATOR_MEAN_UPDATE_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/ring.h"
#include "crypto/random.h"
#include "federation/terms/terms.h"

namespace dure {

// The opened sum of the cohort, or of one group of it.
struct GroupSum {
  RingVector sum;
  uint32_t survivors = 0;  // whose inputs are in it; at least 1
  double share = 1;        // of the roster, that was in this group
};

// The direction to add. Where it can, it is worked out as it is read, from the sum that it keeps: a
// vector of it would be as long as the model.
struct MeanUpdate {
  uint64_t size = 0;  // terms.update_dim
  // Writes coordinates first, first + 1, ...; from any number of threads.
  std::function<void(uint64_t first, std::span<float> out)> read;
  double count_mean = 0;  // of the count coordinate over the members (dp::AdaptiveClip)

  // Coordinates first to first + count - 1.
  std::vector<float> Part(uint64_t first, uint64_t count) const;
  std::vector<float> Whole() const { return Part(0, size); }
};

// `sums`, at least one; several only by terms with a robust rule, which then combines their mean
// updates. `rotation_seed` of the RoundConfig. `random` is for central noise only.
// FailedPrecondition if nobody's weight is in a weighted sum. The sizes are the engine's own
// (DURE_CHECK).
absl::StatusOr<MeanUpdate> ToMeanUpdate(std::vector<GroupSum> sums, const RoundTerms& terms,
                                        const std::string& rotation_seed, Random& random);

}  // namespace dure

#endif  // DURE_COORDINATOR_MEAN_UPDATE_H_
