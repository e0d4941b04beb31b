// How simulated clients behave: who is there, who vanishes, who is slow, and how long an attempt
// takes each, on a virtual clock (proto/simulation.proto, docs/simulation.md). All of it follows
// from the seed, the client and the attempt (simulation/streams.h). Thread-safe: constant once
// created.
#ifndef DURE_SIMULATION_BEHAVIOUR_H_
#define DURE_SIMULATION_BEHAVIOUR_H_

#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "proto/simulation.pb.h"

namespace dure::simulation {

enum class Vanishes {
  kNot,
  kBeforeTraining,  // it never answers the offer
  kAfterKeys,       // its keys are shared, its update never comes
  kAfterUpload,     // its update is in the sum, it does not help to open it
};

// What becomes of a client in an attempt.
struct ClientFate {
  Vanishes vanishes = Vanishes::kNot;
  bool fails = false;      // its training does, and it says so
  bool straggles = false;  // and, by behaviour.straggler_work, one of:
  double slowdown = 1;     // late: its training takes so many times as long
  bool partial = false;    // it does fewer local epochs: see EpochsOf
  bool dropped = false;    // it sends nothing
  double share = 1;        // of what is partial, uniform on [0, 1)
};

// How many of `epochs` a client with this fate does: each number of them, from 1, as likely if it
// is partial (Li et al. 2020, section 5.2), else all.
uint32_t EpochsOf(const ClientFate& fate, uint32_t epochs);

// What an attempt asks of a client.
struct Work {
  uint64_t records = 0;  // to train on, as planned: in every epoch again
  uint64_t download_bytes = 0;
  uint64_t upload_bytes = 0;
};

// How long it takes: at most ten years each.
struct WorkTimes {
  absl::Duration download, training, upload;
  absl::Duration total() const { return download + training + upload; }
};

// What stays the same of a client.
struct ClientTraits {
  double speed = 0;     // records a second
  double download = 0;  // bytes a second
  double upload = 0;
};

class Behaviour {
 public:
  // `section` of ParseSimulation.
  Behaviour(const BehaviourSection& section, uint32_t clients, uint64_t seed);

  // Who can be asked at `clock` since the run began for an attempt, ascending. It may be another
  // answer a virtual minute later, and not before.
  std::vector<uint32_t> AvailableClients(absl::Duration clock, uint32_t attempt) const;
  // Whether they are always all there.
  bool always_available() const { return section_.availability() == BehaviourSection::ALWAYS; }

  ClientFate FateOf(uint32_t client, uint32_t attempt) const;
  ClientTraits TraitsOf(uint32_t client) const;
  // Of a client with this fate. One that is partial or dropped stops when all its epochs would have
  // been done.
  WorkTimes TimesOf(uint32_t client, const ClientFate& fate, const Work& work) const;

 private:
  BehaviourSection section_;
  uint32_t clients_;
  uint64_t seed_;
  std::vector<uint16_t> day_begins_;  // of each client, in minutes; diurnal only
};

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_BEHAVIOUR_H_
