#include "cli/bench/simulate_workload.h"

#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "cli/bench/timing.h"
#include "learner/initial_weights.h"
#include "learner/on_threads.h"

namespace dure::bench {
namespace {

// Where Debian's package puts it.
constexpr char kPackage[] = "dataset-fashion-mnist";
constexpr char kFolder[] = "/usr/share/datasets/fashion-mnist";
constexpr int kWarmUpRounds = 2;

absl::StatusOr<Architecture> ArchitectureFor(const std::string& network,
                                             const std::vector<uint32_t>& shape) {
  constexpr uint32_t kClasses = 10;
  if (network == "mlp") return MakeArchitecture("mlp", shape, kClasses);
  if (network == "cnn_m") return MakeArchitecture("cnn_mcmahan", shape, kClasses);
  if (network == "cnn_s") {
    return ArchitectureOfLayers(
        network, shape,
        {Conv2dLayer{.name = "conv1", .out = 16, .kernel = 5, .stride = 1, .padding = 2},
         ReluLayer{}, MaxPoolLayer{.kernel = 2, .stride = 2},
         Conv2dLayer{.name = "conv2", .out = 32, .kernel = 5, .stride = 1, .padding = 2},
         ReluLayer{}, MaxPoolLayer{.kernel = 2, .stride = 2},
         LinearLayer{.name = "fc1", .out = 128}, ReluLayer{},
         LinearLayer{.name = "fc2", .out = kClasses}});
  }
  return absl::InvalidArgumentError(absl::StrCat("no network is called ", network, "; there are ",
                                                 absl::StrJoin(SimulateNetworks(), ", ")));
}

}  // namespace

std::vector<std::string> SimulateNetworks() { return {"mlp", "cnn_s", "cnn_m"}; }

absl::StatusOr<SimulateWorkload> MakeSimulateWorkload(const std::string& network) {
  SimulateWorkload workload;
  DURE_ASSIGN_OR_RETURN(workload.architecture, ArchitectureFor(network, {1, 28, 28}));
  absl::StatusOr<Dataset> data = ReadDataFolder(kFolder);
  if (!data.ok()) {
    return absl::FailedPreconditionError(absl::StrCat("Fashion-MNIST cannot be read (",
                                                      std::string(data.status().message()),
                                                      "): install the package ", kPackage));
  }
  constexpr uint32_t kUsed = SimulateWorkload::kMembers * SimulateWorkload::kRecords;
  if (data->records() < kUsed) {
    return absl::FailedPreconditionError(
        absl::StrCat(kFolder, " has ", data->records(), " records, ", kUsed,
                     " are needed: install the package ", kPackage));
  }
  std::vector<uint32_t> used(kUsed);
  std::iota(used.begin(), used.end(), 0u);
  workload.data = data->Select(used);
  // The pictures are in no order: to deal them out is as good as to shuffle them.
  workload.members.resize(SimulateWorkload::kMembers);
  for (const uint32_t record : used) {
    workload.members[record % SimulateWorkload::kMembers].push_back(record);
  }
  workload.params = InitialWeights(workload.architecture.manifest, 1);
  return workload;
}

absl::StatusOr<double> SecondsOfRounds(int rounds, size_t workers,
                                       const std::function<absl::Status(size_t, size_t)>& train) {
  std::vector<absl::Status> statuses(workers);
  std::vector<double> seconds;
  size_t first = 0;  // member of the cohort
  for (int round = -kWarmUpRounds; round < rounds; ++round) {
    const double start = Now();
    OnThreads(workers, [&](size_t worker) {
      for (size_t i = worker; i < SimulateWorkload::kCohort; i += workers) {
        statuses[worker].Update(train(worker, (first + i) % SimulateWorkload::kMembers));
      }
    });
    if (round >= 0) seconds.push_back(Now() - start);
    first += SimulateWorkload::kCohort;
    for (const absl::Status& status : statuses) DURE_RETURN_IF_ERROR(status);
  }
  return Median(std::move(seconds));
}

}  // namespace dure::bench
