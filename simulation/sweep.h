// A sweep: the same federation under several settings and seeds, each run in a folder of its own,
// several at once (docs/simulation.md, "Sweeps"). A run gives the same model whether it is alone or
// one of many. Not thread-safe.
#ifndef DURE_SIMULATION_SWEEP_H_
#define DURE_SIMULATION_SWEEP_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "simulation/experiment.h"
#include "simulation/ranks.h"
#include "simulation/run.h"
#include "simulation/spec.h"
#include "simulation/stop_request.h"
#include "simulation/sweep_view.h"

namespace dure::simulation {

struct SweepOptions {
  std::string name;  // of the federation
  std::string folder;
  std::vector<SweepRun> runs;
  // What one of them needs, on so many threads and beside so many others.
  std::function<absl::StatusOr<ExperimentOptions>(const SweepRun& run, int threads, int at_once)>
      options_of;
  RunOptions run;             // of each; its folder, view and progress are made here
  int threads = 1;            // for all of them together
  uint32_t at_once = 0;       // 0: as many as memory and threads allow
  SweepView* view = nullptr;  // borrowed; null: shows nothing
};

struct SweepOutcome {
  uint32_t finished = 0, failed = 0, stopped = 0;
};

// "003-learning_rate=0.1-seed2": the place of a run in its sweep, what is different, its seed.
std::string SweepRunFolder(const SweepRun& run, size_t place, size_t of);

// How many of such runs fit into the memory that is free, at least 1 and at most `most`.
uint32_t RunsWithinMemory(const Experiment& run, uint32_t most);

// With options.run.resume runs that are over are passed over, and the others gone on with. A run
// whose setting cannot work counts as failed, and the others go on; errors are those of files.
absl::StatusOr<SweepOutcome> RunSweep(const SweepOptions& options, const Learner& learner,
                                      RecordsCache* cache, Ranks* ranks, StopRequest* stop);

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_SWEEP_H_
