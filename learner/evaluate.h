// How well a model does on a dataset. Thread-safe: a pure function.
#ifndef DURE_LEARNER_EVALUATE_H_
#define DURE_LEARNER_EVALUATE_H_

#include "learner/data/dataset.h"
#include "learner/metrics.h"
#include "learner/trainable_model.h"
#include "learner/trainer.h"

namespace dure {

// What learner/metrics.h has for the loss of the model, over all records of `data`, at least one,
// each of which fits the model. The number of threads, at least 1, changes no bit of the result.
// `own` is computed besides if it has a name.
ModelMetrics EvaluateModel(const TrainableModel& model, const DataView& data, int threads,
                           const OwnMetric& own = {});

}  // namespace dure

#endif  // DURE_LEARNER_EVALUATE_H_
