// A lower bound on the epsilon of a mechanism, from counts. For tests only.
//
// Runs on two neighbouring inputs are compared by events "the statistic is at least t" and "below
// t", the thresholds t fixed beforehand. If P[E] >= low on one input and P[E] <= high on the other,
// every epsilon of the mechanism at this delta is at least ln((low - delta) / high). The limits are
// those of Clopper and Pearson 1934, each wrong with probability at most `false_alarm` / (4
// thresholds): a mechanism that keeps its promise is accused with probability below `false_alarm`.
#ifndef DURE_PRIVACY_DP_EPSILON_LOWER_BOUND_FOR_TEST_H_
#define DURE_PRIVACY_DP_EPSILON_LOWER_BOUND_FOR_TEST_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

namespace dure::dp {

// P[Bin(n, p) <= k] for p >= k / n: its terms fall from k downwards.
inline double BinomialLowerTail(int n, double p, int k) {
  if (k >= n) return 1;
  if (p >= 1) return 0;
  const double log_first = std::lgamma(n + 1.0) - std::lgamma(k + 1.0) - std::lgamma(n - k + 1.0) +
                           k * std::log(p) + (n - k) * std::log1p(-p);
  double term = 1, sum = 1;
  for (int i = k; i > 0 && term > sum * 1e-12; --i) {
    term *= i / (n - i + 1.0) * ((1 - p) / p);
    sum += term;
  }
  return std::min(1.0, std::exp(log_first) * sum);
}

// The largest p that k successes of n leave possible: P[Bin(n, p) <= k] = error.
inline double ClopperPearsonUpper(int n, int k, double error) {
  double possible = static_cast<double>(k) / n, impossible = 1;
  for (int i = 0; i < 40 && k < n; ++i) {
    const double middle = (possible + impossible) / 2;
    (BinomialLowerTail(n, middle, k) >= error ? possible : impossible) = middle;
  }
  return impossible;
}

inline double ClopperPearsonLower(int n, int k, double error) {
  return 1 - ClopperPearsonUpper(n, n - k, error);
}

struct EventsForTest {
  std::span<const int64_t> thresholds;
  double delta = 0;
  double false_alarm = 0;
};

// Statistics of equally many runs on each input; sorted here.
inline double EpsilonLowerBound(std::vector<int64_t> one, std::vector<int64_t> other,
                                const EventsForTest& events) {
  std::sort(one.begin(), one.end());
  std::sort(other.begin(), other.end());
  const int runs = static_cast<int>(one.size());
  const double error = events.false_alarm / (4.0 * static_cast<double>(events.thresholds.size()));
  double best = 0;
  // `likely` and `unlikely` are how often an event was seen on either input.
  auto consider = [&](int likely, int unlikely) {
    const double low = ClopperPearsonLower(runs, likely, error) - events.delta;
    if (low > 0) best = std::max(best, std::log(low / ClopperPearsonUpper(runs, unlikely, error)));
  };
  for (int64_t threshold : events.thresholds) {
    auto below = [&](const std::vector<int64_t>& sorted) {
      return static_cast<int>(std::lower_bound(sorted.begin(), sorted.end(), threshold) -
                              sorted.begin());
    };
    const int below_one = below(one), below_other = below(other);
    // Only the side that can give a positive bound.
    if (below_one > below_other) {
      consider(below_one, below_other);
      consider(runs - below_other, runs - below_one);
    } else {
      consider(below_other, below_one);
      consider(runs - below_one, runs - below_other);
    }
  }
  return best;
}

}  // namespace dure::dp

#endif  // DURE_PRIVACY_DP_EPSILON_LOWER_BOUND_FOR_TEST_H_
