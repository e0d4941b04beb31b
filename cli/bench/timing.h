// Clocks and medians. Thread-safe.
#ifndef DURE_CLI_BENCH_TIMING_H_
#define DURE_CLI_BENCH_TIMING_H_

#include <functional>
#include <vector>

namespace dure::bench {

// Seconds of a clock that only goes forward.
double Now();
// Seconds of processor time that this process has used, all threads together.
double CpuNow();

// The middle value, the upper one of two; 0 of none.
double Median(std::vector<double> values);

// Median seconds of `runs` runs of `work`, after one that is not counted.
double MedianSeconds(int runs, const std::function<void()>& work);

}  // namespace dure::bench

#endif  // DURE_CLI_BENCH_TIMING_H_
