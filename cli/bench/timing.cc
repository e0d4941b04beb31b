#include "cli/bench/timing.h"

#include <algorithm>
#include <ctime>

namespace dure::bench {
namespace {

double Seconds(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

}  // namespace

double Now() { return Seconds(CLOCK_MONOTONIC); }
double CpuNow() { return Seconds(CLOCK_PROCESS_CPUTIME_ID); }

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double MedianSeconds(int runs, const std::function<void()>& work) {
  std::vector<double> seconds;
  for (int run = 0; run <= runs; ++run) {
    const double start = Now();
    work();
    if (run > 0) seconds.push_back(Now() - start);
  }
  return Median(std::move(seconds));
}

}  // namespace dure::bench
