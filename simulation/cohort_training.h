// The members of an attempt, trained: on threads, each with a model and all that training needs,
// used for one member after the other; and, among several processes, each a part of the cohort. A
// member is trained by one thread from streams of its own, and what is added up are integers, so
// neither the number of threads, nor that of processes, nor who is done first changes a bit.
// Not thread-safe.
#ifndef DURE_SIMULATION_COHORT_TRAINING_H_
#define DURE_SIMULATION_COHORT_TRAINING_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ring.h"
#include "client/local_state.h"
#include "learner/data/dataset.h"
#include "learner/trainable_model.h"
#include "simulation/attack.h"
#include "simulation/offered_attempt.h"
#include "simulation/ranks.h"

namespace dure::simulation {

// A member that is asked for an input.
struct Asked {
  uint32_t client = 0;
  uint32_t group = 0;   // whose sum its input goes into
  uint32_t epochs = 0;  // of local training, fewer than the plan's; 0: as many
};

struct CohortInputs {
  // By group; empty where no input came. Sums over all processes.
  std::vector<RingVector> sums;
  std::vector<uint32_t> inputs;  // by group, how many are in its sum
  uint64_t cut_off = 0;          // coordinates beyond the fixed grid
  // Only if inputs were to be kept: by place in the cohort, absent where training failed.
  std::vector<std::optional<RingVector>> kept;
  std::string failure;  // why an input did not come, of one of those; of this process
};

class CohortTraining {
 public:
  struct Options {
    Approved approved;
    std::function<absl::StatusOr<std::unique_ptr<TrainableModel>>()> make_model;
    const Dataset* data = nullptr;      // borrowed
    const Dataset* held_out = nullptr;  // borrowed; null: there are none
    uint32_t clients = 0;
    std::function<std::span<const uint32_t>(uint32_t client)> records_of;
    const Attack* attack = nullptr;  // borrowed; null: nobody is byzantine
    uint64_t seed = 0;
    int threads = 1;
    Ranks* ranks = nullptr;  // borrowed
    // Of the attempt under way, in this process: called on any thread, one call at a time.
    std::function<void(uint32_t trained, uint32_t clients)> progress;
  };
  static absl::StatusOr<std::unique_ptr<CohortTraining>> Create(Options options);
  ~CohortTraining();

  // Collective over all processes.
  struct Wanted {
    size_t members = 0;  // of the whole cohort
    uint32_t groups = 1;
    bool keep_inputs = false;  // in the place of sums; one process alone can
  };
  absl::StatusOr<CohortInputs> Run(const OfferedAttempt& offered, std::span<const Asked> cohort,
                                   const Wanted& wanted);
  // The attempt was released: what its members keep is kept.
  void Commit();

  // What members keep from round to round, of this process.
  const std::map<uint32_t, LocalState>& states() const { return states_; }
  void Restore(std::map<uint32_t, LocalState> states) { states_ = std::move(states); }

  // The model, for measuring it while nothing runs.
  TrainableModel& model();

 private:
  struct Worker;
  struct Sums;
  explicit CohortTraining(Options options);

  bool keeps_states() const;
  // Which of the cohort this process trains, those that take longest first.
  std::vector<size_t> OwnPart(std::span<const Asked> cohort) const;
  // What a member of the attempt trains to, by itself.
  absl::StatusOr<LocalUpdate> TrainMember(const OfferedAttempt& offered, const Asked& asked,
                                          const std::vector<float>& params, LocalPlan plan,
                                          Worker* worker) const;
  absl::StatusOr<MemberInput> MakeInput(const OfferedAttempt& offered, const Asked& asked,
                                        const LocalUpdate* together, Worker* worker) const;
  // What the byzantine members of `cohort` send together, if they do.
  absl::StatusOr<std::optional<LocalUpdate>> Collude(const OfferedAttempt& offered,
                                                     std::span<const Asked> cohort, size_t members);
  // Calls work(place in `places`, worker) for each, on all threads.
  template <typename Work>
  void OnWorkers(std::span<const size_t> places, const Work& work);
  const LocalState& StateOf(uint32_t client) const;
  void AddUpOverRanks(uint32_t groups, CohortInputs* made);

  Options options_;
  LocalState first_state_;  // of a client that has none yet
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<uint8_t> home_;  // of each client, the process that keeps its state; or empty
  std::map<uint32_t, LocalState> states_, next_;
};

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_COHORT_TRAINING_H_
