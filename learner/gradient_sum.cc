#include "learner/gradient_sum.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "learner/on_threads.h"
#include "privacy/dp/fixed_point.h"

namespace dure {

GradientSum::GradientSum(const TrainableModel& model, const Dataset& data, int threads)
    : model_(model), data_(data) {
  DURE_CHECK(threads >= 1);
  for (int i = 0; i < threads; ++i) workspaces_.push_back(model.MakeWorkspace());
}

absl::Status GradientSum::Run(const GradientPlan& plan, std::span<int64_t> out) {
  DURE_CHECK(out.size() == model_.dim());
  DURE_ASSIGN_OR_RETURN(
      dp::ClippedSum sum,
      dp::ClippedSum::Create(
          {.dim = model_.dim(), .clip_norm = plan.clip_norm, .scale_log2 = plan.scale_log2}));
  if (plan.records.size() > sum.capacity()) {
    return absl::InvalidArgumentError(
        absl::StrCat(plan.records.size(), " records in one sum, limit ", sum.capacity()));
  }
  for (uint32_t record : plan.records) {
    if (record >= data_.records()) {
      return absl::InvalidArgumentError(
          absl::StrCat("record ", record, " of ", data_.records(), " (they count from 0)"));
    }
  }
  const size_t threads = std::clamp<size_t>(plan.records.size(), 1, workspaces_.size());
  std::vector<dp::ClippedSum> sums(threads, sum);
  OnThreads(threads, [&](size_t thread) {
    for (size_t i = thread; i < plan.records.size(); i += threads) {
      const uint32_t record = plan.records[i];
      sums[thread].Add(
          model_.Direction(data_.Record(record), data_.labels[record], *workspaces_[thread]));
    }
  });
  for (size_t i = 1; i < threads; ++i) sums[0].MergeWith(sums[i]);
  model_.ToManifestOrder(sums[0].sums().first(model_.dim()), out);
  return absl::OkStatus();
}

}  // namespace dure
