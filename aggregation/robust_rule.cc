#include "aggregation/robust_rule.h"

#include <algorithm>

#include "base/check.h"

namespace dure {
namespace {

using Vectors = std::span<const std::vector<float>>;

void CheckVectors(Vectors vectors) {
  DURE_CHECK(!vectors.empty());
  for (const std::vector<float>& vector : vectors) DURE_CHECK(vector.size() == vectors[0].size());
}

double SquaredDistance(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = double{a[i]} - double{b[i]};
    sum += difference * difference;
  }
  return sum;
}

}  // namespace

std::vector<float> CoordinateMedian(Vectors vectors) {
  // The mean of the one or two values in the middle.
  return TrimmedMean(vectors, static_cast<uint32_t>((vectors.size() - 1) / 2));
}

std::vector<float> TrimmedMean(Vectors vectors, uint32_t trim) {
  CheckVectors(vectors);
  DURE_CHECK(2 * size_t{trim} < vectors.size());
  const size_t kept = vectors.size() - 2 * size_t{trim};
  std::vector<float> mean(vectors[0].size());
  std::vector<float> column(vectors.size());
  for (size_t i = 0; i < mean.size(); ++i) {
    for (size_t v = 0; v < vectors.size(); ++v) column[v] = vectors[v][i];
    std::sort(column.begin(), column.end());
    double sum = 0;
    for (size_t v = trim; v < trim + kept; ++v) sum += column[v];
    mean[i] = static_cast<float>(sum / static_cast<double>(kept));
  }
  return mean;
}

size_t Krum(Vectors vectors, uint32_t poisoned) {
  CheckVectors(vectors);
  const size_t m = vectors.size();
  if (m == 1) return 0;
  std::vector<std::vector<double>> distances(m, std::vector<double>(m));
  for (size_t a = 0; a < m; ++a) {
    for (size_t b = 0; b < a; ++b) {
      distances[a][b] = distances[b][a] = SquaredDistance(vectors[a], vectors[b]);
    }
  }
  const size_t nearest = m > size_t{poisoned} + 3 ? m - poisoned - 2 : 1;
  size_t best = 0;
  double best_score = 0;
  for (size_t a = 0; a < m; ++a) {
    std::vector<double> others = distances[a];
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(a));
    std::sort(others.begin(), others.end());
    double score = 0;
    for (size_t i = 0; i < nearest; ++i) score += others[i];
    if (a == 0 || score < best_score) {
      best = a;
      best_score = score;
    }
  }
  return best;
}

}  // namespace dure
