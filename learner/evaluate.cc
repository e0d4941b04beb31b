#include "learner/evaluate.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "base/check.h"
#include "learner/metrics.h"
#include "learner/on_threads.h"

namespace dure {

ModelMetrics EvaluateModel(const TrainableModel& model, const Dataset& data, int threads) {
  DURE_CHECK(data.records() > 0 && threads >= 1);
  // Added up in the order of the records, whoever computed them.
  std::vector<Outcome> outcomes(data.records());
  const size_t workers = std::min<size_t>(static_cast<size_t>(threads), data.records());
  OnThreads(workers, [&](size_t worker) {
    const std::unique_ptr<ModelWorkspace> workspace = model.MakeWorkspace();
    for (size_t i = worker; i < outcomes.size(); i += workers) {
      const FeatureView record = data.Record(i);
      outcomes[i] = Judge(model.loss(), model.Outputs(record, *workspace), record, data.labels[i]);
    }
  });
  return MetricsOf(model.loss(), model.classes(), outcomes, data.labels);
}

}  // namespace dure
