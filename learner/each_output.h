// A model's outputs for every record of a view, over threads, several records at once where the
// model can. Thread-safe: a pure function.
#ifndef DURE_LEARNER_EACH_OUTPUT_H_
#define DURE_LEARNER_EACH_OUTPUT_H_

#include <cstdint>
#include <functional>
#include <span>

#include "learner/data/dataset.h"
#include "learner/trainable_model.h"

namespace dure {

// Calls visit(thread, i, outputs) once for each record i of `data`, on the thread of that number,
// below `threads`; at least 1. The number of threads changes no bit of the outputs.
void ForEachOutput(
    const TrainableModel& model, const DataView& data, int threads,
    const std::function<void(size_t thread, uint64_t i, std::span<const float> outputs)>& visit);

}  // namespace dure

#endif  // DURE_LEARNER_EACH_OUTPUT_H_
