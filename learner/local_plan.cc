#include "learner/local_plan.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "crypto/random.h"
#include "privacy/dp/discrete_gaussian.h"
#include "privacy/dp/fixed_point.h"

namespace dure {
namespace {

absl::Status CheckCount(const char* name, uint64_t value, uint64_t limit) {
  if (value >= 1 && value <= limit) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(name, " = ", value, " is outside 1 to ", limit));
}

// Written so that what is not a number is refused.
absl::Status CheckPositive(const char* name, double value, double limit) {
  if (value > 0 && value <= limit) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, " = ", value, " is not above 0 and at most ", limit));
}

// 0 or more: a schedule may end at nothing.
absl::Status CheckNotNegative(const char* name, double value, double limit) {
  if (value >= 0 && value <= limit) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, " = ", value, " is not 0 or more and at most ", limit));
}

// Most clipped gradients that one sum of integers holds.
absl::StatusOr<uint64_t> SumCapacity(double clip_norm, int scale_log2) {
  // One coordinate says it for any number.
  DURE_ASSIGN_OR_RETURN(
      auto sum,
      dp::ClippedSum::Create({.dim = 1, .clip_norm = clip_norm, .scale_log2 = scale_log2}));
  return sum.capacity();
}

absl::Status CheckCapacity(uint64_t records, double clip_norm, int scale_log2) {
  DURE_ASSIGN_OR_RETURN(const uint64_t capacity, SumCapacity(clip_norm, scale_log2));
  if (records <= capacity) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(records, " records in one sum, limit ", capacity,
                                                 " with clip_norm = ", clip_norm));
}

absl::Status Check(const GradientPlan& plan, uint64_t records) {
  DURE_RETURN_IF_ERROR(CheckCapacity(plan.records.size(), plan.clip_norm, plan.scale_log2));
  for (size_t i = 0; i < plan.records.size(); ++i) {
    if (plan.records[i] >= records || (i > 0 && plan.records[i] <= plan.records[i - 1])) {
      return absl::InvalidArgumentError(
          absl::StrCat("record ", plan.records[i], ": records are ascending and below ", records));
    }
  }
  return absl::OkStatus();
}

absl::Status Check(const EpochsPlan& plan, uint64_t) {
  if (!std::all_of(plan.correction.begin(), plan.correction.end(),
                   [](float value) { return std::isfinite(value); })) {
    return absl::InvalidArgumentError("a correction that is not finite");
  }
  DURE_RETURN_IF_ERROR(CheckCount("epochs", plan.epochs, kMaxLocalEpochs));
  DURE_RETURN_IF_ERROR(CheckCount("batch_size", plan.batch_size, kMaxLocalBatch));
  DURE_RETURN_IF_ERROR(
      CheckNotNegative("learning_rate", plan.learning_rate, kMaxLocalLearningRate));
  return CheckNotNegative("proximal_mu", plan.proximal_mu, kMaxProximalMu);
}

absl::Status Check(const DpSgdPlan& plan, uint64_t records) {
  DURE_RETURN_IF_ERROR(CheckCount("steps", plan.steps, kMaxLocalSteps));
  DURE_RETURN_IF_ERROR(CheckPositive("sampling_rate", plan.sampling_rate, 1));
  DURE_RETURN_IF_ERROR(CheckCount("batch_size", plan.batch_size, kMaxLocalBatch));
  DURE_RETURN_IF_ERROR(
      CheckNotNegative("learning_rate", plan.learning_rate, kMaxLocalLearningRate));
  DURE_RETURN_IF_ERROR(CheckCount("sigma2", plan.sigma2, dp::DiscreteGaussian::kMaxSigma2));
  // All records at once, so that no draw of the coins can be refused.
  return CheckCapacity(records, plan.clip_norm, plan.scale_log2);
}

absl::Status CheckGrid(int grid_log2) {
  if (grid_log2 >= 0 && grid_log2 <= kMaxSumsGridLog2) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("grid_log2 = ", grid_log2, " is outside 0 to ", kMaxSumsGridLog2));
}

absl::Status Check(const StatisticsPlan& plan, uint64_t) {
  DURE_RETURN_IF_ERROR(CheckCount("bins", plan.bins, kMaxBins));
  return CheckGrid(plan.grid_log2);
}

absl::Status Check(const EvaluationPlan& plan, uint64_t) {
  DURE_RETURN_IF_ERROR(CheckPositive("loss_bound", plan.loss_bound, kMaxEvaluationBound));
  DURE_RETURN_IF_ERROR(CheckPositive("error_bound", plan.error_bound, kMaxEvaluationBound));
  return CheckGrid(plan.grid_log2);
}

