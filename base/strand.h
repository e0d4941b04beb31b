// A thread with a queue: tasks run one after the other, in the order they were posted, or at the
// time they were posted for. Each state machine lives on one strand, so that it needs no lock.
#ifndef DURE_BASE_STRAND_H_
#define DURE_BASE_STRAND_H_

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/time/time.h"

namespace dure {

class Strand {
 public:
  using Task = std::function<void()>;

  Strand();
  Strand(const Strand&) = delete;
  Strand& operator=(const Strand&) = delete;
  // Runs no further task; the one that is running ends first. Must not be called from a task.
  ~Strand();

  // Thread-safe. A task posted after Stop() is dropped.
  void Post(Task task);
  // Thread-safe. Runs `task` once, `delay` from now by the system's monotonic clock or soon after.
  void PostAfter(absl::Duration delay, Task task);
  // Thread-safe. Runs `task` on the strand and returns when it has run. Not from a task, and not
  // once Stop() may have been called.
  void PostAndWait(const Task& task);
  // Thread-safe. Drops all tasks that have not begun; safe to call from a task.
  void Stop();

 private:
  void Run();

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopped_ = false;
  uint64_t next_sequence_ = 0;
  // Ordered by (due, sequence).
  std::map<std::pair<absl::Duration, uint64_t>, Task> tasks_;
  std::thread thread_;  // last: starts when all else is there
};

}  // namespace dure

#endif  // DURE_BASE_STRAND_H_
