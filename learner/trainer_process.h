// Training in a process of its own: starts `dure-trainer`, hands it a model and a member's data as
// open descriptors, and asks it for gradients. The trainer is treated as hostile: whatever it
// answers is checked for size, range and sense, and a trainer that dies, hangs or answers nonsense
// is ended and started again by the next call. Not thread-safe: one call at a time, but for Cancel.
#ifndef DURE_LEARNER_TRAINER_PROCESS_H_
#define DURE_LEARNER_TRAINER_PROCESS_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/file.h"
#include "learner/data/column_sums.h"
#include "learner/data/dataset.h"
#include "learner/trainer.h"
#include "learner/trainer_channel.h"
#include "proto/federation.pb.h"

namespace dure {

struct TrainerOptions {
  std::string program;      // path of dure-trainer
  ModelSection model;       // complete and validated
  std::string data_folder;  // learner/data/dataset.h
  DataPart part = DataPart::kTraining;
  // Files that the terms name, as they were fetched; "" where they name none.
  std::string module_file;
  std::string vocabulary_file;
  std::string schema_file;
  // How the table's numeric columns are standardised, in place of what the schema says.
  std::optional<Standardisation> standards;
  uint64_t most_sums = 0;  // numbers that a StatisticsPlan or an EvaluationPlan gives
  int threads = 1;  // cores divided by members on this machine, at least 1
  uint64_t memory_bytes = uint64_t{8} << 30;  // private memory that it may write to
  // It gets what others leave of processor and disk: nice 19, and the idle class of input and
  // output.
  bool background = false;
  absl::Duration load_timeout = absl::Seconds(120);
  absl::Duration train_timeout = absl::Seconds(120);
  absl::Duration evaluate_timeout = absl::Minutes(10);
};

class TrainerProcess final : public Trainer {
 public:
  // Starts the trainer and loads the data. InvalidArgument, FailedPrecondition, NotFound or
  // ResourceExhausted, with what the trainer said, if the data cannot be used (learner/data);
  // Unavailable if the program is not there, cannot be run or died; DeadlineExceeded.
  static absl::StatusOr<std::unique_ptr<TrainerProcess>> Start(TrainerOptions options);
  ~TrainerProcess() override;
  TrainerProcess(const TrainerProcess&) = delete;
  TrainerProcess& operator=(const TrainerProcess&) = delete;

  const ParamManifest& manifest() const override;
  const DataSummary& data() const override;
  // Layers of the sandbox, in the order of the trainer's report.
  const std::vector<SandboxLayer>& sandbox() const;

  // Adds to Trainer::Train: InvalidArgument if params.size() is not manifest().dim(), if a
  // GradientPlan's records are not strictly ascending below data().records, or if a number is out
  // of range (learner/local_plan.h); no process is needed to find that out.
  absl::StatusOr<LocalUpdate> Train(std::span<const float> params, const LocalPlan& plan) override;
  absl::StatusOr<ModelMetrics> Evaluate(std::span<const float> params) override;
  void Cancel() override;
  // Another standardisation is that of the next call, which starts a trainer that reads the table
  // by it.
  void Standardise(const Standardisation& standards) override;

  // The running trainer, or -1 if the last call ended it.
  pid_t pid() const;

 private:
  class Child;
  explicit TrainerProcess(TrainerOptions options);
  absl::Status EnsureRunning();
  absl::StatusOr<LoadedReply> Load();
  absl::Status SetParams(std::span<const float> params);
  absl::StatusOr<LocalUpdate> RunGradient(const GradientPlan& plan);
  absl::StatusOr<LocalUpdate> RunLocal(const LocalPlan& plan);
  absl::StatusOr<LocalUpdate> RunSums(const LocalPlan& plan);
  absl::Status UseStandards(const Standardisation& standards);
  void SetTraining(bool training);
  absl::StatusOr<ModelMetrics> RunEvaluate();
  absl::Status AfterFailure(const absl::Status& status, const char* doing);

  TrainerOptions options_;
  DataFiles files_;
  FileDescriptor module_, vocabulary_, schema_;  // not valid where there is none
  ParamManifest manifest_;
  DataSummary data_;
  std::vector<SandboxLayer> sandbox_;
  absl::Status not_standardised_;  // why the last Standardise came to nothing
  std::unique_ptr<Child> child_;
  // Guards that child_ is in the middle of local training: what Cancel ends.
  std::mutex mutex_;
  bool training_ = false;
};

}  // namespace dure

#endif  // DURE_LEARNER_TRAINER_PROCESS_H_
