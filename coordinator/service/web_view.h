// What the web page shows, looked at no more than once a second however many pages are open.
#ifndef DURE_COORDINATOR_SERVICE_WEB_VIEW_H_
#define DURE_COORDINATOR_SERVICE_WEB_VIEW_H_

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/strong_id.h"
#include "proto/control.pb.h"

namespace dure {

// What the federation says of itself and never changes while a coordinator runs.
struct WebFederation {
  std::string purpose;
  std::string license;
};

struct WebView {
  RunStatus status;  // with all released rounds
  MembersReply members;
  absl::Time at;     // by the system's clock
  std::string json;  // docs/web.md
};

// The history grows for months, so only its end is asked for again: what evaluators say of older
// rounds comes with the whole of it once in a while. Thread-safe.
class WebViews {
 public:
  struct Options {
    WebFederation federation;
    // Called by one thread at a time. The first answers with the rounds after the given one.
    std::function<RunStatus(RoundNumber after_round)> status;
    std::function<MembersReply()> members;
    Clock* clock = nullptr;  // even; borrowed
  };
  explicit WebViews(Options options) : options_(std::move(options)) {}

  // A view that is at most a second old, or, while another caller waits for that, the one before.
  // Null if there is none yet and the coordinator has not answered in `patience`.
  std::shared_ptr<const WebView> Now(absl::Duration patience);

  // Looks so far, for tests.
  int looks() const;

 private:
  std::shared_ptr<const WebView> Look(std::shared_ptr<const WebView> before, bool whole);

  const Options options_;
  mutable std::mutex mutex_;
  std::condition_variable looked_;
  bool looking_ = false;
  int looks_ = 0;
  absl::Time due_ = absl::InfinitePast();
  std::shared_ptr<const WebView> view_;
};

}  // namespace dure

#endif  // DURE_COORDINATOR_SERVICE_WEB_VIEW_H_
