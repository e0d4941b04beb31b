#include "learner/evaluate.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <span>
#include <vector>

#include "base/check.h"
#include "learner/on_threads.h"

namespace dure {

ModelMetrics EvaluateModel(const TrainableModel& model, const DataView& data, int threads,
                           const OwnMetric& own) {
  DURE_CHECK(data.records() > 0 && threads >= 1);
  // Added up in the order of the records, whoever computed them.
  std::vector<Outcome> outcomes(data.records());
  std::vector<float> labels(data.records());
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = data.label(i);
  std::vector<double> figures(own.name.empty() ? 0 : outcomes.size());
  const size_t workers = std::min<size_t>(static_cast<size_t>(threads), data.records());
  OnThreads(workers, [&](size_t worker) {
    const std::unique_ptr<ModelWorkspace> workspace = model.MakeWorkspace();
    for (size_t i = worker; i < outcomes.size(); i += workers) {
      const FeatureView record = data.Record(i);
      const std::span<const float> outputs = model.Outputs(record, *workspace);
      outcomes[i] = Judge(model.loss(), outputs, record, labels[i]);
      if (!own.name.empty()) figures[i] = own.of_record(outputs, record, labels[i]);
    }
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
