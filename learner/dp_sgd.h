// Local DP-SGD (Abadi et al. 2016) on a member's records, by the arithmetic of
// docs/secure-aggregation.md section 2.4. One step, at the model as it is by then:
//
//   noise   a discrete Gaussian of variance sigma2 in every coordinate
//   coins   each record by itself with probability sampling_rate
//   sum     clipped per-example gradients as integers (dp::ClippedSum), rounded (dp::RoundSum)
//   step    model += learning_rate * (sum + noise) / (2^scale_log2 * batch_size)
//
// in this order: the noise is there before the data is looked at. One record moves the sum by at
// most s C + sqrt(d) in L2. batch_size is public, so that nothing but the noised sums of the steps
// depends on data: neither a divisor nor a failure nor a figure that is returned.
//
// Everything random comes from the plan's seed: coins, rounding and noise from three AES-256-CTR
// streams, the last two anew for every block of coordinates. So the same plan gives the same bits
// with any number of threads. Not thread-safe.
#ifndef DURE_LEARNER_DP_SGD_H_
#define DURE_LEARNER_DP_SGD_H_

#include <cstddef>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "learner/data/dataset.h"
#include "learner/gradient_sum.h"
#include "learner/local_plan.h"
#include "learner/trainable_model.h"
#include "learner/trainer.h"

namespace dure {

class DpSgd {
 public:
  // `model` is borrowed; Run overwrites its parameters. threads >= 1.
  DpSgd(TrainableModel* model, int threads);

  // Writes the change of the parameters, beginning at `params`, in the manifest's order: finite
  // whatever the model does on the way. Every record of `data` fits the model. InvalidArgument only
  // as CheckPlan says; Cancelled. Precondition (DURE_CHECK): both have dim() values.
  absl::Status Run(const DataView& data, std::span<const float> params, const DpSgdPlan& plan,
                   std::span<float> change, const CancelCheck& cancelled = {});

 private:
  TrainableModel& model_;
  int threads_;
  GradientSum gradient_sum_;
};

// What Run gives of the same plan where no record is drawn in any step: the noise alone. For a
// member whose trainer failed: to leave, or to send no noise, would tell that something is wrong
// with its data. InvalidArgument as CheckPlan says, without a limit on records.
absl::StatusOr<std::vector<float>> DpSgdNoiseAlone(const DpSgdPlan& plan, size_t dim, int threads);

}  // namespace dure

#endif  // DURE_LEARNER_DP_SGD_H_
