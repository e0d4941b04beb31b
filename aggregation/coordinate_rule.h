// Coordinate-wise median and trimmed mean (Yin, Chen, Ramchandran and Bartlett, "Byzantine-robust
// distributed learning", ICML 2018). Each coordinate is sorted by itself: blocks of coordinates at
// a time, by a sorting network that treats all of a block alike, on all cores. Beside the vectors
// there is only the result. Thread-safe: pure functions.
#ifndef DURE_AGGREGATION_COORDINATE_RULE_H_
#define DURE_AGGREGATION_COORDINATE_RULE_H_

#include <cstdint>
#include <vector>

#include "aggregation/robust_rule.h"

namespace dure {

// The median of each coordinate; of an even number of vectors the mean of the middle two. Moves no
// further than honest vectors reach while fewer than half are poisoned.
std::vector<float> CoordinateMedian(VectorSpan vectors);

// The mean of each coordinate without its `trim` smallest and `trim` largest values,
// 2 trim < number of vectors (DURE_CHECK). Bears `trim` poisoned vectors.
std::vector<float> TrimmedMean(VectorSpan vectors, uint32_t trim);

// How many of `vectors` a trimmed mean by this share leaves out at each end: the share rounded
// down, but at least one where that leaves any.
uint32_t TrimmedVectors(double trim, uint32_t vectors);

extern const RobustRule kMedianRule;
extern const RobustRule kTrimmedMeanRule;

}  // namespace dure

#endif  // DURE_AGGREGATION_COORDINATE_RULE_H_
