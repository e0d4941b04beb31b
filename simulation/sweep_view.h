// What people see of a sweep: a row for each run that has ended, and on a terminal a bar over all
// of them. Not thread-safe: runs that are threads of one process take a lock.
#ifndef DURE_SIMULATION_SWEEP_VIEW_H_
#define DURE_SIMULATION_SWEEP_VIEW_H_

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "base/clock.h"
#include "simulation/live_line.h"
#include "simulation/metrics_log.h"

namespace dure::simulation {

struct SweepHeading {
  std::string name;
  uint32_t runs = 0;
  uint32_t at_once = 1;
  uint32_t ended_before = 0;  // of a sweep that goes on
  std::string folder;
};

// A run that has ended.
struct SweptRun {
  std::string label;  // what is different about it
  uint64_t seed = 0;
  std::optional<EvaluationLine> newest;
  EndLine end;
};

class SweepView {
 public:
  // As LiveLine.
  SweepView(FILE* out, bool terminal, Clock* clock) : line_(out, terminal, clock), clock_(clock) {}

  void Begin(const SweepHeading& heading);
  // Of the runs that are running: how many, and how much of them is done, in runs: 0 to `running`.
  void Progress(uint32_t running, double done);
  void Show(const SweptRun& run);
  void End();

 private:
  void ShowBar();

  LiveLine line_;
  Clock* clock_;
  SweepHeading heading_;
  uint32_t ended_ = 0;
  uint32_t failed_ = 0;
  uint32_t running_ = 0;
  double part_ = 0;
  bool header_printed_ = false;
  absl::Time begun_;
};

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_SWEEP_VIEW_H_
