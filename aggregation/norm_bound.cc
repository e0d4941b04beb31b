#include "aggregation/norm_bound.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "base/check.h"
#include "base/ranges.h"

namespace dure {
namespace {

// Numbers that are worth a thread of their own.
constexpr uint64_t kNumbersForThread = 1 << 16;
constexpr size_t kBlock = 1024;
// Sums that grow side by side.
constexpr size_t kLanes = 4;

double Norm(const std::vector<float>& vector) {
  double sums[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= vector.size(); i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      sums[lane] += double{vector[i + lane]} * double{vector[i + lane]};
    }
  }
  for (; i < vector.size(); ++i) sums[0] += double{vector[i]} * double{vector[i]};
  return std::sqrt(std::accumulate(sums, sums + kLanes, 0.0));
}

// Sum of the vectors, each times its factor.
std::vector<float> WeightedSum(VectorSpan vectors, std::span<const double> factors) {
  std::vector<float> result(vectors[0].size());
  const auto add = [&](const Range& range) {
    double sums[kBlock];
    for (uint64_t first = range.begin; first < range.end; first += kBlock) {
      const size_t size = std::min<uint64_t>(kBlock, range.end - first);
      std::fill(sums, sums + size, 0.0);
      for (size_t v = 0; v < vectors.size(); ++v) {
        const float* from = vectors[v].data() + first;
        for (size_t i = 0; i < size; ++i) sums[i] += factors[v] * from[i];
      }
      for (size_t i = 0; i < size; ++i) result[first + i] = static_cast<float>(sums[i]);
    }
  };
  ForEachRange({.begin = 0, .end = result.size()},
               {.least = kNumbersForThread / vectors.size() + 1}, add);
  return result;
}

// `bound` may be 0 where a norm is: what is no longer stays as it is.
std::vector<float> Bounded(VectorSpan vectors, std::span<const double> norms, double bound) {
  std::vector<double> factors;
  const double m = static_cast<double>(vectors.size());
  for (const double norm : norms) factors.push_back(norm > bound ? bound / norm / m : 1 / m);
  return WeightedSum(vectors, factors);
}

}  // namespace

std::vector<double> Norms(VectorSpan vectors) {
  CheckVectors(vectors);
  std::vector<double> norms(vectors.size());
  ForEachRange({.begin = 0, .end = norms.size()},
               {.least = kNumbersForThread / (vectors[0].size() + 1) + 1}, [&](const Range& range) {
                 for (uint64_t v = range.begin; v < range.end; ++v) norms[v] = Norm(vectors[v]);
               });
  return norms;
}

std::vector<float> NormBoundedMean(VectorSpan vectors, double bound) {
  DURE_CHECK(std::isfinite(bound) && bound > 0);
  return Bounded(vectors, Norms(vectors), bound);
}

std::vector<float> NormBoundedMean(VectorSpan vectors) {
  const std::vector<double> norms = Norms(vectors);
  std::vector<double> sorted = norms;
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>((sorted.size() - 1) / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  return Bounded(vectors, norms, *middle);
}

const RobustRule kNormBoundRule = {
    .name = "the norm bound",
    .borne =
        [](const RobustParams&, uint32_t vectors) {
          return AtLeastOne(MostInMinority(vectors), kNormBoundRule.name, vectors, 3);
        },
    .combine =
        [](const RobustParams& params, VectorSpan vectors) {
          return params.norm_bound > 0 ? NormBoundedMean(vectors, params.norm_bound)
                                       : NormBoundedMean(vectors);
        },
    .noise = [](const RobustParams&, uint32_t) { return 1.0; },
    .limits =
        "It bounds lengths only: poisoned updates as long as honest ones count like honest "
        "ones, in any direction",
};

}  // namespace dure
