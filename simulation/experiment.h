// Everything that one run needs, read and checked before it begins: the federation file with the
// keys of the command line over it, the records, who has which, what clients do, the first model.
// Not thread-safe, but for ReadOnce.
#ifndef DURE_SIMULATION_EXPERIMENT_H_
#define DURE_SIMULATION_EXPERIMENT_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "federation/model_file.h"
#include "learner/data/dataset.h"
#include "learner/data/partition.h"
#include "learner/trainer_parts.h"
#include "proto/simulation.pb.h"
#include "simulation/behaviour.h"
#include "simulation/checkpoint.h"
#include "simulation/estimate.h"
#include "simulation/live_view.h"
#include "simulation/metrics_log.h"
#include "simulation/simulator.h"
#include "simulation/spec.h"

namespace dure::simulation {

// What the program that simulates can train and read; learner/stock_trainer.h has most of it.
struct Learner {
  TrainerParts parts;
  // The model that a federation begins with; `federation` is the path of its file.
  std::function<absl::StatusOr<ModelFile>(const FederationSpec& spec,
                                          const std::string& federation)>
      first_model;
};

struct ExperimentOptions {
  std::string federation;  // path of the federation file
  std::vector<KeyOverride> federation_keys;
  SimulationSpec simulation;  // validated; its `data` is what is dealt out
  int neighbours = 1;         // runs and processes on this machine, this one included
  bool privacy = true;        // false: without noise, and without clipping where nothing needs it
  Depth depth = Depth::kSums;
  int threads = 1;
};

// The records of a data folder, or of a CSV file or text.
struct Records {
  DataFiles files;
  Dataset training;
  std::optional<Dataset> held_out;
};

// Reads each data set once for all the runs of a sweep. Thread-safe.
class RecordsCache {
 public:
  using Read = std::function<absl::StatusOr<Records>()>;
  absl::StatusOr<std::shared_ptr<const Records>> Get(const std::string& key, const Read& read);

 private:
  std::mutex lock_;
  std::map<std::string, std::shared_ptr<const Records>> known_;
};

class Experiment {
 public:
  // Errors name the file, the key or the flag, the limit and the remedy. `learner` and `cache` are
  // borrowed.
  static absl::StatusOr<std::unique_ptr<Experiment>> Load(ExperimentOptions options,
                                                          const Learner& learner,
                                                          RecordsCache* cache);

  const FederationSpec& spec() const { return approved_.spec; }
  const SimulationSpec& simulation() const { return options_.simulation; }
  const Partition& clients() const { return clients_; }
  uint64_t seed() const { return options_.simulation.clients().seed(); }
  bool measures() const { return records_->held_out.has_value(); }
  // What the run leaves as its model.
  ModelFile ModelOf(std::vector<float> params) const;

  RunIdentity Identity() const;
  // Every key of both files, as text.
  std::map<std::string, std::string> Configuration() const;
  // As TOML, with every default filled in.
  std::string ResolvedFederation() const;
  RunHeading Heading() const;
  RunLine Line(int ranks) const;
  // What it takes beside the records, which are in memory; `with_program`: and what the program took
  // before it read them.
  absl::StatusOr<MemoryEstimate> Memory(bool with_program = false) const;
  std::string PrivacyInWords() const;

  absl::StatusOr<std::unique_ptr<Simulator>> Start(SimulationState state, Ranks* ranks,
                                                   Observer* observer,
                                                   std::function<double()> wall_seconds) const;

 private:
  Experiment(ExperimentOptions options, const Learner& learner)
      : options_(std::move(options)), learner_(learner) {}
  absl::Status ReadFederation();
  absl::Status CheckModelFits(const FederationSpec& spec) const;
  absl::Status ReadRecords(RecordsCache* cache);
  absl::Status DealOut();
  uint32_t cohort() const;
  absl::StatusOr<std::unique_ptr<TrainableModel>> MakeModel() const;

  ExperimentOptions options_;
  const Learner& learner_;
  Approved approved_;
  ModelFile first_model_;
  std::shared_ptr<const Records> records_;
  Partition clients_;
  std::optional<Behaviour> behaviour_;
  std::optional<Attack> attack_;
  std::optional<Dataset> poisoned_;  // the records, if byzantine clients have other labels
};

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_EXPERIMENT_H_
