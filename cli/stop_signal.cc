#include "cli/stop_signal.h"

#include <pthread.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/time/clock.h"

namespace dure::cli {
namespace {

constexpr absl::Duration kSoon = absl::Seconds(1);
// Says to the waiting thread of UndoOnSignal that the command is done.
constexpr int kDone = SIGUSR1;

volatile std::sig_atomic_t requested = 0;

void OnSignal(int number) {
  requested = number;
  std::signal(number, SIG_DFL);
}

sigset_t SignalsToUndo() {
  sigset_t set;
  sigemptyset(&set);
  for (int number : {SIGINT, SIGTERM, kDone}) sigaddset(&set, number);
  return set;
}

}  // namespace

StopSignal::StopSignal() {
  std::signal(SIGINT, OnSignal);
  std::signal(SIGTERM, OnSignal);
}

bool StopSignal::Requested() const { return requested != 0; }
int StopSignal::ExitCode() const { return 128 + requested; }

void EndSoon(int exit_code) {
  std::fflush(nullptr);
  std::thread([exit_code] {
    absl::SleepFor(kSoon);
    std::_Exit(exit_code);
  }).detach();
}

UndoOnSignal::UndoOnSignal(std::function<void()> undo) {
  const sigset_t signals = SignalsToUndo();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  waiting_ = std::thread([signals, undo = std::move(undo)] {
    int number = 0;
    if (sigwait(&signals, &number) != 0 || number == kDone) return;
    undo();
    std::_Exit(128 + number);  // as a shell says it
  });
}

UndoOnSignal::~UndoOnSignal() {
  pthread_kill(waiting_.native_handle(), kDone);
  waiting_.join();
  const sigset_t signals = SignalsToUndo();
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

}  // namespace dure::cli
