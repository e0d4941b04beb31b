#include "learner/gradient_sum.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "learner/on_threads.h"

namespace dure {

GradientSum::GradientSum(const TrainableModel& model, int threads) : model_(model) {
  DURE_CHECK(threads >= 1);
  for (int i = 0; i < threads; ++i) workspaces_.push_back(model.MakeWorkspace());
}

absl::Status GradientSum::PrepareSums(const GradientPlan& plan) {
  const dp::ClippedSum::Params wanted = {
      .dim = model_.dim(), .clip_norm = plan.clip_norm, .scale_log2 = plan.scale_log2};
  if (!sums_.empty() && wanted == sums_of_) {
    for (dp::ClippedSum& sum : sums_) sum.Reset();
    return absl::OkStatus();
  }
  sums_.clear();
  DURE_ASSIGN_OR_RETURN(dp::ClippedSum sum, dp::ClippedSum::Create(wanted));
  sums_.push_back(std::move(sum));
  sums_of_ = wanted;
  return absl::OkStatus();
}

absl::Status GradientSum::Run(const DataView& data, const GradientPlan& plan,
                              std::span<int64_t> out) {
  DURE_CHECK(out.size() == model_.dim());
  DURE_RETURN_IF_ERROR(PrepareSums(plan));
  if (plan.records.size() > sums_[0].capacity()) {
    return absl::InvalidArgumentError(
        absl::StrCat(plan.records.size(), " records in one sum, limit ", sums_[0].capacity()));
  }
  for (uint32_t record : plan.records) {
    if (record >= data.records()) {
      return absl::InvalidArgumentError(
          absl::StrCat("record ", record, " of ", data.records(), " (they count from 0)"));
    }
  }
  const size_t threads = std::clamp<size_t>(plan.records.size(), 1, workspaces_.size());
  while (sums_.size() < threads) sums_.push_back(sums_[0]);
  OnThreads(threads, [&](size_t thread) {
    for (size_t i = thread; i < plan.records.size(); i += threads) {
      const uint32_t record = plan.records[i];
      sums_[thread].Add(
          model_.Direction(data.Record(record), data.label(record), *workspaces_[thread]));
    }
  });
  for (size_t i = 1; i < threads; ++i) sums_[0].MergeWith(sums_[i]);
  model_.ToManifestOrder(sums_[0].sums().first(model_.dim()), out);
  return absl::OkStatus();
}

}  // namespace dure
