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
#include "privacy/dp/fixed_point.h"

namespace dure {

class GradientSum {
 public:
  // `model` is borrowed. threads >= 1.
  GradientSum(const TrainableModel& model, int threads);

  // Every record of `data` fits the model; plan.records are numbers within that view. Writes the
  // sum for the model's parameters in the manifest's order: dim() integers. InvalidArgument if a
  // record is out of range, clip norm or scale are not in the range of dp::ClippedSum, or there are
  // more records than its capacity.
  absl::Status Run(const DataView& data, const GradientPlan& plan, std::span<int64_t> out);

 private:
  // Empty sums for what the plan asks for, at least one.
  absl::Status PrepareSums(const GradientPlan& plan);

  const TrainableModel& model_;
  std::vector<std::unique_ptr<ModelWorkspace>> workspaces_;  // one a thread
  std::vector<dp::ClippedSum> sums_;                         // at most one a thread
  dp::ClippedSum::Params sums_of_;
};

}  // namespace dure

#endif  // DURE_LEARNER_GRADIENT_SUM_H_
