// The local part of FedAvg (McMahan et al. 2017): plain SGD over a member's records, pass after
// pass, each in an order of its own. A step moves the model by learning_rate times the mean
// direction of its batch, less proximal_mu times the distance from where it began (FedProx, Li et
// al. 2020).
//
// Networks of layers train on whole mini-batches (learner/batch_sgd.h). Of other models a batch is
// summed in blocks of a few records, and the blocks in their order. Either way the same plan gives
// the same bits with any number of threads. Not thread-safe.
#ifndef DURE_LEARNER_EPOCHS_H_
#define DURE_LEARNER_EPOCHS_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "learner/data/dataset.h"
#include "learner/local_plan.h"
#include "learner/trainable_model.h"
#include "learner/trainer.h"

namespace dure {

class EpochTraining {
 public:
  // `model` is borrowed; Run may overwrite its parameters. threads >= 1.
  EpochTraining(TrainableModel* model, int threads);

  // Writes the change of the parameters, beginning at `params`, in the manifest's order. Every
  // record of `data` fits the model. What one Run needed the next one uses again.
  // InvalidArgument as CheckPlan says; FailedPrecondition, with the remedy, if the model left the
  // range of finite numbers; Cancelled. Precondition (DURE_CHECK): both have dim() values.
  absl::Status Run(const DataView& data, std::span<const float> params, const EpochsPlan& plan,
                   std::span<float> change, const CancelCheck& cancelled = {});

 private:
  // Of both ways: the beginning, and what came of it. `change` is left alone on an error.
  void Begin(std::span<const float> params, const EpochsPlan& plan);
  absl::Status TakeChange(std::span<const float> params, std::span<float> change);
  // Without batch_steps_: a step on the records of `data` at `batch`.
  void Step(const Dataset& data, std::span<const float> params, const EpochsPlan& plan,
            std::span<const uint32_t> batch);
  // Adds up the directions of `records` of `data` in sum_, in the model's own order.
  void SumBatch(const Dataset& data, std::span<const uint32_t> records);

  TrainableModel& model_;
  std::unique_ptr<BatchSteps> batch_steps_;  // or null, and then the rest is used
  std::vector<float> now_;                   // the parameters, in the manifest's order
  std::vector<uint32_t> order_;              // places of the records in their dataset
  std::vector<std::unique_ptr<ModelWorkspace>> workspaces_;  // one a thread
  std::vector<std::vector<float>> blocks_;  // sums of blocks that are computed at a time
  std::vector<double> sum_, direction_, moved_;
};

}  // namespace dure

#endif  // DURE_LEARNER_EPOCHS_H_
