// Any bytes as a request for training: refused, or a plan within the limits that comes out of its
// own encoding as it went in.
#include <cmath>
#include <cstdint>
#include <cstdlib>

#include "learner/local_plan.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dure::TrainerRequest request;
  if (!request.ParseFromArray(data, static_cast<int>(size))) return 0;
  constexpr uint64_t kRecords = 5000;
  auto plan = dure::PlanOf(request, kRecords);
  if (!plan.ok()) return 0;
  if (!dure::CheckPlan(*plan, kRecords).ok()) std::abort();
  const dure::TrainerRequest again = dure::RequestOf(*plan);
  auto same = dure::PlanOf(again, kRecords);
  if (!same.ok() || same->index() != plan->index()) std::abort();
  if (dure::RequestOf(*same).SerializeAsString() != again.SerializeAsString()) std::abort();
  if (const auto* steps = std::get_if<dure::DpSgdPlan>(&*plan)) {
    if (steps->sigma2 == 0 || !std::isfinite(steps->clip_norm)) std::abort();
  }
  return 0;
}
