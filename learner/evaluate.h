// How well a network does on a dataset. Thread-safe: a pure function.
#ifndef DURE_LEARNER_EVALUATE_H_
#define DURE_LEARNER_EVALUATE_H_

#include "learner/data/dataset.h"
#include "learner/per_example.h"
#include "learner/trainer.h"

namespace dure {

// Mean cross-entropy and accuracy over all records, at least one, each of which fits the network.
// The number of threads, at least 1, changes no bit of the result.
EvalResult EvaluateNetwork(const Network& network, const Dataset& data, int threads);

}  // namespace dure

#endif  // DURE_LEARNER_EVALUATE_H_
