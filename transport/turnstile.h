// Lets so many at a time through, in the order in which they came. Thread-safe; calls nothing while
// it holds its lock.
#ifndef DURE_TRANSPORT_TURNSTILE_H_
#define DURE_TRANSPORT_TURNSTILE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <set>
#include <utility>

namespace dure {

class Turnstile {
 public:
  explicit Turnstile(size_t at_a_time) : at_a_time_(at_a_time) {}

  // Never 0, never twice the same.
  uint64_t NewTicket() { return next_ticket_++; }

  // `enter` is called once, when it is the ticket's turn: at once, or from Leave of another. A
  // ticket is good for one passage.
  void Queue(uint64_t ticket, std::function<void()> enter) {
    {
      std::lock_guard lock(mutex_);
      if (inside_.size() >= at_a_time_) {
        waiting_.emplace_back(ticket, std::move(enter));
        return;
      }
      inside_.insert(ticket);
    }
    enter();
  }

  // The ticket's holder has gone through, or has given up. Nothing happens if it has left before.
  void Leave(uint64_t ticket) {
    std::function<void()> next;
    {
      std::lock_guard lock(mutex_);
      std::erase_if(waiting_, [&](const auto& entry) { return entry.first == ticket; });
      if (inside_.erase(ticket) == 0 || waiting_.empty()) return;
      inside_.insert(waiting_.front().first);
      next = std::move(waiting_.front().second);
      waiting_.pop_front();
    }
    next();
  }

 private:
  const size_t at_a_time_;
  std::atomic<uint64_t> next_ticket_ = 1;
  std::mutex mutex_;
  std::set<uint64_t> inside_;
  std::deque<std::pair<uint64_t, std::function<void()>>> waiting_;
};

}  // namespace dure

#endif  // DURE_TRANSPORT_TURNSTILE_H_
