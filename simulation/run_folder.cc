#include "simulation/run_folder.h"

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"

namespace dure::simulation {
namespace {

std::string In(const std::string& folder, const char* file) {
  return absl::StrCat(folder, "/", file);
}

}  // namespace

std::string FreeRunFolder(const std::string& folder, const std::string& name) {
  for (int i = 1;; ++i) {
    std::string path = absl::StrCat(folder, "/", name, "-", i);
    if (!FileExists(path)) return path;
  }
}

absl::StatusOr<std::unique_ptr<RunFolder>> RunFolder::Open(const RunFolderOptions& options,
                                                           const Experiment& experiment,
                                                           RunLine line, absl::Time now) {
  auto folder = std::unique_ptr<RunFolder>(new RunFolder());
  folder->path_ = options.path;
  folder->identity_ = experiment.Identity();
  const std::string metrics = In(options.path, kMetricsFile);
  const std::string checkpoint = In(options.path, kCheckpointFile);
  std::optional<RunRecord> kept;
  if (options.resume) {
    absl::StatusOr<Checkpoint> saved = ReadCheckpoint(checkpoint);
    if (absl::IsNotFound(saved.status())) {
      return absl::NotFoundError(absl::StrCat(
          "there is no checkpoint ", checkpoint,
          ": the run was over, or ended before the first one; begin it anew without --resume"));
    }
    DURE_RETURN_IF_ERROR(saved.status());
    DURE_RETURN_IF_ERROR(CheckSameRun(saved->run, folder->identity_));
    folder->resumed_ = *std::move(saved);
    folder->wall_before_ = folder->resumed_.wall_seconds;
    const RunState& run = folder->resumed_.state.run;
    DURE_ASSIGN_OR_RETURN(
        ResumedMetrics log,
        MetricsLog::Resume(metrics, {.round = run.round.value(), .attempt = run.attempts.value()}));
    folder->log_ = std::move(log.log);
    kept = std::move(log.kept);
  } else {
    DURE_RETURN_IF_ERROR(MakeFolder(options.path));
    absl::StatusOr<MetricsLog> log = MetricsLog::Create(metrics);
    if (absl::IsAlreadyExists(log.status())) {
      return absl::AlreadyExistsError(
          absl::StrCat("there is a run in ", options.path,
                       " already: go on with it with --resume, or choose another --out"));
    }
    DURE_RETURN_IF_ERROR(log.status());
    folder->log_ = *std::move(log);
    DURE_RETURN_IF_ERROR(WriteFileAtomic(In(options.path, "federation.resolved.toml"),
                                         experiment.ResolvedFederation()));
    DURE_RETURN_IF_ERROR(WriteFileAtomic(In(options.path, "simulation.resolved.toml"),
                                         SimulationToToml(experiment.simulation())));
  }
  line.started = absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", now, absl::UTCTimeZone());
  DURE_RETURN_IF_ERROR(folder->log_->Write(line));
  if (options.tensorboard) {
    DURE_ASSIGN_OR_RETURN(folder->tensorboard_,
                          TensorBoardWriter::Create(options.path, now, kept ? &*kept : nullptr));
  }
  return folder;
}

absl::Status RunFolder::WriteRound(const RoundLine& line, absl::Time now) {
  DURE_RETURN_IF_ERROR(log_->Write(line));
  return tensorboard_ ? tensorboard_->Write(line, now) : absl::OkStatus();
}

absl::Status RunFolder::WriteEvaluation(const EvaluationLine& line, absl::Time now) {
  DURE_RETURN_IF_ERROR(log_->Write(line));
  return tensorboard_ ? tensorboard_->Write(line, now) : absl::OkStatus();
}

absl::Status RunFolder::WriteCheckpoint(SimulationState state, double wall_seconds) {
  DURE_RETURN_IF_ERROR(log_->Sync());
  return simulation::WriteCheckpoint(
      In(path_, kCheckpointFile),
      {.run = identity_, .state = std::move(state), .wall_seconds = wall_seconds});
}

void RunFolder::RemoveCheckpoint() {
  std::error_code ignored;
  std::filesystem::remove(In(path_, kCheckpointFile), ignored);
}

absl::Status RunFolder::WriteModel(const ModelFile& model) {
  return WriteFileAtomic(In(path_, kModelFile), EncodeSafetensors(model));
}

}  // namespace dure::simulation
