// What a benchmark is and what it gives: one figure beside the machine's own limit, measured in the
// same run (docs/benchmarks.md).
#ifndef DURE_CLI_BENCH_FIGURE_H_
#define DURE_CLI_BENCH_FIGURE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/stop_signal.h"

namespace dure::bench {

struct Figure {
  double value = 0;  // the less the better
  // The least value that this machine allows, or, for memory, the goal.
  double limit = 0;
  // More numbers of the same run, by name.
  std::vector<std::pair<std::string, double>> more = {};

  // How much of the limit is reached: 1 is all of it.
  double ratio() const { return limit / value; }
};

struct Settings {
  bool quick = false;  // one run instead of the median of several
  std::string folder;  // for files, removed in the end
  const cli::StopSignal* stop = nullptr;
  int runs() const { return quick ? 1 : 7; }
};

struct Benchmark {
  std::string name;
  std::string unit;  // "s", or "B" for memory
  std::function<absl::StatusOr<Figure>(const Settings&)> run;
};

// The benchmarks of each part, in the order in which they are shown.
std::vector<Benchmark> ComputeBenchmarks();  // aggregate, mask, per-example
std::vector<Benchmark> RuleBenchmarks();     // aggregate, by robust rules
std::vector<Benchmark> EncodeBenchmarks();
std::vector<Benchmark> SecaggBenchmarks();
std::vector<Benchmark> RoundBenchmarks();
std::vector<Benchmark> StartBenchmarks();
std::vector<Benchmark> SimulateBenchmarks();
std::vector<Benchmark> LoadBenchmarks();

// `dure bench load`.
struct LoadOptions {
  uint32_t members = 1000;
  uint32_t cohort = 200;
  uint32_t parameters = 100'000;
  uint32_t rounds = 5;  // 0: the members connect and nothing else happens
  uint32_t deadline_seconds = 60;
};
Benchmark LoadBenchmark(const LoadOptions& options);

}  // namespace dure::bench

#endif  // DURE_CLI_BENCH_FIGURE_H_
