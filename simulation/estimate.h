// How much memory a run will take, worked out before it begins, and how much there is: `dure check`
// says it, and a run that cannot fit is refused. Figures are upper bounds for what is known
// beforehand; what LibTorch keeps for models without kernels of our own is a rough guess.
// Thread-safe.
#ifndef DURE_SIMULATION_ESTIMATE_H_
#define DURE_SIMULATION_ESTIMATE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "federation/terms/terms.h"
#include "learner/data/dataset.h"
#include "proto/federation.pb.h"

namespace dure::simulation {

struct RunSize {
  uint32_t clients = 0;
  int threads = 1;
  bool full = false;         // every message of secure aggregation is made
  uint64_t records = 0;      // dealt out to clients
  uint64_t data_bytes = 0;   // of records that are not in memory yet
  double conspirators = 0;   // share of a cohort whose attack needs the updates of all of them
  bool program_too = false;  // the program itself is counted, because it does not run yet
};

struct MemoryEstimate {
  struct Part {
    std::string what;  // "a model, gradient and buffers for each of 2 threads"
    std::string remedy;
    uint64_t bytes = 0;
  };
  std::vector<Part> parts;  // the largest first
  uint64_t total() const;
};

// Bytes that a dataset takes.
uint64_t DatasetBytes(const Dataset& data);

// `terms` of DeriveTerms. Errors as PartsOf.
absl::StatusOr<MemoryEstimate> EstimateMemory(const FederationSpec& spec, const RoundTerms& terms,
                                              const RunSize& size);

struct FreeMemory {
  uint64_t bytes = 0;
  std::string limit;  // which of them is the lowest: "of this machine", "of its cgroup", ...
};
// What this process may still take: the machine's available memory, what its control group leaves
// (version 1 or 2, of it and of those above it) and the limits of ulimit. `root` is for tests:
// where /proc and /sys are.
FreeMemory ReadFreeMemory(const std::string& root = "");

// ResourceExhausted, with the numbers, what takes most and the remedy, if `processes` such runs
// on this machine take more than is free.
absl::Status CheckFits(const MemoryEstimate& estimate, const FreeMemory& free, int processes = 1);

// "1.24 GB", in decimal units and three digits.
std::string BytesInWords(uint64_t bytes);

// What `dure check` says of a run with so many clients and threads: one paragraph.
absl::StatusOr<std::string> SimulatedInWords(const FederationSpec& spec, const RoundTerms& terms,
                                             const RunSize& size, const FreeMemory& free);

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_ESTIMATE_H_
