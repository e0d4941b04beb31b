#include "aggregation/krum.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/ranges.h"

namespace dure {
namespace {

// Coordinates at a time, so that those of 100 vectors stay in the cache beside each other.
constexpr size_t kBlock = 1024;
// Sums that grow side by side.
constexpr size_t kLanes = 8;
// Coordinates of all pairs that are worth a thread of their own.
constexpr uint64_t kWorkForThread = 1 << 16;
// So that a share such as 0.29 of 100, which binary64 makes 28.999..., counts as 29.
constexpr double kRoundingSlack = 1e-9;

// The difference is taken in binary64: in binary32 it could be infinite.
double SquaredDistance(const float* a, const float* b, size_t size) {
  double sums[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const double difference = double{a[i + lane]} - double{b[i + lane]};
      sums[lane] += difference * difference;
    }
  }
  double sum = std::accumulate(sums, sums + kLanes, 0.0);
  for (; i < size; ++i) {
    const double difference = double{a[i]} - double{b[i]};
    sum += difference * difference;
  }
  return sum;
}

// Squared, each twice, row by row.
std::vector<double> AllDistances(VectorSpan vectors) {
  const size_t m = vectors.size(), d = vectors[0].size();
  std::vector<double> distances(m * m);
  // Vector 0 has nothing before it and the last has all, so that rows are taken from both ends.
  const auto measure = [&](const Range& range) {
    for (size_t first = 0; first < d; first += kBlock) {
      const size_t size = std::min(kBlock, d - first);
      for (uint64_t i = range.begin; i < range.end; ++i) {
        const size_t a = i % 2 == 0 ? i / 2 : m - 1 - i / 2;
        for (size_t b = 0; b < a; ++b) {
          distances[a * m + b] +=
              SquaredDistance(vectors[a].data() + first, vectors[b].data() + first, size);
        }
      }
    }
  };
  ForEachRange({.begin = 0, .end = m}, {.least = kWorkForThread / (m * (d + 1)) + 1}, measure);
  for (size_t a = 0; a < m; ++a) {
    for (size_t b = 0; b < a; ++b) distances[b * m + a] = distances[a * m + b];
  }
  return distances;
}

uint32_t PresumedPoisoned(const RobustParams& params, uint32_t vectors) {
  const auto share = static_cast<uint32_t>(params.max_poisoned * vectors + kRoundingSlack);
  return std::max(1u, share);
}

absl::StatusOr<uint32_t> BorneByKrum(const RobustParams&, uint32_t vectors) {
  return AtLeastOne(MostBesideNeighbours(vectors), kKrumRule.name, vectors, 5);
}

absl::StatusOr<uint32_t> BorneByMultiKrum(const RobustParams& params, uint32_t vectors) {
  const uint32_t most = MostBesideNeighbours(vectors);
  const absl::StatusOr<uint32_t> any = AtLeastOne(most, kMultiKrumRule.name, vectors, 5);
  const uint32_t presumed = PresumedPoisoned(params, vectors);
  if (!any.ok() || presumed <= most) return any.ok() ? presumed : any;
  return absl::FailedPreconditionError(
      absl::StrCat("of ", vectors, " vectors Multi-Krum bears at most ", most,
                   " poisoned ones; a share of ", params.max_poisoned, " is ", presumed,
                   ", which needs ", 2 * presumed + 3, " or more, or a lower max_poisoned"));
}

// How many of `vectors` Multi-Krum averages, at least one.
uint32_t Kept(uint32_t poisoned, uint32_t vectors) {
  return vectors > poisoned + 2 ? vectors - poisoned - 2 : 1;
}

// With fewer vectors than planned, as many as those bear.
uint32_t PoisonedNow(const RobustParams& params, uint32_t vectors) {
  return std::min(PresumedPoisoned(params, vectors), MostBesideNeighbours(vectors));
}

}  // namespace

std::vector<size_t> KrumOrder(VectorSpan vectors, uint32_t poisoned) {
  CheckVectors(vectors);
  const size_t m = vectors.size();
  std::vector<size_t> order(m);
  std::iota(order.begin(), order.end(), size_t{0});
  if (m == 1) return order;
  std::vector<double> distances = AllDistances(vectors);
  const size_t nearest = m > size_t{poisoned} + 3 ? m - poisoned - 2 : 1;
  std::vector<double> scores(m);
  for (size_t a = 0; a < m; ++a) {
    // The first after sorting is the distance to itself, 0.
    double* row = distances.data() + a * m;
    std::sort(row, row + m);
    scores[a] = std::accumulate(row + 1, row + 1 + nearest, 0.0);
  }
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    if (scores[a] != scores[b]) return scores[a] < scores[b];
    return vectors[a] != vectors[b] ? vectors[a] < vectors[b] : a < b;
  });
  return order;
}

size_t Krum(VectorSpan vectors, uint32_t poisoned) { return KrumOrder(vectors, poisoned)[0]; }

std::vector<float> MultiKrum(VectorSpan vectors, uint32_t poisoned, size_t kept) {
  DURE_CHECK(kept >= 1 && kept <= vectors.size());
  std::vector<size_t> order = KrumOrder(vectors, poisoned);
  order.resize(kept);
  std::vector<float> mean(vectors[0].size());
  const auto average = [&](const Range& range) {
    std::vector<double> sums(std::min<uint64_t>(kBlock, range.size()));
    for (uint64_t first = range.begin; first < range.end; first += kBlock) {
      const size_t size = std::min<uint64_t>(kBlock, range.end - first);
      std::fill(sums.begin(), sums.end(), 0.0);
      for (const size_t v : order) {
        for (size_t i = 0; i < size; ++i) sums[i] += vectors[v][first + i];
      }
      for (size_t i = 0; i < size; ++i) {
        mean[first + i] = static_cast<float>(sums[i] / static_cast<double>(kept));
      }
    }
  };
  ForEachRange({.begin = 0, .end = mean.size()}, {.least = kWorkForThread / kept + 1}, average);
  return mean;
}

const RobustRule kKrumRule = {
    .name = "Krum",
    .borne = BorneByKrum,
    .combine =
        [](const RobustParams&, VectorSpan vectors) {
          const auto m = static_cast<uint32_t>(vectors.size());
          return vectors[Krum(vectors, MostBesideNeighbours(m))];
        },
    .noise =
        [](const RobustParams&, uint32_t vectors) {
          return std::sqrt(static_cast<double>(vectors));  // one of them
        },
};

const RobustRule kMultiKrumRule = {
    .name = "Multi-Krum",
    .borne = BorneByMultiKrum,
    .combine =
        [](const RobustParams& params, VectorSpan vectors) {
          const auto m = static_cast<uint32_t>(vectors.size());
          const uint32_t poisoned = PoisonedNow(params, m);
          return MultiKrum(vectors, poisoned, Kept(poisoned, m));
        },
    .noise =
        [](const RobustParams& params, uint32_t vectors) {
          const double kept = Kept(PoisonedNow(params, vectors), vectors);
          return std::sqrt(vectors / kept);
        },
};

}  // namespace dure
