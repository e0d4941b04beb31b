// One run, from the first attempt or from a checkpoint to its end: what is written, shown and said
// of it. Not thread-safe; several runs may go on at once, each on a thread.
#ifndef DURE_SIMULATION_RUN_H_
#define DURE_SIMULATION_RUN_H_

#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "simulation/experiment.h"
#include "simulation/live_view.h"
#include "simulation/ranks.h"
#include "simulation/stop_request.h"

namespace dure::simulation {

struct RunOptions {
  std::string folder;
  bool tensorboard = false;
  bool resume = false;
  absl::Duration checkpoint_every = absl::Seconds(30);
  LiveView* view = nullptr;  // borrowed; null: shows nothing
  bool json = false;         // the lines of metrics.jsonl on standard output as well
  // How much is done, 0 to 1: for whoever shows several runs.
  std::function<void(double)> progress;
};

struct RunOutcome {
  EndLine end;
  std::optional<EvaluationLine> newest;
};

// OK also of a run that was stopped, or that failed as runs do: `end` says how. Errors are those of
// files, and of a federation that cannot be simulated. Process 0 writes and shows.
absl::StatusOr<RunOutcome> RunExperiment(const Experiment& experiment, const RunOptions& options,
                                         Ranks* ranks, StopRequest* stop);

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_RUN_H_
