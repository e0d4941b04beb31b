#include "simulation/stop_request.h"

#include <semaphore.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <utility>

namespace dure::simulation {
namespace {

// Launchers end the processes of a lost job about a second after they asked them to.
constexpr int64_t kPatienceNs = 500'000'000;

// Threads that libraries begin before main() take signals, too: so a handler, and not sigwait.
volatile std::sig_atomic_t newest_signal = 0;
sem_t signals;

void OnSignal(int number) {
  newest_signal = number;
  sem_post(&signals);
}

// Waits for a signal; false if none comes for `ns`.
bool WaitForSignal(std::optional<int64_t> ns) {
  timespec until = {};
  clock_gettime(CLOCK_REALTIME, &until);
  const int64_t end = until.tv_nsec + ns.value_or(0);
  until.tv_sec += end / 1'000'000'000;
  until.tv_nsec = end % 1'000'000'000;
  for (;;) {
    if ((ns ? sem_timedwait(&signals, &until) : sem_wait(&signals)) == 0) return true;
    if (errno != EINTR) return false;
  }
}

}  // namespace

StopRequest::StopRequest() {
  sem_init(&signals, 0, 0);
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  for (const int number : {SIGINT, SIGTERM}) sigaction(number, &action, nullptr);
  std::thread([this] { Wait(); }).detach();
}

void StopRequest::OnLastWords(std::function<void()> last_words) {
  const std::lock_guard guard(lock_);
  last_words_ = std::move(last_words);
}

void StopRequest::Wait() {
  WaitForSignal({});
  const int first = newest_signal;
  signal_ = first;
  for (;;) {
    if (WaitForSignal(kPatienceNs)) std::_Exit(128 + newest_signal);
    const std::lock_guard guard(lock_);
    if (!last_words_) continue;
    last_words_();
    std::_Exit(128 + first);
  }
}

}  // namespace dure::simulation
