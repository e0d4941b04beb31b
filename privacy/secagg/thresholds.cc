#include "privacy/secagg/thresholds.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace dure::secagg {

absl::StatusOr<Thresholds> ComputeThresholds(uint32_t members, uint32_t max_corrupt,
                                             uint32_t minimum_sum) {
  if (members < kMinMembers) {
    return absl::FailedPreconditionError(absl::StrCat("secure aggregation with ", members,
                                                      " members: the limit is ", kMinMembers,
                                                      " or more; invite more members"));
  }
  if (members > kMaxMembers) {
    return absl::FailedPreconditionError(absl::StrCat("secure aggregation with ", members,
                                                      " members: the limit is ", kMaxMembers,
                                                      "; use a smaller cohort"));
  }
  if (max_corrupt == 0) {
    return absl::FailedPreconditionError(
        "secure aggregation with max_corrupt 0: at least 1 member must be assumed to collude with "
        "the coordinator; raise max_corrupt");
  }
  // Before the arithmetic below, so that it cannot overflow.
  if (max_corrupt >= members || minimum_sum > members) {
    return absl::FailedPreconditionError(absl::StrCat(
        "secure aggregation with ", members, " members, max_corrupt ", max_corrupt,
        " and a minimum of ", minimum_sum, ": max_corrupt must be below the number of members and ",
        "the minimum not above it; lower them or invite more members"));
  }
  Thresholds result;
  result.neighbours = members - 1;
  result.quorum = (members + max_corrupt) / 2 + 1;
  result.threshold = std::max({max_corrupt + 1, 2u, result.quorum - 1});
  result.sum_minimum =
      std::max({minimum_sum, result.quorum, result.threshold + 1, max_corrupt + 2});
  if (result.sum_minimum > members) {
    return absl::FailedPreconditionError(
        absl::StrCat("secure aggregation with ", members, " members and max_corrupt ", max_corrupt,
                     " opens sums of ", result.sum_minimum, " or more inputs (quorum ",
                     result.quorum, ", threshold ", result.threshold, "), which ", members,
                     " members cannot give; lower max_corrupt or invite more members"));
  }
  return result;
}

}  // namespace dure::secagg
