// How simulated clients behave: who is there, who vanishes, who is slow, and how long an attempt
// takes each, on a virtual clock (proto/simulation.proto, docs/simulation.md). All of it follows
// from the seed, the client and the attempt (simulation/streams.h). Thread-safe: constant once
// created.
#ifndef DURE_SIMULATION_BEHAVIOUR_H_
#define DURE_SIMULATION_BEHAVIOUR_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/simulation.pb.h"

namespace dure::simulation {

enum class Vanishing {
  kNever,
  kBeforeTraining,  // it never answers the offer
  kAfterKeys,       // its keys are shared, its update never comes
  kAfterUpload,     // its update is in the sum, it does not help to open it
};

// What becomes of a client in an attempt.
struct ClientFate {
  Vanishing vanishes = Vanishing::kNever;
  bool training_fails = false;  // and it says so
  bool straggles = false;       // and, by behaviour.straggler_work, one of the following
  double slowdown = 1;          // late: its training takes so many times as long
  bool partial = false;         // it does fewer local epochs
  bool too_late = false;        // dropped: what it sends would not be waited for
  double share = 1;             // of what is partial, uniform on [0, 1)

  // How many of `epochs` it does: each number of them, from 1, as likely if it is partial
  // (Li et al. 2020, section 5.2), else all.
  uint32_t EpochsOf(uint32_t epochs) const;
};

// What an attempt asks of a client.
struct Work {
  uint64_t download_bytes = 0;
  double records = 0;  // to train on, as planned: in every epoch again
  uint64_t upload_bytes = 0;
};

// What stays the same of a client.
struct ClientTraits {
  double speed = 0;     // records a second
  double download = 0;  // bytes a second
  double upload = 0;
};

class Behaviour {
 public:
  // `spec` of ParseSimulation. InvalidArgument unless there are 1 to kMaxSimulatedClients clients.
  static absl::StatusOr<Behaviour> Create(const SimulationSpec& spec, uint32_t clients,
                                          uint64_t seed);

  // Whether it can be asked at `clock`, since the run began, for an attempt. It may be another
  // answer a virtual minute later, and not before.
  bool Available(uint32_t client, absl::Duration clock, uint32_t attempt) const;

  ClientFate FateOf(uint32_t client, uint32_t attempt) const;
  ClientTraits TraitsOf(uint32_t client) const;
  // Download, training and upload, by its traits and its fate: at most ten years each. One that is
  // partial or dropped stops when all its epochs would have been done at its usual speed.
  absl::Duration TimeOf(uint32_t client, uint32_t attempt, const Work& work) const;

 private:
  Behaviour(const BehaviourSection& section, uint64_t seed) : section_(section), seed_(seed) {}

  BehaviourSection section_;
  uint64_t seed_;
  std::vector<uint16_t> day_begins_;  // of each client, in minutes; diurnal only
};

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_BEHAVIOUR_H_
