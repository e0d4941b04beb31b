#include "base/strand.h"

#include <algorithm>
#include <chrono>

namespace dure {
namespace {

// Time since the start of the machine; moves evenly whatever happens to the wall clock.
absl::Duration Monotonic() {
  return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace

Strand::Strand() : thread_([this] { Run(); }) {}

Strand::~Strand() {
  Stop();
  thread_.join();
}

void Strand::Post(Task task) { PostAfter(absl::ZeroDuration(), std::move(task)); }

void Strand::PostAfter(absl::Duration delay, Task task) {
  std::lock_guard lock(mutex_);
  if (stopped_) return;
  // Under the lock, so that tasks without a delay keep the order of the calls; and a timer that is
  // due comes before tasks that were posted after its time.
  absl::Duration due = Monotonic() + std::max(delay, absl::ZeroDuration());
  tasks_.emplace(std::make_pair(due, next_sequence_++), std::move(task));
  wake_.notify_one();
}

void Strand::PostAndWait(const Task& task) {
  std::mutex mutex;
  std::condition_variable wake;
  bool done = false;
  Post([&] {
    task();
    std::lock_guard lock(mutex);
    done = true;
    wake.notify_one();
  });
  std::unique_lock lock(mutex);
  wake.wait(lock, [&] { return done; });
}

void Strand::Stop() {
  std::lock_guard lock(mutex_);
  stopped_ = true;
  tasks_.clear();
  wake_.notify_one();
}

void Strand::Run() {
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    if (tasks_.empty()) {
      wake_.wait(lock);
      continue;
    }
    absl::Duration wait = tasks_.begin()->first.first - Monotonic();
    if (wait > absl::ZeroDuration()) {
      wake_.wait_for(lock, absl::ToChronoNanoseconds(wait));
      continue;
    }
    Task task = std::move(tasks_.extract(tasks_.begin()).mapped());
    lock.unlock();
    task();
    task = nullptr;  // what it holds ends outside the lock
    lock.lock();
  }
}

}  // namespace dure
