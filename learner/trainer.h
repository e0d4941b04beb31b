// What the client knows of training: parameters and a plan in, an update out. No LibTorch here.
// Not thread-safe: one call at a time, but for Trainer::Cancel.
#ifndef DURE_LEARNER_TRAINER_H_
#define DURE_LEARNER_TRAINER_H_

#include <array>
#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "federation/manifest.h"
#include "learner/data/column_sums.h"
#include "proto/metrics.pb.h"

namespace dure {

// One private step (docs/secure-aggregation.md section 2.4): per-example gradients of `records`,
// each clipped to `clip_norm`, as integers w = trunc(F s g) with F = 2^16, summed.
struct GradientPlan {
  std::vector<uint32_t> records;  // indices into the member's data; the client drew the coins
  double clip_norm = 0;           // C
  int scale_log2 = 0;             // log2 s
};

// The local part of FedAvg (McMahan et al. 2017): `epochs` passes of SGD over all records, each in
// an order of its own drawn from `seed`. The update is the change of the parameters.
struct EpochsPlan {
  uint32_t epochs = 0;             // 1 to 1,000
  uint32_t batch_size = 0;         // 1 to 1,000,000; the last batch of a pass has what is left
  double learning_rate = 0;        // 0 to 1,000
  double proximal_mu = 0;          // FedProx (Li et al. 2020), 0 to 1,000
  std::array<uint8_t, 32> seed{};  // fresh, used for nothing else
  // SCAFFOLD (Karimireddy et al. 2020): taken off the direction of every step, in the manifest's
  // order; dim() finite numbers, or empty: nothing.
  std::vector<float> correction;
};

// Private local training (Abadi et al. 2016). Each step draws a Poisson sample by secret coins,
// sums its clipped gradients as integers (docs/secure-aggregation.md section 2.4), adds a discrete
// Gaussian of variance `sigma2` to every coordinate, divides by s * batch_size and takes a step of
// `learning_rate`. The update is the change of the parameters after the last step.
struct DpSgdPlan {
  uint32_t steps = 0;              // 1 to 100,000
  double sampling_rate = 0;        // above 0, at most 1
  uint32_t batch_size = 0;         // public, 1 to 1,000,000; never a count of records
  double learning_rate = 0;        // 0 to 1,000
  double clip_norm = 0;            // C
  int scale_log2 = 0;              // log2 s
  uint64_t sigma2 = 0;             // in units of 1 / s^2, 1 to 2^40
  std::array<uint8_t, 32> seed{};  // fresh, used for nothing else: it gives the noise away
};

// No training: the statistics of the columns of a table (learner/data/column_sums.h), which the
// model does not matter to.
struct StatisticsPlan {
  uint32_t bins = 0;  // 1 to 100
  int grid_log2 = 0;  // units of 2^-grid_log2, 0 to 38
};

// No training: what the model does on the trainer's records (learner/record_sums.h).
struct EvaluationPlan {
  double loss_bound = 0;   // a record's loss counts for no more
  double error_bound = 0;  // nor how far off its number is
  int grid_log2 = 0;       // as above
};

using LocalPlan =
    std::variant<GradientPlan, EpochsPlan, DpSgdPlan, StatisticsPlan, EvaluationPlan>;

// The direction to add; of the last two plans sums over records, as many integers as they have,
// none below 0. GradientPlan: dim() integers in units of 1 / (F s), each below 2^62 in
// size. EpochsPlan and DpSgdPlan: dim() finite floats, the change of the parameters.
using LocalUpdate = std::variant<std::vector<int64_t>, std::vector<float>>;

// A member's data as the trainer sees it.
struct DataSummary {
  uint64_t records = 0;
  // Per class, where labels are classes. Stays on the member's machine.
  std::vector<uint64_t> label_counts;
};

class Trainer {
 public:
  virtual ~Trainer() = default;
  virtual const ParamManifest& manifest() const = 0;
  virtual const DataSummary& data() const = 0;
  // The update that `plan` makes of the model `params`, of the kind that the plan asks for. Where
  // gradients are clipped, one that is not finite counts as zero. InvalidArgument if a number of
  // the plan is out of range; FailedPrecondition, with the remedy, if an EpochsPlan diverged;
  // Unavailable if the trainer has died (it is started again by the next call); DeadlineExceeded
  // if it hung and was ended; Cancelled.
  virtual absl::StatusOr<LocalUpdate> Train(std::span<const float> params,
                                            const LocalPlan& plan) = 0;
  virtual absl::StatusOr<ModelMetrics> Evaluate(std::span<const float> params) = 0;
  // From now on numeric columns of a table are standardised by these, one for each, and not by what
  // its schema states. Nothing happens to other data.
  virtual void Standardise(const Standardisation&) {}
  // From any thread: an EpochsPlan or a DpSgdPlan that runs now ends soon, with Cancelled, unless
  // it is done first. Nothing else is affected. Trainers that take no time need not.
  virtual void Cancel() {}
};

}  // namespace dure

#endif  // DURE_LEARNER_TRAINER_H_
