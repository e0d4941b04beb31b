// The numbers of a plan: their limits, and how a plan travels to the trainer
// (proto/trainer.proto). Both ends of the channel check them. Thread-safe: pure functions.
#ifndef DURE_LEARNER_LOCAL_PLAN_H_
#define DURE_LEARNER_LOCAL_PLAN_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "learner/trainer.h"
#include "proto/trainer.pb.h"

namespace dure {

inline constexpr uint32_t kMaxLocalEpochs = 1000;
inline constexpr uint32_t kMaxLocalSteps = 100'000;
inline constexpr uint32_t kMaxLocalBatch = 1'000'000;
inline constexpr double kMaxLocalLearningRate = 1000;
inline constexpr double kMaxProximalMu = 1000;
// Of a record's loss and error in sums.
inline constexpr double kMaxEvaluationBound = 1e77;
// A coordinate of the model changes by no more in one plan of local training: far beyond anything
// that learns, and its squares and sums stay finite.
inline constexpr double kMaxLocalChange = 1e30;

// Asked by local training after each of its steps, on the thread that called it: true ends it with
// Cancelled. May be empty.
using CancelCheck = std::function<bool()>;

// InvalidArgument, naming the number and its limits, unless a trainer with `records` records can
// carry `plan` out. What is refused depends on the plan and on how many records there are, never
// on what is in them: with DpSgdPlan, `records` above what one sum of integers holds.
absl::Status CheckPlan(const LocalPlan& plan, uint64_t records);

// What asks the trainer for `plan`; of a GradientPlan without its records, which are sent in
// several packets, and of an EpochsPlan without its correction, which is in shared memory.
TrainerRequest RequestOf(const LocalPlan& plan);

// The plan in a request, checked but for its records or its correction. InvalidArgument if there is
// none, if the seed has another size than 32 bytes, or as CheckPlan says.
absl::StatusOr<LocalPlan> PlanOf(const TrainerRequest& request, uint64_t records);

}  // namespace dure

#endif  // DURE_LEARNER_LOCAL_PLAN_H_
