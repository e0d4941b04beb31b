#include "coordinator/service/web_view.h"

#include <algorithm>
#include <utility>

#include "coordinator/service/web_json.h"

namespace dure {
namespace {

constexpr absl::Duration kEvery = absl::Seconds(1);
// Looks from one at the whole history to the next, and how many rounds the others go back.
constexpr int kWholeEvery = 60;
constexpr uint32_t kRoundsAgain = 64;

// `before` up to and with round `last`, then what `status` adds to it.
void Prepend(const RunStatus& before, uint32_t last, RunStatus* status) {
  RunStatus whole;
  for (const RoundReport& round : before.history()) {
    if (round.round() <= last) *whole.add_history() = round;
  }
  for (const Evaluation& evaluation : before.evaluations()) {
    if (evaluation.round() <= last) *whole.add_evaluations() = evaluation;
  }
  whole.mutable_history()->MergeFrom(status->history());
  whole.mutable_evaluations()->MergeFrom(status->evaluations());
  status->mutable_history()->Swap(whole.mutable_history());
  status->mutable_evaluations()->Swap(whole.mutable_evaluations());
}

}  // namespace

int WebViews::looks() const {
  std::lock_guard lock(mutex_);
  return looks_;
}

std::shared_ptr<const WebView> WebViews::Now(absl::Duration patience) {
  std::unique_lock lock(mutex_);
  if (options_.clock->Now() < due_) return view_;
  if (looking_) {
    if (view_ == nullptr) {
      looked_.wait_for(lock, absl::ToChronoMilliseconds(patience),
                       [this] { return view_ != nullptr; });
    }
    return view_;
  }
  looking_ = true;
  const bool whole = looks_++ % kWholeEvery == 0;
  std::shared_ptr<const WebView> before = view_;
  lock.unlock();
  std::shared_ptr<const WebView> now = Look(std::move(before), whole);
  lock.lock();
  view_ = std::move(now);
  looking_ = false;
  due_ = options_.clock->Now() + kEvery;
  looked_.notify_all();
  return view_;
}

std::shared_ptr<const WebView> WebViews::Look(std::shared_ptr<const WebView> before, bool whole) {
  auto view = std::make_shared<WebView>();
  uint32_t after = 0;
  if (before != nullptr && !whole) {
    after = before->status.round() - std::min(before->status.round(), kRoundsAgain);
  }
  view->status = options_.status(RoundNumber(after));
  if (after > 0) Prepend(before->status, after, &view->status);
  view->members = options_.members();
  view->at = absl::Now();
  view->json = WebViewToJson(options_.federation, *view);
  return view;
}

}  // namespace dure
