// A federation in one process, or in a few that work together: the coordinator's own engine
// (coordinator/federation_engine.h) on a virtual clock, and members whose inputs are made by the
// clients' own code (client/contribution.h) and the trainers' own training. What is simulated is
// what is deployed; what is left out, masks that cancel and messages, is put back by
// Depth::kFull, with the same model in every bit. Not thread-safe.
#ifndef DURE_SIMULATION_SIMULATOR_H_
#define DURE_SIMULATION_SIMULATOR_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/local_state.h"
#include "coordinator/federation_engine.h"
#include "coordinator/run_state.h"
#include "learner/data/dataset.h"
#include "learner/metrics.h"
#include "learner/trainable_model.h"
#include "simulation/attack.h"
#include "simulation/behaviour.h"
#include "simulation/cohort_training.h"
#include "simulation/direct_round.h"
#include "simulation/metrics_log.h"
#include "simulation/offered_attempt.h"
#include "simulation/protocol_members.h"
#include "simulation/ranks.h"

namespace dure::simulation {

// How much of secure aggregation is carried out.
enum class Depth {
  kSums,  // members' integers are added up where they are made
  kFull,  // every message of the protocol is made, checked and answered
};

// Hears of everything as it happens. Default: says nothing.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void OnRound(const RoundLine&) {}
  virtual void OnFailure(const AttemptFailedLine&) {}
  virtual void OnEvaluation(const EvaluationLine&) {}
  // Of the attempt under way, in this process. On any thread, one call at a time.
  virtual void OnProgress(uint32_t /*trained*/, uint32_t /*clients*/) {}
  virtual void OnNote(bool /*warning*/, const std::string& /*text*/) {}
};

// What a run can be gone on with; empty before the first attempt.
struct SimulationState {
  RunState run;
  absl::Duration clock;  // since the run began
  uint64_t bytes_received = 0, bytes_sent = 0;
  uint64_t bytes_received_at_release = 0, bytes_sent_at_release = 0;
  std::map<uint32_t, LocalState> states;  // of clients that keep something
};

class Simulator {
 public:
  struct Options {
    Approved approved;
    std::vector<float> initial_model;  // the whole of it
    std::function<absl::StatusOr<std::unique_ptr<TrainableModel>>()> make_model;
    const Dataset* data = nullptr;      // borrowed
    const Dataset* held_out = nullptr;  // borrowed; null: nothing is measured
    uint32_t clients = 0;
    std::function<std::span<const uint32_t>(uint32_t client)> records_of;
    const Behaviour* behaviour = nullptr;  // borrowed
    const Attack* attack = nullptr;        // borrowed; null: nobody is byzantine
    uint64_t seed = 0;
    int threads = 1;
    Depth depth = Depth::kSums;
    Ranks* ranks = nullptr;  // borrowed
    OwnMetric metric;
    Observer* observer = nullptr;  // borrowed
    // Seconds since the run began, for people: nothing of the run depends on it.
    std::function<double()> wall_seconds;
  };
  // FailedPrecondition, with the remedy, if this federation cannot be simulated so.
  static absl::StatusOr<std::unique_ptr<Simulator>> Create(Options options, SimulationState state);

  ~Simulator();

  // Goes on to the end of the next attempt, and measures what is to be measured. False: the run is
  // over, and status() says how.
  bool Advance();

  const absl::Status& status() const { return status_; }
  const std::string& end_text() const { return end_text_; }
  absl::Duration clock() const { return now_ - start_; }
  // After the last attempt that ended.
  const RunState& run() const { return state_.run; }
  SimulationState State() const;
  // The whole model, as it was released last.
  std::vector<float> Model() const;

 private:
  // What becomes of one member of the cohort.
  struct Part {
    uint32_t client = 0;
    ClientFate fate;
    absl::Duration takes;  // until its input is there, or until it vanishes
    bool answers = true;   // the offer
    bool late = false;
    bool asked = false;  // its input comes in time
  };
  struct Attempt {
    RoundOptions offer;
    std::vector<uint32_t> clients;
    DirectRound* direct = nullptr;  // kSums; owned by the engine
    bool begun = false;             // not drawn only
  };

  using Message = std::pair<secagg::MemberId, std::shared_ptr<const ServerMessage>>;

  explicit Simulator(Options options);
  absl::Status Prepare(SimulationState state);
  std::vector<secagg::MemberId> DrawCohort(absl::Time now, AttemptNumber attempt, size_t most);
  absl::StatusOr<std::unique_ptr<RoundMachine>> StartRound(absl::Time now, RoundOptions options,
                                                           std::vector<round::Output>* out);
  void Step(run::Input input);
  void Take(run::Output output);
  void TakeFact(Fact fact);
  void PassTime();
  void Measure();

  absl::Status RunAttempt();
  std::vector<Part> PlanParts(const OfferedAttempt& offered) const;
  absl::Time EndOf(const std::vector<Part>& parts) const;
  absl::StatusOr<CohortInputs> Train(const OfferedAttempt& offered, const std::vector<Part>& parts,
                                     std::span<const uint32_t> group_of, uint32_t groups);
  void CountTraffic(const OfferedAttempt& offered, const std::vector<Part>& parts);
  // simulator_direct.cc
  absl::Status RunDirect(const OfferedAttempt& offered, const std::vector<Part>& parts);
  absl::StatusOr<round::Closed> OpenDirectly(const OfferedAttempt& offered,
                                             const std::vector<Part>& parts);
  // simulator_full.cc
  struct FullAttempt;
  absl::Status RunFull(const OfferedAttempt& offered, const std::vector<Part>& parts);
  absl::Status Answer(const OfferedAttempt& offered, const Part& part, size_t place,
                      const ServerMessage& message, FullAttempt* full);

  Options options_;
  SimulatedCertificates certificates_;
  SigningKey key_;  // the coordinator's
  // The coordinator's random numbers begin anew with every attempt, so that a run can be resumed.
  class AttemptRandom;
  std::unique_ptr<AttemptRandom> random_;
  std::unique_ptr<CohortTraining> training_;
  std::unique_ptr<FederationEngine> engine_;
  SimulationState state_;
  absl::Time start_, now_;
  std::optional<Attempt> attempt_;  // begun, and not carried out yet
  std::vector<float> before_;       // the model that the attempt under way begins with
  std::optional<EvaluationRequest> asked_;
  std::deque<Message> messages_;  // to members
  bool told_cut_off_ = false, told_failure_ = false;  // once in a run
  bool attempt_over_ = false;     // the one that was carried out last
  int idle_steps_ = 0;
  bool over_ = false;
  absl::Status status_;
  std::string end_text_;
};

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_SIMULATOR_H_
