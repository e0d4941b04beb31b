// The simulation file (proto/simulation.proto, docs/simulation-file.md): read from TOML and from
// keys of a command line, validated, with every default filled in; and the runs of a sweep.
// Functions read no files; thread-safe.
#ifndef DURE_SIMULATION_SPEC_H_
#define DURE_SIMULATION_SPEC_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "federation/toml_reader.h"
#include "learner/data/partition.h"
#include "proto/federation.pb.h"
#include "proto/simulation.pb.h"

namespace dure::simulation {

// Most runs of one sweep.
inline constexpr uint64_t kMaxSweepRuns = 10'000;

// Keys of a command line, by the file that they go over.
struct Overrides {
  std::vector<KeyOverride> federation;
  std::vector<KeyOverride> simulation;  // "simulation." taken off their paths
};

// Each "KEY=VALUE". InvalidArgument if one is not that.
absl::StatusOr<Overrides> ParseOverrides(std::span<const std::string> texts,
                                         std::string_view flag = "--set");

// Whether `toml` is a simulation file and not a federation file: its top-level key `federation` is
// a text, and no section.
bool IsSimulationFile(std::string_view toml);

// Reads `toml` ("" if there is no such file and all comes from `overrides`), fills in defaults and
// validates. Paths in it become relative to the folder of `file`, those of `overrides` stay as they
// are. Errors as ParseFederation.
absl::StatusOr<SimulationSpec> ParseSimulation(std::string_view toml, std::string_view file,
                                               std::span<const KeyOverride> overrides = {});

// As commented TOML, which ParseSimulation reads back to the same.
std::string SimulationToToml(const SimulationSpec& spec);

// What both files must hold together. FailedPrecondition, naming both keys, and what to do.
absl::Status CheckTogether(const SimulationSpec& simulation, const FederationSpec& federation);

// Whether the clients that there are can take part: there are as many as a cohort needs, and none
// has more records than members may have. FailedPrecondition with the numbers and what to do.
absl::Status CheckClients(const Partition& clients, const FederationSpec& federation);

// One run of a sweep.
struct SweepRun {
  uint64_t seed = 0;
  std::vector<std::string> settings;  // of the grid: "server.learning_rate=0.1"
  Overrides overrides;                // the settings and the seed
};
// In the order of the grid, the last key changing first, then by seed. One run without a grid and
// with repeats = 1. `spec` is of ParseSimulation.
std::vector<SweepRun> RunsOf(const SimulationSpec& spec);

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_SPEC_H_
