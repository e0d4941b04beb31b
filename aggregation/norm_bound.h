// Norm bounding (Sun, Kairouz, Suresh and McMahan, "Can you really backdoor federated learning?",
// 2019): vectors longer than a bound are shortened to it, then all are averaged. The bound is
// agreed, or it is the median of the norms, which no minority of poisoned vectors moves beyond the
// honest ones. Against vectors that are long, not against those that point elsewhere: each poisoned
// vector moves the mean by at most 2 bound / m. Thread-safe: pure functions.
#ifndef DURE_AGGREGATION_NORM_BOUND_H_
#define DURE_AGGREGATION_NORM_BOUND_H_

#include <vector>

#include "aggregation/robust_rule.h"

namespace dure {

// The L2 norm of each vector.
std::vector<double> Norms(VectorSpan vectors);

// The mean of the vectors, each of norm at most `bound`, which is above 0 and finite (DURE_CHECK).
std::vector<float> NormBoundedMean(VectorSpan vectors, double bound);

// The same by the median of the norms; of an even number the smaller of the middle two.
std::vector<float> NormBoundedMean(VectorSpan vectors);

extern const RobustRule kNormBoundRule;

}  // namespace dure

#endif  // DURE_AGGREGATION_NORM_BOUND_H_
