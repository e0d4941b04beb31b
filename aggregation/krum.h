// Krum and Multi-Krum (Blanchard, El Mhamdi, Guerraoui and Stainer, "Machine learning with
// adversaries: Byzantine tolerant gradient descent", NeurIPS 2017): the vectors that lie nearest to
// most others. With m vectors and f poisoned, the score of one is the sum of its squared distances
// to the m - f - 2 nearest others. All m (m - 1) / 2 distances are computed once, on all cores;
// beside the vectors there are m^2 numbers and the result. Thread-safe: pure functions.
#ifndef DURE_AGGREGATION_KRUM_H_
#define DURE_AGGREGATION_KRUM_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "aggregation/robust_rule.h"

namespace dure {

// The vectors by their scores, the smallest first; of equals the one that is smaller in the first
// coordinate that differs, so that the order in which they came does not matter. With fewer than
// `poisoned` + 4 vectors the nearest other alone counts. Bears `poisoned` vectors of
// m >= 2 poisoned + 3.
std::vector<size_t> KrumOrder(VectorSpan vectors, uint32_t poisoned);

// The first of KrumOrder.
size_t Krum(VectorSpan vectors, uint32_t poisoned);

// The mean of the first `kept` of KrumOrder, 1 to m (DURE_CHECK). With kept <= m - poisoned - 2
// (Damaskinos et al., "AggregaThor", MLSys 2019) it bears what Krum bears, with less noise.
std::vector<float> MultiKrum(VectorSpan vectors, uint32_t poisoned, size_t kept);

extern const RobustRule kKrumRule;       // poisoned: as many as m bears
extern const RobustRule kMultiKrumRule;  // poisoned: max_poisoned of m; kept: m - poisoned - 2

}  // namespace dure

#endif  // DURE_AGGREGATION_KRUM_H_
