// Time as a parameter. Pure code receives `now`; shells own a Clock.
#ifndef DURE_BASE_CLOCK_H_
#define DURE_BASE_CLOCK_H_

#include <chrono>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace dure {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() = 0;
};

class SystemClock final : public Clock {
 public:
  absl::Time Now() override { return absl::Now(); }
};

// The system's time when it was made, and evenly on from there: an hour is an hour, whatever
// happens to the system's clock. For deadlines, not for certificates.
class EvenClock final : public Clock {
 public:
  absl::Time Now() override { return start_ + (Monotonic() - monotonic_start_); }

 private:
  static absl::Duration Monotonic() {
    return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
  }
  const absl::Time start_ = absl::Now();
  const absl::Duration monotonic_start_ = Monotonic();
};

// For tests: time stands still until somebody moves it. Not thread-safe.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(absl::Time start) : now_(start) {}
  absl::Time Now() override { return now_; }
  void Advance(absl::Duration by) { now_ += by; }

 private:
  absl::Time now_;
};

}  // namespace dure

#endif  // DURE_BASE_CLOCK_H_
