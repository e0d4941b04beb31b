#include "aggregation/geometric_median.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <span>

#include "aggregation/coordinate_rule.h"
#include "base/ranges.h"

namespace dure {
namespace {

// Coordinates at a time: those of 100 vectors stay in the cache between weighing and measuring.
// Distances are added up block by block, whichever thread had which, so that they are always the
// same.
constexpr size_t kBlock = 1024;
// Numbers that are worth a thread of their own.
constexpr uint64_t kNumbersForThread = 1 << 16;
// nu, as a share of the median distance from the start.
constexpr double kSmoothing = 1e-6;
// Weights, which add up to 1, that change by no more are done.
constexpr double kSettled = 1e-7;

class Weiszfeld {
 public:
  explicit Weiszfeld(VectorSpan vectors)
      : vectors_(vectors),
        dim_(vectors[0].size()),
        blocks_((dim_ + kBlock - 1) / kBlock),
        partial_(blocks_ * vectors.size()) {}

  // The distances from `point`.
  std::vector<double> From(const std::vector<float>& point) {
    return Measure([&](size_t first, std::span<double> out) {
      for (size_t i = 0; i < out.size(); ++i) out[i] = point[first + i];
    });
  }

  // The distances from the weighted mean of the vectors.
  std::vector<double> FromMean(std::span<const double> weights) {
    return Measure([&](size_t first, std::span<double> out) { Mean(weights, first, out); });
  }

  std::vector<float> Point(std::span<const double> weights) const {
    std::vector<float> point(dim_);
    EachBlock([&](size_t, size_t first, std::span<double> scratch) {
      Mean(weights, first, scratch);
      for (size_t i = 0; i < scratch.size(); ++i) point[first + i] = static_cast<float>(scratch[i]);
    });
    return point;
  }

 private:
  void EachBlock(const std::function<void(size_t block, size_t first, std::span<double> scratch)>&
                     work) const {
    const auto run = [&](const Range& range) {
      double scratch[kBlock];
      for (uint64_t block = range.begin; block < range.end; ++block) {
        const size_t first = block * kBlock;
        work(block, first, std::span(scratch, std::min(kBlock, dim_ - first)));
      }
    };
    ForEachRange({.begin = 0, .end = blocks_},
                 {.least = kNumbersForThread / (kBlock * vectors_.size()) + 1}, run);
  }

  void Mean(std::span<const double> weights, size_t first, std::span<double> out) const {
    std::fill(out.begin(), out.end(), 0.0);
    for (size_t v = 0; v < vectors_.size(); ++v) {
      const double weight = weights[v];
      const float* from = vectors_[v].data() + first;
      for (size_t i = 0; i < out.size(); ++i) out[i] += weight * from[i];
    }
  }

  std::vector<double> Measure(
      const std::function<void(size_t first, std::span<double> out)>& centre) {
    const size_t m = vectors_.size();
    EachBlock([&](size_t block, size_t first, std::span<double> point) {
      centre(first, point);
      for (size_t v = 0; v < m; ++v) {
        const float* from = vectors_[v].data() + first;
        double sums[4] = {};  // side by side
        size_t i = 0;
        for (; i + 4 <= point.size(); i += 4) {
          for (size_t lane = 0; lane < 4; ++lane) {
            const double difference = from[i + lane] - point[i + lane];
            sums[lane] += difference * difference;
          }
        }
        for (; i < point.size(); ++i) {
          const double difference = from[i] - point[i];
          sums[0] += difference * difference;
        }
        partial_[block * m + v] = (sums[0] + sums[1]) + (sums[2] + sums[3]);
      }
    });
    std::vector<double> distances(m);
    for (size_t block = 0; block < blocks_; ++block) {
      for (size_t v = 0; v < m; ++v) distances[v] += partial_[block * m + v];
    }
    for (double& distance : distances) distance = std::sqrt(distance);
    return distances;
  }

  VectorSpan vectors_;
  size_t dim_;
  size_t blocks_;
  std::vector<double> partial_;  // squared distances: a row for each block
};

double LowerMedian(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::vector<double> Weights(std::span<const double> distances, double nu) {
  std::vector<double> weights;
  double sum = 0;
  for (const double distance : distances) {
    weights.push_back(1 / std::max(nu, distance));
    sum += weights.back();
  }
  for (double& weight : weights) weight /= sum;
  return weights;
}

double LargestChange(std::span<const double> before, std::span<const double> after) {
  double largest = 0;
  for (size_t v = 0; v < before.size(); ++v) {
    largest = std::max(largest, std::abs(after[v] - before[v]));
  }
  return largest;
}

}  // namespace

std::vector<float> GeometricMedian(VectorSpan vectors) {
  CheckVectors(vectors);
  std::vector<float> start = CoordinateMedian(vectors);
  Weiszfeld weiszfeld(vectors);
  const std::vector<double> distances = weiszfeld.From(start);
  const double nu = kSmoothing * LowerMedian(distances);
  if (nu == 0) return start;  // at least half of the vectors are there: nothing is nearer to all
  std::vector<double> weights = Weights(distances, nu);
  for (int step = 1; step < kMostGeometricSteps; ++step) {
    std::vector<double> next = Weights(weiszfeld.FromMean(weights), nu);
    const double change = LargestChange(weights, next);
    weights = std::move(next);
    if (change <= kSettled) break;
  }
  return weiszfeld.Point(weights);
}

const RobustRule kGeometricMedianRule = {
    .name = "the geometric median",
    .borne =
        [](const RobustParams&, uint32_t vectors) {
          return AtLeastOne(MostInMinority(vectors), kGeometricMedianRule.name, vectors, 3);
        },
    .combine = [](const RobustParams&, VectorSpan vectors) { return GeometricMedian(vectors); },
    .noise = [](const RobustParams&, uint32_t) { return 1.0; },  // in many coordinates
};

}  // namespace dure
