#include "learner/evaluate.h"

#include <numeric>
#include <span>
#include <vector>

#include "base/check.h"
#include "learner/each_output.h"

namespace dure {

ModelMetrics EvaluateModel(const TrainableModel& model, const DataView& data, int threads,
                           const OwnMetric& own) {
  DURE_CHECK(data.records() > 0 && threads >= 1);
  // Added up in the order of the records, whoever computed them.
  std::vector<Outcome> outcomes(data.records());
  std::vector<float> labels(data.records());
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = data.label(i);
  std::vector<double> figures(own.name.empty() ? 0 : outcomes.size());
  ForEachOutput(model, data, threads, [&](size_t, uint64_t i, std::span<const float> outputs) {
    const FeatureView record = data.Record(i);
    outcomes[i] = Judge(model.loss(), outputs, record, labels[i]);
    if (!own.name.empty()) figures[i] = own.of_record(outputs, record, labels[i]);
  });
  ModelMetrics metrics = MetricsOf(model.loss(), model.classes(), outcomes, labels);
  if (!own.name.empty()) {
    metrics.set_own_name(own.name);
    metrics.set_own(std::accumulate(figures.begin(), figures.end(), 0.0) /
                    static_cast<double>(figures.size()));
  }
  return metrics;
}

}  // namespace dure
