// The geometric median, or RFA (Pillutla, Kakade and Harchaoui, "Robust aggregation for federated
// learning", 2019, IEEE TSP 2022): the point whose distances to all vectors have the smallest sum,
// by the smoothed Weiszfeld algorithm. Thread-safe: pure functions.
//
// From the coordinate-wise median, which no minority moves far, so that a few steps suffice however
// far the poisoned vectors are. Each step is the mean of the vectors, each weighted by
// 1 / max(nu, its distance), nu a millionth of the median distance from the start. A step reads the
// vectors once; the steps end when no weight changes by more than a 10^7th of their sum, after
// kMostGeometricSteps at the latest. The result does not depend on the number of threads. Beside
// the vectors there are the result and one number for each vector and 1024 coordinates.
#ifndef DURE_AGGREGATION_GEOMETRIC_MEDIAN_H_
#define DURE_AGGREGATION_GEOMETRIC_MEDIAN_H_

#include <vector>

#include "aggregation/robust_rule.h"

namespace dure {

inline constexpr int kMostGeometricSteps = 64;

// Moves no further than a multiple of what honest vectors reach while fewer than half are poisoned;
// the multiple is 2 (m - f) / (m - 2 f).
std::vector<float> GeometricMedian(VectorSpan vectors);

extern const RobustRule kGeometricMedianRule;

}  // namespace dure

#endif  // DURE_AGGREGATION_GEOMETRIC_MEDIAN_H_
