#include "cli/stop_signal.h"

#include <csignal>

namespace dure::cli {
namespace {

volatile std::sig_atomic_t requested = 0;

void OnSignal(int number) {
  requested = 1;
  std::signal(number, SIG_DFL);
}

}  // namespace

StopSignal::StopSignal() {
  std::signal(SIGINT, OnSignal);
  std::signal(SIGTERM, OnSignal);
}

bool StopSignal::Requested() const { return requested != 0; }

}  // namespace dure::cli
