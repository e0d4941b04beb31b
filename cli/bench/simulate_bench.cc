// Local training of a simulated round beside a plain loop of LibTorch that takes the same steps on
// as many threads. The loop runs in dure-bench-torch, so that no other benchmark carries LibTorch.
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <span>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cli/bench/child.h"
#include "cli/bench/figure.h"
#include "cli/bench/simulate_workload.h"
#include "learner/epochs.h"
#include "learner/per_example.h"

namespace dure::bench {
namespace {

constexpr size_t kWorkers = 2;
constexpr absl::Duration kPatience = absl::Minutes(5);

std::string TorchProgram() {
  return (std::filesystem::path(OwnPath()).parent_path() / "dure-bench-torch").string();
}

// A model and what it trains with: one a thread.
struct Worker {
  explicit Worker(const SimulateWorkload& workload)
      : network(workload.architecture), training(&network, /*threads=*/1), change(network.dim()) {}
  Network network;
  EpochTraining training;
  std::vector<float> change;
};

absl::StatusOr<double> OurSeconds(const SimulateWorkload& workload, int rounds, size_t workers) {
  std::vector<std::unique_ptr<Worker>> all;
  for (size_t i = 0; i < workers; ++i) all.push_back(std::make_unique<Worker>(workload));
  EpochsPlan plan{.epochs = 1,
                  .batch_size = SimulateWorkload::kBatch,
                  .learning_rate = SimulateWorkload::kLearningRate};
  return SecondsOfRounds(rounds, workers, [&](size_t worker, size_t member) {
    return all[worker]->training.Run(DataView(workload.data, workload.members[member]),
                                     workload.params, plan, all[worker]->change);
  });
}

absl::StatusOr<double> TorchSeconds(const Settings& settings, const std::string& network,
                                    int rounds, size_t workers) {
  // A worker computes by itself: threads of a library within it would only be in each other's way.
  DURE_ASSIGN_OR_RETURN(std::unique_ptr<Child> child,
                        Child::Start(settings, "/usr/bin/env",
                                     {"OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1", TorchProgram(),
                                      network, absl::StrCat(rounds), absl::StrCat(workers)}));
  DURE_ASSIGN_OR_RETURN(const std::string line, child->ReadLine(kPatience));
  double seconds = 0;
  if (!absl::SimpleAtod(line, &seconds) || seconds <= 0) {
    return absl::InternalError(absl::StrCat("dure-bench-torch said \"", line, "\""));
  }
  return seconds;
}

absl::StatusOr<Figure> Simulate(const Settings& settings, const std::string& network) {
  DURE_ASSIGN_OR_RETURN(const SimulateWorkload workload, MakeSimulateWorkload(network));
  const int rounds = settings.runs();
  // One after the other, never beside each other.
  DURE_ASSIGN_OR_RETURN(const double ours, OurSeconds(workload, rounds, kWorkers));
  DURE_ASSIGN_OR_RETURN(const double theirs, TorchSeconds(settings, network, rounds, kWorkers));
  DURE_ASSIGN_OR_RETURN(const double alone, OurSeconds(workload, rounds, 1));
  DURE_ASSIGN_OR_RETURN(const double their_alone, TorchSeconds(settings, network, rounds, 1));
  return Figure{.value = ours,
                .limit = theirs,
                .more = {{"one_worker_s", alone},
                         {"one_worker_ratio", their_alone / alone},
                         {"parameters", static_cast<double>(workload.params.size())}}};
}

}  // namespace

std::vector<Benchmark> SimulateBenchmarks() {
  std::vector<Benchmark> all;
  std::error_code ignored;
  if (!std::filesystem::exists(TorchProgram(), ignored)) return all;  // built without LibTorch
  for (const std::string& network : SimulateNetworks()) {
    all.push_back({.name = absl::StrCat("simulate/", network),
                   .unit = "s",
                   .run = [=](const Settings& settings) { return Simulate(settings, network); }});
  }
  return all;
}

}  // namespace dure::bench
