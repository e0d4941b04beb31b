// What people see of a run at the terminal: what is run, a row for each evaluation and, on a
// terminal, a progress bar. Without one, lines only. At most 80 columns. Not thread-safe.
#ifndef DURE_SIMULATION_LIVE_VIEW_H_
#define DURE_SIMULATION_LIVE_VIEW_H_

#include <cstdint>
#include <cstdio>
#include <string>

#include "absl/time/time.h"
#include "base/clock.h"
#include "simulation/live_line.h"
#include "simulation/metrics_log.h"

namespace dure::simulation {

struct RunHeading {
  std::string name;   // of the federation
  std::string model;  // "mlp" and the like
  uint64_t parameters = 0;
  uint64_t clients = 0;
  uint64_t records = 0;
  uint32_t cohort = 0;  // clients of one round
  uint32_t rounds = 0;
  std::string privacy;             // in words
  std::string secure_aggregation;  // in words
  uint32_t threads = 1;
  uint32_t ranks = 1;
  uint64_t memory_bytes = 0;   // expected; 0: not known
  std::string folder;          // what is written goes there; "": nothing is
  uint32_t resumed_after = 0;  // the round of the checkpoint
};

class LiveView {
 public:
  // As LiveLine. `clock` tells how fast it goes.
  LiveView(FILE* out, bool terminal, Clock* clock) : line_(out, terminal, clock), clock_(clock) {}

  void Begin(const RunHeading& heading);
  // Of the attempt that is running: `done` of `clients` have trained. As often as one likes.
  void Progress(uint32_t done, uint32_t clients);
  void Show(const RoundLine& round);
  // The first few in full, all of them counted.
  void Show(const AttemptFailedLine& failure);
  void Show(const EvaluationLine& evaluation);
  // What people should know, in words.
  void Note(const std::string& text);
  void End(const EndLine& end);

 private:
  void ShowBar(double of_this_round);

  LiveLine line_;
  Clock* clock_;
  uint32_t rounds_ = 0;
  uint32_t first_round_ = 0;  // that was there before this process
  uint32_t failures_ = 0;
  RoundLine newest_;
  bool header_printed_ = false;
  absl::Time begun_;
};

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_LIVE_VIEW_H_
