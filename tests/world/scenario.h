// What a seed draws before anything happens: the federation, and how much goes wrong in it.
#ifndef DURE_TESTS_WORLD_SCENARIO_H_
#define DURE_TESTS_WORLD_SCENARIO_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "aggregation/server_optimizer.h"
#include "crypto/digest.h"
#include "proto/federation.pb.h"

namespace dure::world {

// What is written down, by members and by the coordinator: a process may die "before" and "after"
// each, with a space between.
inline constexpr std::string_view kWrites[] = {
    "a charge",         "a consent",           "an attempt begins",
    "an attempt fails", "a round is released", "an evaluation"};

// Chances of one message or one moment, while the faults last.
struct Faults {
  // Of a network as it is.
  absl::Duration quickest = absl::Milliseconds(1);
  absl::Duration slowest = absl::Milliseconds(20);
  double delayed = 0;    // a message is held up for seconds, and what follows it with it
  double cut = 0;        // its connection breaks instead
  double partition = 0;  // some members are cut off, at each second
  // Of processes.
  double crash_at_write = 0;  // before it, and again after it
  std::string crash_where;    // there, the crash_time-th time, counted from 0
  uint32_t crash_time = 0;
  double member_dies = 0;  // at each second
  double coordinator_dies = 0;
  double coordinator_stops = 0;  // by a person, and is started again
  double paused = 0;             // by a person
  double trainer_fails = 0;
  double trainer_is_slow = 0;  // longer than a phase may take
  double budget_is_spent = 0;  // of the data, by other federations, as a charge is written
  // Of a coordinator, or of somebody between, that is not honest.
  double forged = 0;     // a message is altered on its way to a member
  double replayed = 0;   // an older one comes in its place or beside it
  double repeated = 0;   // it comes twice, in either direction
  double reordered = 0;  // it is overtaken, in either direction
  double dropped = 0;    // it is lost, and the connection is not, in either direction
  // Of members that are not honest.
  double spoiled = 0;  // what one sends is altered, or is another's, or an older one
};

struct Scenario {
  uint64_t seed = 0;
  FederationSpec spec;
  Digest spec_digest{};
  ServerOptimizerConfig optimizer;
  uint64_t dim = 0;
  uint32_t members = 0;
  bool evaluator = false;
  std::vector<uint32_t> dishonest;  // members, no more than c_max
  bool hostile = false;             // beyond what a network and machines do by themselves
  Faults faults;
  absl::Duration faults_last;
  std::string text;  // in one line
};

Scenario DrawScenario(uint64_t seed);

}  // namespace dure::world

#endif  // DURE_TESTS_WORLD_SCENARIO_H_
