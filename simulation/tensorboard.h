// A run's scalars as a TensorBoard event file (`dure simulate --tensorboard`), step by round:
//   loss, accuracy, f1, auc, mae, perplexity   at each evaluation, what there is; own/NAME of a
//                                              figure of a trainer program of one's own
//   epsilon, clip_norm                         at each round, where there are such
//   survivors, update_norm
//   round_seconds, virtual_seconds             of one round; those of the run's own clock
// docs/formats/metrics.md. Not thread-safe.
#ifndef DURE_SIMULATION_TENSORBOARD_H_
#define DURE_SIMULATION_TENSORBOARD_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/append_file.h"
#include "simulation/metrics_log.h"

namespace dure::tensorboard {
class Event;
}

namespace dure::simulation {

class TensorBoardWriter {
 public:
  // Begins events.out.tfevents.SECONDS.HOST.PID.0 in `folder` (the last number is a higher one
  // where that file is there). `kept`: null, or what a resumed run has already (ResumedMetrics);
  // what another file in `folder` says of later rounds, TensorBoard then forgets. Errors are those
  // of the disk.
  static absl::StatusOr<TensorBoardWriter> Create(const std::string& folder, absl::Time now,
                                                  const RunRecord* kept);

  absl::Status Write(const RoundLine& line, absl::Time now);
  absl::Status Write(const EvaluationLine& line, absl::Time now);

  const std::string& path() const { return file_.path(); }

 private:
  explicit TensorBoardWriter(AppendFile file) : file_(std::move(file)) {}
  absl::Status WriteEvent(tensorboard::Event& event, uint32_t step, absl::Time now);

  AppendFile file_;
  // At the end of the round before.
  double virtual_seconds_ = 0;
  double wall_seconds_ = 0;
};

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_TENSORBOARD_H_