absl::Status ReadSeed(const std::string& bytes, AesCtrRandom::Seed* seed) {
  if (bytes.size() != seed->size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("a seed of ", bytes.size(), " bytes, ", seed->size(), " are needed"));
  }
  std::copy(bytes.begin(), bytes.end(), seed->begin());
  return absl::OkStatus();
}

std::string SeedBytes(const AesCtrRandom::Seed& seed) { return {seed.begin(), seed.end()}; }

absl::StatusOr<LocalPlan> Read(const TrainerRequest& request) {
  if (request.has_train()) {
    return GradientPlan{.records = {},
                        .clip_norm = request.train().clip_norm(),
                        .scale_log2 = request.train().scale_log2()};
  }
  if (request.has_epochs()) {
    const TrainerEpochs& epochs = request.epochs();
    EpochsPlan plan{.epochs = epochs.epochs(),
                    .batch_size = epochs.batch_size(),
                    .learning_rate = epochs.learning_rate(),
                    .proximal_mu = epochs.proximal_mu()};
    DURE_RETURN_IF_ERROR(ReadSeed(epochs.seed(), &plan.seed));
    return plan;
  }
  if (request.has_dp_sgd()) {
    const TrainerDpSgd& dp_sgd = request.dp_sgd();
    DpSgdPlan plan{.steps = dp_sgd.steps(),
                   .sampling_rate = dp_sgd.sampling_rate(),
                   .batch_size = dp_sgd.batch_size(),
                   .learning_rate = dp_sgd.learning_rate(),
                   .clip_norm = dp_sgd.clip_norm(),
                   .scale_log2 = dp_sgd.scale_log2(),
                   .sigma2 = dp_sgd.sigma2()};
    DURE_RETURN_IF_ERROR(ReadSeed(dp_sgd.seed(), &plan.seed));
    return plan;
  }
  if (request.has_statistics()) {
    return StatisticsPlan{.bins = request.statistics().bins(),
                          .grid_log2 = request.statistics().grid_log2()};
  }
  if (request.has_evaluation_sums()) {
    const TrainerEvaluationSums& sums = request.evaluation_sums();
    return EvaluationPlan{.loss_bound = sums.loss_bound(),
                          .error_bound = sums.error_bound(),
                          .grid_log2 = sums.grid_log2()};
  }
  return absl::InvalidArgumentError("a request without a plan");
}

}  // namespace

absl::Status CheckPlan(const LocalPlan& plan, uint64_t records) {
  return std::visit([&](const auto& kind) { return Check(kind, records); }, plan);
}

TrainerRequest RequestOf(const LocalPlan& plan) {
  TrainerRequest request;
  if (const auto* gradient = std::get_if<GradientPlan>(&plan)) {
    TrainerTrain& train = *request.mutable_train();
    train.set_clip_norm(gradient->clip_norm);
    train.set_scale_log2(gradient->scale_log2);
  } else if (const auto* passes = std::get_if<EpochsPlan>(&plan)) {
    TrainerEpochs& epochs = *request.mutable_epochs();
    epochs.set_epochs(passes->epochs);
    epochs.set_batch_size(passes->batch_size);
    epochs.set_learning_rate(passes->learning_rate);
    epochs.set_proximal_mu(passes->proximal_mu);
    epochs.set_seed(SeedBytes(passes->seed));
    epochs.set_corrected(!passes->correction.empty());
  } else if (const auto* steps = std::get_if<DpSgdPlan>(&plan)) {
    TrainerDpSgd& dp_sgd = *request.mutable_dp_sgd();
    dp_sgd.set_steps(steps->steps);
    dp_sgd.set_sampling_rate(steps->sampling_rate);
    dp_sgd.set_batch_size(steps->batch_size);
    dp_sgd.set_learning_rate(steps->learning_rate);
    dp_sgd.set_clip_norm(steps->clip_norm);
    dp_sgd.set_scale_log2(steps->scale_log2);
    dp_sgd.set_sigma2(steps->sigma2);
    dp_sgd.set_seed(SeedBytes(steps->seed));
  } else if (const auto* columns = std::get_if<StatisticsPlan>(&plan)) {
    request.mutable_statistics()->set_bins(columns->bins);
    request.mutable_statistics()->set_grid_log2(columns->grid_log2);
  } else {
    const auto& evaluation = std::get<EvaluationPlan>(plan);
    TrainerEvaluationSums& sums = *request.mutable_evaluation_sums();
    sums.set_loss_bound(evaluation.loss_bound);
    sums.set_error_bound(evaluation.error_bound);
    sums.set_grid_log2(evaluation.grid_log2);
  }
  return request;
}

absl::StatusOr<LocalPlan> PlanOf(const TrainerRequest& request, uint64_t records) {
  DURE_ASSIGN_OR_RETURN(LocalPlan plan, Read(request));
  DURE_RETURN_IF_ERROR(CheckPlan(plan, records));
  return plan;
}

}  // namespace dure
