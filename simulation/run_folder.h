// The folder that a run leaves: metrics.jsonl, TensorBoard events, the configuration, the model,
// checkpoints and the report. docs/simulation.md, "What a run leaves". Not thread-safe.
#ifndef DURE_SIMULATION_RUN_FOLDER_H_
#define DURE_SIMULATION_RUN_FOLDER_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "simulation/checkpoint.h"
#include "simulation/experiment.h"
#include "simulation/metrics_log.h"
#include "simulation/tensorboard.h"

namespace dure::simulation {

inline constexpr char kCheckpointFile[] = "checkpoint.bin";
inline constexpr char kModelFile[] = "model.safetensors";

// The first of FOLDER/NAME-1, FOLDER/NAME-2, ... that is not there.
std::string FreeRunFolder(const std::string& folder, const std::string& name);

struct RunFolderOptions {
  std::string path;
  bool tensorboard = false;
  bool resume = false;
};

class RunFolder {
 public:
  // Makes the folder, or goes on in one with a checkpoint of the same run. AlreadyExists, with the
  // remedy, if a run is there and is not to be resumed; NotFound if there is none to resume.
  static absl::StatusOr<std::unique_ptr<RunFolder>> Open(const RunFolderOptions& options,
                                                         const Experiment& experiment, RunLine line,
                                                         absl::Time now);

  const std::string& path() const { return path_; }
  // What the run goes on with; empty without --resume.
  SimulationState TakeState() { return std::move(resumed_.state); }
  // Of the processes that came before.
  double wall_seconds_before() const { return wall_before_; }

  template <typename Line>
  absl::Status Write(const Line& line) {
    return log_->Write(line);
  }
  absl::Status WriteRound(const RoundLine& line, absl::Time now);
  absl::Status WriteEvaluation(const EvaluationLine& line, absl::Time now);
  absl::Status WriteCheckpoint(SimulationState state, double wall_seconds);
  // The run is over.
  void RemoveCheckpoint();
  absl::Status WriteModel(const ModelFile& model);

 private:
  RunFolder() = default;

  std::string path_;
  RunIdentity identity_;
  Checkpoint resumed_;
  double wall_before_ = 0;
  std::optional<MetricsLog> log_;
  std::optional<TensorBoardWriter> tensorboard_;
};

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_RUN_FOLDER_H_
