#include "aggregation/coordinate_rule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "base/check.h"
#include "base/ranges.h"

namespace dure {
namespace {

// Coordinates that are sorted side by side: a few registers, and with 100 vectors still 13 kB.
constexpr size_t kLanes = 32;
// Numbers that are worth a thread of their own.
constexpr uint64_t kNumbersForThread = 1 << 16;
// So that a share such as 0.29 of 100, which binary64 makes 28.999..., counts as 29.
constexpr double kRoundingSlack = 1e-9;

using Comparators = std::vector<std::pair<uint32_t, uint32_t>>;

// Which places to compare, and to exchange if the first holds more, so that any `count` numbers are
// sorted: Batcher's merge exchange (Knuth, The Art of Computer Programming 3, algorithm 5.2.2M).
Comparators MergeExchange(uint32_t count) {
  Comparators result;
  uint32_t top = 1;
  while (2 * top < count) top *= 2;
  for (uint32_t p = top; p > 0 && count > 1; p /= 2) {
    uint32_t r = 0, d = p;
    for (uint32_t q = top;; q /= 2) {
      for (uint32_t i = 0; i + d < count; ++i) {
        if ((i & p) == r) result.emplace_back(i, i + d);
      }
      if (q == p) break;
      d = q - p;
      r = p;
    }
  }
  return result;
}

// Written so that compilers make vector instructions of it. Of zeros of both signs it may keep one
// sign twice, which no sum shows.
void CompareExchange(float* __restrict low, float* __restrict high) {
  for (size_t lane = 0; lane < kLanes; ++lane) {
    const float a = low[lane], b = high[lane];
    low[lane] = std::min(a, b);
    high[lane] = std::max(a, b);
  }
}

// Sorts each column of `rows`, which are kLanes long.
void SortColumns(const Comparators& comparators, float* rows) {
  for (const auto& [first, second] : comparators) {
    CompareExchange(rows + first * kLanes, rows + second * kLanes);
  }
}

absl::StatusOr<uint32_t> BorneByTrimmedMean(const RobustParams& params, uint32_t vectors) {
  return AtLeastOne(TrimmedVectors(params.trim, vectors), kTrimmedMeanRule.name, vectors, 3);
}

}  // namespace

std::vector<float> CoordinateMedian(VectorSpan vectors) {
  // The mean of the one or two values in the middle.
  return TrimmedMean(vectors, static_cast<uint32_t>((vectors.size() - 1) / 2));
}

std::vector<float> TrimmedMean(VectorSpan vectors, uint32_t trim) {
  CheckVectors(vectors);
  DURE_CHECK(2 * size_t{trim} < vectors.size());
  const size_t m = vectors.size();
  const double kept = static_cast<double>(m - 2 * size_t{trim});
  const Comparators comparators = MergeExchange(static_cast<uint32_t>(m));
  std::vector<float> mean(vectors[0].size());
  const auto sort = [&](const Range& range) {
    std::vector<float> rows(m * kLanes);
    for (uint64_t first = range.begin; first < range.end; first += kLanes) {
      const size_t lanes = std::min<uint64_t>(kLanes, range.end - first);
      for (size_t v = 0; v < m; ++v) {
        std::copy_n(vectors[v].begin() + static_cast<std::ptrdiff_t>(first), lanes,
                    rows.begin() + static_cast<std::ptrdiff_t>(v * kLanes));
      }
      SortColumns(comparators, rows.data());
      double sums[kLanes] = {};
      for (size_t v = trim; v < m - trim; ++v) {
        const float* row = rows.data() + v * kLanes;
        for (size_t lane = 0; lane < kLanes; ++lane) sums[lane] += row[lane];
      }
      for (size_t lane = 0; lane < lanes; ++lane) {
        mean[first + lane] = static_cast<float>(sums[lane] / kept);
      }
    }
  };
  ForEachRange({.begin = 0, .end = mean.size()},
               {.least = kNumbersForThread / m + 1, .multiple = kLanes}, sort);
  return mean;
}

uint32_t TrimmedVectors(double trim, uint32_t vectors) {
  const auto share = static_cast<uint32_t>(trim * vectors + kRoundingSlack);
  return std::min(std::max(1u, share), MostInMinority(vectors));
}

const RobustRule kMedianRule = {
    .name = "the median",
    .borne =
        [](const RobustParams&, uint32_t vectors) {
          return AtLeastOne(MostInMinority(vectors), kMedianRule.name, vectors, 3);
        },
    .combine = [](const RobustParams&, VectorSpan vectors) { return CoordinateMedian(vectors); },
    .noise = [](const RobustParams&, uint32_t) { return std::sqrt(std::numbers::pi / 2); },
};

const RobustRule kTrimmedMeanRule = {
    .name = "the trimmed mean",
    .borne = BorneByTrimmedMean,
    .combine =
        [](const RobustParams& params, VectorSpan vectors) {
          return TrimmedMean(vectors,
                             TrimmedVectors(params.trim, static_cast<uint32_t>(vectors.size())));
        },
    .noise = [](const RobustParams&, uint32_t) { return 1.0; },
};

}  // namespace dure
