// What the benchmarks simulate/… train, in dure-bench and in dure-bench-torch alike
// (docs/benchmarks.md): 100 members with 50 pictures of Fashion-MNIST each, of which ten train in a
// round, one pass in batches of ten: 50 steps of SGD. Not thread-safe.
#ifndef DURE_CLI_BENCH_SIMULATE_WORKLOAD_H_
#define DURE_CLI_BENCH_SIMULATE_WORKLOAD_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "learner/architecture.h"
#include "learner/data/dataset.h"

namespace dure::bench {

struct SimulateWorkload {
  static constexpr uint32_t kMembers = 100, kRecords = 50, kCohort = 10, kBatch = 10;
  static constexpr double kLearningRate = 0.1;

  Architecture architecture;
  Dataset data;
  std::vector<std::vector<uint32_t>> members;  // places of their records
  std::vector<float> params;
};

// "mlp", "cnn_s" and "cnn_m".
std::vector<std::string> SimulateNetworks();
// InvalidArgument for another name. FailedPrecondition, with the package to install, if
// Fashion-MNIST is not on this machine.
absl::StatusOr<SimulateWorkload> MakeSimulateWorkload(const std::string& network);

// The median seconds of `rounds` rounds after two that are not counted: in each the next kCohort
// members train on `workers` threads, in turns, each by one call of train(worker, member).
absl::StatusOr<double> SecondsOfRounds(int rounds, size_t workers,
                                       const std::function<absl::Status(size_t, size_t)>& train);

}  // namespace dure::bench

#endif  // DURE_CLI_BENCH_SIMULATE_WORKLOAD_H_
