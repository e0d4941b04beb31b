// A simulated round, from the drawing of its cohort to the next model, beside a plain loop of
// LibTorch that takes the same steps on as many threads. The loop runs in dure-bench-torch, so that
// no other benchmark carries LibTorch.
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <span>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "cli/bench/child.h"
#include "cli/bench/figure.h"
#include "cli/bench/simulate_workload.h"
#include "cli/bench/timing.h"
#include "federation/spec.h"
#include "learner/epochs.h"
#include "learner/per_example.h"
#include "simulation/keep_memory.h"
#include "simulation/simulator.h"
#include "simulation/spec.h"

namespace dure::bench {
namespace {

constexpr int kWorkers = 2;
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

// Local training and nothing else.
absl::StatusOr<double> TrainingSeconds(const SimulateWorkload& workload, int rounds,
                                       size_t workers) {
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

// Averaging as the loop does: no privacy, no secure aggregation, nothing measured.
constexpr char kFederation[] = R"(
[federation]
name = "bench"
purpose = "A benchmark"
license = "Apache-2.0"
address = "localhost:7443"
[model]
architecture = "mlp"
[model.input]
shape = [1, 28, 28]
classes = 10
[rounds]
cohort = %d
minimum = 3
count = %d
[local]
mode = "epochs"
epochs = 1
batch_size = %d
learning_rate = %g
[server]
optimizer = "fedavg"
learning_rate = 1.0
[privacy]
unit = "none"
[secure_aggregation]
enabled = false
)";

// When its rounds ended.
struct Times : simulation::Observer {
  void OnRound(const simulation::RoundLine&) override { ends.push_back(Now()); }
  std::vector<double> ends;
};

// The median of whole rounds by the simulator itself. What a federation file says of the model is
// not looked at: the workload has its own.
absl::StatusOr<double> SimulatedSeconds(const SimulateWorkload& workload, int rounds, int threads) {
  constexpr int kWarmUp = 2;
  const std::string toml =
      absl::StrFormat(kFederation, SimulateWorkload::kCohort, rounds + kWarmUp + 1,
                      SimulateWorkload::kBatch, SimulateWorkload::kLearningRate);
  simulation::Simulator::Options options;
  DURE_ASSIGN_OR_RETURN(options.approved.spec, ParseFederation(toml, "bench.toml"));
  options.approved.parts.emplace(workload.architecture.manifest);
  options.approved.dim = workload.params.size();
  options.initial_model = workload.params;
  options.make_model = [&]() -> absl::StatusOr<std::unique_ptr<TrainableModel>> {
    return std::make_unique<Network>(workload.architecture);
  };
  options.data = &workload.data;
  options.clients = SimulateWorkload::kMembers;
  options.records_of = [&](uint32_t client) {
    return std::span<const uint32_t>(workload.members[client]);
  };
  DURE_ASSIGN_OR_RETURN(const SimulationSpec simulated,
                        simulation::ParseSimulation(
                            absl::StrCat("federation = \"-\"\ndata = \"-\"\n[clients]\ncount = ",
                                         SimulateWorkload::kMembers),
                            "bench.toml"));
  const simulation::Behaviour behaviour(simulated.behaviour(), SimulateWorkload::kMembers, 1);
  options.behaviour = &behaviour;
  options.seed = 1;
  options.threads = threads;
  simulation::OneRank alone;
  options.ranks = &alone;
  Times times;
  options.observer = &times;
  options.wall_seconds = [] { return 0.0; };
  DURE_ASSIGN_OR_RETURN(const std::unique_ptr<simulation::Simulator> simulator,
                        simulation::Simulator::Create(std::move(options), {}));
  while (simulator->Advance()) {
  }
  DURE_RETURN_IF_ERROR(simulator->status());
  std::vector<double> seconds;
  for (size_t i = kWarmUp + 1; i < times.ends.size(); ++i) {
    seconds.push_back(times.ends[i] - times.ends[i - 1]);
  }
  return Median(std::move(seconds));
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
  simulation::KeepMemory();
  // One after the other, never beside each other.
  DURE_ASSIGN_OR_RETURN(const double ours, SimulatedSeconds(workload, rounds, kWorkers));
  DURE_ASSIGN_OR_RETURN(const double theirs, TorchSeconds(settings, network, rounds, kWorkers));
  DURE_ASSIGN_OR_RETURN(const double alone, SimulatedSeconds(workload, rounds, 1));
  DURE_ASSIGN_OR_RETURN(const double their_alone, TorchSeconds(settings, network, rounds, 1));
  DURE_ASSIGN_OR_RETURN(const double training, TrainingSeconds(workload, rounds, kWorkers));
  return Figure{.value = ours,
                .limit = theirs,
                .more = {{"training_alone_s", training},
                         {"one_worker_s", alone},
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
