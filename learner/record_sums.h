// What a member's records add up to in attempts that are no training: the statistics of its table's
// columns, and what a model does on its held-out records (docs/statistics.md). Sums of integers:
// neither the order of the records nor the number of threads matters. Thread-safe: pure functions.
#ifndef DURE_LEARNER_RECORD_SUMS_H_
#define DURE_LEARNER_RECORD_SUMS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "learner/data/dataset.h"
#include "learner/loss.h"
#include "learner/metrics.h"
#include "learner/trainable_model.h"
#include "learner/trainer.h"

namespace dure {

// Reads the table once more, since what a model sees of it says neither what was missing nor what
// the numbers were. Errors as ReadTable and ColumnSums::Create.
absl::StatusOr<std::vector<int64_t>> StatisticsSums(const DataFiles& table,
                                                    const StatisticsPlan& plan);

// In the places of MetricSums of the model; the loss in units of plan.loss_bound, how far off a
// number is in units of plan.error_bound, both at most 1 a record; what is not a number counts
// as 1.
std::vector<int64_t> EvaluationSums(const TrainableModel& model, const DataView& data, int threads,
                                    const EvaluationPlan& plan);

// The figures of opened sums of which 1 is one record.
ModelMetrics MetricsOfSums(Loss loss, uint32_t classes, const EvaluationPlan& plan,
                           std::span<const double> sums);

}  // namespace dure

#endif  // DURE_LEARNER_RECORD_SUMS_H_
