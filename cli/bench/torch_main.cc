// dure-bench-torch NETWORK ROUNDS WORKERS: prints the median seconds of a round of the benchmark
// simulate/NETWORK, trained by a plain loop of LibTorch. dure-bench starts it.
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "cli/bench/simulate_workload.h"
#include "cli/exit_code.h"
#include "learner/plain_loop_torch.h"

namespace dure::bench {
namespace {

int Run(const std::vector<std::string>& arguments) {
  int rounds = 0, workers = 0;
  if (arguments.size() != 3 || !absl::SimpleAtoi(arguments[1], &rounds) ||
      !absl::SimpleAtoi(arguments[2], &workers) || rounds < 1 || rounds > 1000 || workers < 1 ||
      workers > 64) {
    return cli::Fail(absl::InvalidArgumentError(
        "usage: dure-bench-torch NETWORK ROUNDS WORKERS, up to 1000 rounds and 64 workers"));
  }
  absl::StatusOr<SimulateWorkload> workload = MakeSimulateWorkload(arguments[0]);
  if (!workload.ok()) return cli::Fail(workload.status());
  const PlainLoop loop(workload->architecture, workload->data);
  std::vector<std::vector<float>> changes(static_cast<size_t>(workers),
                                          std::vector<float>(workload->params.size()));
  const absl::StatusOr<double> seconds =
      SecondsOfRounds(rounds, changes.size(), [&](size_t worker, size_t member) {
        return loop.Train(workload->members[member], SimulateWorkload::kBatch,
                          SimulateWorkload::kLearningRate, workload->params, changes[worker]);
      });
  if (!seconds.ok()) return cli::Fail(seconds.status());
  std::printf("%.9g\n", *seconds);
  return cli::kSuccess;
}

}  // namespace
}  // namespace dure::bench

int main(int argc, char** argv) { return dure::bench::Run({argv + 1, argv + argc}); }
