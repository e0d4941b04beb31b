// Rules that combine vectors of which a few may be poisoned: coordinate-wise median and trimmed
// mean (Yin, Chen, Ramchandran and Bartlett, ICML 2018) and Krum (Blanchard, El Mhamdi, Guerraoui
// and Stainer, NeurIPS 2017). The vectors are the means of groups, or single updates. Thread-safe:
// pure functions.
#ifndef DURE_AGGREGATION_ROBUST_RULE_H_
#define DURE_AGGREGATION_ROBUST_RULE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace dure {

// All three: at least one vector, all of one length, all finite (DURE_CHECK for the first two).

// The median of each coordinate; of an even number of vectors the mean of the middle two. Moves no
// further than honest vectors reach while fewer than half are poisoned.
std::vector<float> CoordinateMedian(std::span<const std::vector<float>> vectors);

// The mean of each coordinate without its `trim` smallest and `trim` largest values,
// 2 trim < number of vectors (DURE_CHECK). Bears `trim` poisoned vectors.
std::vector<float> TrimmedMean(std::span<const std::vector<float>> vectors, uint32_t trim);

// Which vector has the smallest sum of squared distances to the m - poisoned - 2 nearest others
// (to the nearest, if that is less than one); the first of equals. Bears `poisoned` vectors of
// m >= 2 poisoned + 3.
size_t Krum(std::span<const std::vector<float>> vectors, uint32_t poisoned);

}  // namespace dure

#endif  // DURE_AGGREGATION_ROBUST_RULE_H_
