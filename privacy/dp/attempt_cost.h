// What one attempt costs whoever is protected, as the few numbers from which anybody can compute it
// again: the noise, the most that one record or one member can move what is released, and how
// often. Every accountant of a run goes through here: `dure check`, the coordinator, the member and
// the ledger of a data set (docs/privacy.md).
//
// Accounting, per use of the mechanism (docs/secure-aggregation.md sections 2.2 to 2.4):
//   parties > 1, q = 1   sum of discrete Gaussians (Kairouz, Liu, Steinke 2021)
//   parties > 1, q < 1   the same through Poisson subsampling (Zhu, Wang 2019, Theorem 5)
//   parties = 1, any q   one discrete Gaussian: at integer orders its moments are those of the
//                        continuous one, so the closed form of Mironov, Talwar, Zhang 2019 is exact
// Thread-safe: values and pure functions.
#ifndef DURE_PRIVACY_DP_ATTEMPT_COST_H_
#define DURE_PRIVACY_DP_ATTEMPT_COST_H_

#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "privacy/dp/rdp.h"

namespace dure::dp {

struct AttemptCost {
  uint64_t dim = 0;            // d, coordinates that carry noise
  uint32_t parties = 0;        // h, whose noise counts
  uint64_t sigma2 = 0;         // variance parameter of each party's noise; 0: no noise
  uint64_t norm_bound_sq = 0;  // B^2, of what one protected unit changes, on the same grid
  double sampling_rate = 1;    // q, secret Poisson coins
  uint32_t uses = 1;           // of the mechanism in one attempt: the local steps of dp_sgd

  friend bool operator==(const AttemptCost&, const AttemptCost&) = default;
};

// InvalidArgument, naming the field, unless dim, parties, norm_bound_sq and uses are at least 1,
// dim <= 2^32, sigma2 <= 2^40, 0 < sampling_rate <= 1.
absl::Status ValidateAttemptCost(const AttemptCost& cost);

// RDP of one attempt at `orders`, ascending integers from 2 on; without gaps if q < 1 and
// parties > 1 (SubsampledOrders() always serves). Infinite without noise.
// Precondition: ValidateAttemptCost.
RdpCurve CurveOf(const AttemptCost& cost, std::span<const int> orders);

// The orders that serve one cost best: SubsampledOrders() where subsampling needs them, else
// AllOrders().
std::span<const int> OrdersFor(const AttemptCost& cost);

}  // namespace dure::dp

#endif  // DURE_PRIVACY_DP_ATTEMPT_COST_H_
