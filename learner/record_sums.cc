#include "learner/record_sums.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/status_macros.h"
#include "learner/data/column_sums.h"
#include "learner/data/table.h"
#include "learner/each_output.h"

namespace dure {
namespace {

// Within 0 to 1; 1 for what is not a number.
double Share(double value, double bound) {
  const double share = value / bound;
  return share >= 0 && share <= 1 ? share : value < 0 ? 0 : 1;
}

}  // namespace

absl::StatusOr<std::vector<int64_t>> StatisticsSums(const DataFiles& table,
                                                    const StatisticsPlan& plan) {
  DURE_ASSIGN_OR_RETURN(Table read, ReadTable(table));
  DURE_ASSIGN_OR_RETURN(const ColumnSums sums, ColumnSums::Create(read.schema, plan.bins));
  return sums.Add(read, plan.grid_log2);
}

std::vector<int64_t> EvaluationSums(const TrainableModel& model, const DataView& data, int threads,
                                    const EvaluationPlan& plan) {
  DURE_CHECK(threads >= 1);
  const MetricSums places(model.loss(), model.classes());
  const auto count = static_cast<size_t>(threads);
  std::vector<std::vector<int64_t>> sums(count, std::vector<int64_t>(places.size()));
  std::vector<std::vector<double>> ones(count, std::vector<double>(places.size()));
  ForEachOutput(
      model, data, threads, [&](size_t thread, uint64_t i, std::span<const float> outputs) {
        std::vector<double>& one = ones[thread];
        const Outcome outcome = Judge(model.loss(), outputs, data.Record(i), data.label(i));
        std::fill(one.begin(), one.end(), 0.0);
        places.Add(outcome, data.label(i), one);
        one[MetricSums::kLoss] = Share(one[MetricSums::kLoss], plan.loss_bound);
        one[MetricSums::kError] = Share(one[MetricSums::kError], plan.error_bound);
        for (size_t j = 0; j < one.size(); ++j) {
          if (one[j] == 0) continue;
          sums[thread][j] += static_cast<int64_t>(std::ldexp(one[j], plan.grid_log2));
        }
      });
  for (size_t thread = 1; thread < count; ++thread) {
    for (size_t j = 0; j < sums[0].size(); ++j) sums[0][j] += sums[thread][j];
  }
  return std::move(sums[0]);
}

ModelMetrics MetricsOfSums(Loss loss, uint32_t classes, const EvaluationPlan& plan,
                           std::span<const double> sums) {
  std::vector<double> scaled(sums.begin(), sums.end());
  scaled[MetricSums::kLoss] = std::max(0.0, scaled[MetricSums::kLoss] * plan.loss_bound);
  scaled[MetricSums::kError] *= plan.error_bound;
  return MetricSums(loss, classes).Report(scaled);
}

}  // namespace dure
