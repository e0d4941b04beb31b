// The sum of clipped per-example gradients of a member's records, on several threads. Sums are of
// integers, so neither the number of threads nor the order matters. Not thread-safe.
#ifndef DURE_LEARNER_GRADIENT_SUM_H_
#define DURE_LEARNER_GRADIENT_SUM_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "learner/data/dataset.h"
#include "learner/trainable_model.h"
#include "learner/trainer.h"

namespace dure {

class GradientSum {
 public:
  // `model` and `data` are borrowed; every record of `data` fits the model. threads >= 1.
  GradientSum(const TrainableModel& model, const Dataset& data, int threads);

  // Writes the sum for the model's parameters in the manifest's order: dim() integers.
  // InvalidArgument if a record is out of range, clip norm or scale are not in the range of
  // dp::ClippedSum, or there are more records than its capacity.
  absl::Status Run(const GradientPlan& plan, std::span<int64_t> out);

 private:
  const TrainableModel& model_;
  const Dataset& data_;
  std::vector<std::unique_ptr<ModelWorkspace>> workspaces_;  // one a thread
};

}  // namespace dure

#endif  // DURE_LEARNER_GRADIENT_SUM_H_
