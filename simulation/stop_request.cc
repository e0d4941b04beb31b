#include "simulation/stop_request.h"

#include <pthread.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <utility>

namespace dure::simulation {
namespace {

// Launchers end the processes of a lost job about a second after they asked them to.
constexpr timespec kPatience = {.tv_sec = 0, .tv_nsec = 500'000'000};

sigset_t Signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

}  // namespace

StopRequest::StopRequest() {
  const sigset_t signals = Signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread([this] { Wait(); }).detach();
}

void StopRequest::OnLastWords(std::function<void()> last_words) {
  const std::lock_guard guard(lock_);
  last_words_ = std::move(last_words);
}

void StopRequest::Wait() {
  const sigset_t signals = Signals();
  int first = 0;
  if (sigwait(&signals, &first) != 0) return;
  signal_ = first;
  for (;;) {
    const int second = sigtimedwait(&signals, nullptr, &kPatience);
    if (second > 0) std::_Exit(128 + second);
    if (errno != EAGAIN) continue;
    const std::lock_guard guard(lock_);
    if (!last_words_) continue;
    last_words_();
    std::_Exit(128 + first);
  }
}

}  // namespace dure::simulation
