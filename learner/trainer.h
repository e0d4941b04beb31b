// What the client knows of training: parameters and a plan in, an update out. No LibTorch here.
// Not thread-safe: one call at a time.
#ifndef DURE_LEARNER_TRAINER_H_
#define DURE_LEARNER_TRAINER_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "federation/manifest.h"

namespace dure {

// One private step (docs/secure-aggregation.md section 2.4): per-example gradients of `records`,
// each clipped to `clip_norm`, as integers w = trunc(F s g) with F = 2^16, summed.
struct GradientPlan {
  std::vector<uint32_t> records;  // indices into the member's data; the client drew the coins
  double clip_norm = 0;           // C
  int scale_log2 = 0;             // log2 s
};

struct EvalResult {
  double loss = 0;       // mean cross-entropy
  double accuracy = 0;   // share of records classified correctly
  uint64_t records = 0;  // on how many
};

// A member's data as the trainer sees it.
struct DataSummary {
  uint64_t records = 0;
  std::vector<uint64_t> label_counts;  // per class; stays on the member's machine
};

class Trainer {
 public:
  virtual ~Trainer() = default;
  virtual const ParamManifest& manifest() const = 0;
  virtual const DataSummary& data() const = 0;
  // The direction to add (minus the gradient), summed over plan.records, in units of 1 / (F s):
  // dim() integers, each below 2^62 in size. A record whose gradient is not finite counts as zero.
  // Unavailable if the trainer has died (it is started again by the next call);
  // DeadlineExceeded if it hung and was ended.
  virtual absl::StatusOr<std::vector<int64_t>> Train(std::span<const float> params,
                                                     const GradientPlan& plan) = 0;
  virtual absl::StatusOr<EvalResult> Evaluate(std::span<const float> params) = 0;
};

}  // namespace dure

#endif  // DURE_LEARNER_TRAINER_H_
