// The file that a simulation is gone on with after it was stopped, killed or cut short by a batch
// system. Written whole or not at all. The bytes:
//
//   "DSCP" | u32 version | records, each u64 length | bytes | SHA-256 of everything before
//
// with proto/checkpoint.proto's SimulationCheckpoint as the first record and a ClientCheckpoint for
// each client that keeps something. Numbers are little-endian. Thread-safe: pure functions.
#ifndef DURE_SIMULATION_CHECKPOINT_H_
#define DURE_SIMULATION_CHECKPOINT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "crypto/digest.h"
#include "simulation/simulator.h"

namespace dure::simulation {

inline constexpr uint64_t kMaxCheckpointBytes = uint64_t{64} << 30;
// Of one record: a model, its optimiser, or what a client keeps.
inline constexpr uint64_t kMaxCheckpointRecordBytes = uint64_t{2'000'000'000};

// Which run a checkpoint is of.
struct RunIdentity {
  Digest spec{};  // SpecDigest
  uint64_t seed = 0;
  uint32_t clients = 0;
  Digest records{};   // who has which
  Digest settings{};  // of the simulation
  bool operator==(const RunIdentity&) const = default;
};

struct Checkpoint {
  RunIdentity run;
  SimulationState state;
  double wall_seconds = 0;
};

// `path` has the old checkpoint or the new one, whatever happens.
absl::Status WriteCheckpoint(const std::string& path, const Checkpoint& checkpoint);

// NotFound if there is no such file; DataLoss, with what is wrong and the remedy, for anything that
// WriteCheckpoint does not write; ResourceExhausted above the limits.
absl::StatusOr<Checkpoint> ReadCheckpoint(const std::string& path);
// The same of bytes.
absl::StatusOr<Checkpoint> DecodeCheckpoint(std::string_view bytes);

// FailedPrecondition, naming what differs, unless `checkpoint` is of `run`.
absl::Status CheckSameRun(const RunIdentity& checkpoint, const RunIdentity& run);

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_CHECKPOINT_H_
