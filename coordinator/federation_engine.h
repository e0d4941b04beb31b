// A federation's run, as a state machine without input or output: who is here, which round, which
// attempt, what it costs, when it is over. One attempt at a time (coordinator/round.h).
//
// Whatever must not be lost comes out as a Fact before the outputs that tell anybody of it; the
// driver writes each Fact down before it goes on. Not thread-safe: lives on one strand.
#ifndef DURE_COORDINATOR_FEDERATION_ENGINE_H_
#define DURE_COORDINATOR_FEDERATION_ENGINE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "aggregation/server_optimizer.h"
#include "base/strong_id.h"
#include "coordinator/evaluation_progress.h"
#include "coordinator/mean_update.h"
#include "coordinator/round.h"
#include "coordinator/run_state.h"
#include "coordinator/server_control.h"
#include "coordinator/sums.h"
#include "crypto/digest.h"
#include "crypto/ed25519.h"
#include "crypto/random.h"
#include "federation/model_parts.h"
#include "federation/terms/round_config.h"
#include "federation/terms/sums_terms.h"
#include "federation/terms/terms.h"
#include "proto/audit.pb.h"
#include "proto/control.pb.h"
#include "proto/federation.pb.h"
#include "proto/wire.pb.h"

namespace dure {

namespace run {

// What happened.
struct Arrived {
  secagg::MemberId member;
  std::string name;
  Role role = MEMBER;
  // The session of the attempt that it was in when its connection ended, and wants to go on with;
  // empty: none.
  std::string resumes = {};
};
struct Left {
  secagg::MemberId member;
  bool lost = true;      // false: it said goodbye
  bool revoked = false;  // the organiser ended its membership
};
struct Said {
  secagg::MemberId member;
  ClientMessage message;
  std::optional<secagg::StagedInput> staged = {};  // the input that the message refers to
};
struct Moved {  // of the model or the input of the attempt under way: round::Moved
  secagg::MemberId member;
  uint64_t bytes = 0;
};
struct Tick {};
struct SetPaused {
  bool paused = false;
};
struct Stop {};
using Input = std::variant<Arrived, Left, Said, Moved, Tick, SetPaused, Stop>;

// What to do, in this order.
struct Write {  // durably, or nothing that follows may be done
  Fact fact;
};
struct WriteEvidence {  // durably: a member has contradicted itself
  audit::Contradiction contradiction;
  std::string certificate;  // the member's, DER
};
// A model that is too long for the messages that follow: members fetch it by its digest.
struct Publish {
  Digest sha256{};    // SHA-256(model || state)
  std::string model;  // as it travels in a RoundOffer or an EvaluationRequest
  std::string state;
};
struct SendTo {
  secagg::MemberId member;
  std::shared_ptr<const ServerMessage> message;
};
struct Expel {  // end the member's stream with these last words
  secagg::MemberId member;
  absl::Status why;
};
struct Note {  // for the log
  bool warning = false;
  std::string text;
};
struct Ended {  // nothing more will come; OK if every round was released, or enough
  absl::Status status;
  std::string text;
};
using Output = std::variant<Write, WriteEvidence, Publish, SendTo, Expel, Note, Ended>;

}  // namespace run

// At most `most` members that can take part in `attempt` at this time, drawn so that each subset is
// as likely as any other.
using CohortSource = std::function<std::vector<secagg::MemberId>(
    absl::Time now, AttemptNumber attempt, size_t most)>;

// Of a model in a message.
inline constexpr uint64_t kMostInlineBytes = uint64_t{1} << 20;

class FederationEngine {
 public:
  struct Options {
    FederationSpec spec;  // validated
    Digest spec_digest{};
    std::vector<float> initial_model;                 // the whole of it
    std::optional<ModelParts> parts;                  // absent: all of it travels
    std::optional<Schema> schema;                     // data.schema, if the federation has one
    const SigningKey* key = nullptr;                  // the coordinator's; borrowed
    secagg::CertificateVerifier* verifier = nullptr;  // borrowed
    Random* random = nullptr;                         // SystemRandom in programs; borrowed
    // How attempts are carried out, and, if it is there, who is asked in the place of those who are
    // connected: for simulations.
    StartRound start_round = Round::Start;
    CohortSource cohorts;
    // A model with what belongs to it travels in messages up to this length, and is published
    // above.
    uint64_t most_inline_bytes = kMostInlineBytes;
    // Without it no digest of a model is made: neither members nor a store ask a simulation for it.
    bool hash_models = true;
  };

  // Goes on where `state` ends. DataLoss if a saved model or optimiser does not fit the spec.
  static absl::StatusOr<std::unique_ptr<FederationEngine>> Create(Options options, RunState state);

  void Step(absl::Time now, run::Input input, std::vector<run::Output>* out);
  // This process stood still for so long (a machine that slept, a debugger), and nobody is late for
  // it: the phase under way ends so much later. Before the next Step.
  void Postpone(absl::Duration by) {
    if (round_) round_->Postpone(by);
  }
  // When Step(Tick) is due at the latest. InfinitePast: as soon as the outputs are dealt with.
  absl::Time next_deadline() const;

  // How many bytes the member's input in the attempt of `session_id` has, if it is awaited now.
  std::optional<uint64_t> ExpectedInput(const secagg::MemberId& member,
                                        std::string_view session_id) const;
  // The session of the attempt under way; all zero before the first.
  const Digest& session_id() const { return session_id_; }

  // With the first `max_rounds` released rounds after `after_round`, and their evaluations.
  RunStatus Status(RoundNumber after_round, size_t max_rounds) const;

  // What each member and evaluator who is connected is doing, in words for the organiser.
  std::map<secagg::MemberId, std::string> Doings() const;

  // What the run has moved so far, in bytes, counted by the driver: goes into released rounds.
  void set_traffic(uint64_t received, uint64_t sent) {
    bytes_received_ = received;
    bytes_sent_ = sent;
  }

 private:
  using Outputs = std::vector<run::Output>;
  struct Person {
    std::string name;
    Role role = MEMBER;
    bool available = true;  // it may be asked, as it says itself
  };
  // A member that did not answer in time, or could not go on with an attempt. It is invited again
  // when it has been heard from, and the more often it was so in a row, the more attempts it sits
  // out.
  struct Tardiness {
    bool silent = true;   // nothing was heard since
    uint32_t times = 0;   // in a row
    AttemptNumber until;  // the last attempt that it sits out
  };
  enum class State { kWaiting, kRunning, kPaused, kEvaluating, kFinished, kFailed };

  FederationEngine(Options options, std::unique_ptr<ServerOptimizer> optimizer, RunSums sums,
                   RunState state);

  void OnArrived(absl::Time now, const run::Arrived& arrived, Outputs* out);
  bool Resume(absl::Time now, const run::Arrived& arrived, Outputs* out);
  absl::Duration ReturnGrace() const;
  void DropThoseNotBack(absl::Time now, Outputs* out);
  void OnLeft(absl::Time now, const run::Left& left, Outputs* out);
  void OnSaid(absl::Time now, run::Said said, Outputs* out);
  void OnEvaluation(absl::Time now, const secagg::MemberId& member, const EvaluationReport& report,
                    Outputs* out);
  void StepRound(absl::Time now, round::Input input, Outputs* out);
  void HandleRound(absl::Time now, std::vector<round::Output> outputs, Outputs* out);

  void StartAttemptIfReady(absl::Time now, Outputs* out);
  absl::Status StartAttempt(absl::Time now, std::vector<secagg::MemberId> cohort, Outputs* out);
  // federation_sums.cc
  void AdoptSums();
  absl::Status StartSums(absl::Time now, SumsKind kind, std::vector<secagg::MemberId> cohort,
                         Outputs* out);
  void ReleaseSums(absl::Time now, round::Closed closed, Outputs* out);
  void RefuseSums(const secagg::MemberId& member);
  std::string AttemptInWords() const;
  bool CanAfford(SumsKind kind, Outputs* out);
  bool SkipsEvaluation(absl::Time now, size_t willing, Outputs* out);
  absl::Status BeginRound(absl::Time now, const RoundTerms& terms, const AttemptId& id,
                          RoundOptions options, std::vector<secagg::MemberId> cohort, Outputs* out);
  void LeaveOutTheFaulty(Outputs* out);
  void LeaveOutTheLate(const round::Late& late, Outputs* out);
  uint32_t SitOut(const secagg::MemberId& member, bool silent);
  void ForgiveThePunctual();
  std::vector<Digest> TakeDealers();
  void FailAttempt(absl::Time now, const std::string& reason, Outputs* out);
  void Release(absl::Time now, round::Closed closed, Outputs* out);
  void StepModel(const MeanUpdate& update, uint32_t survivors, Outputs* out);
  void StepOptimizer(const MeanUpdate& update);
  std::vector<RoundNumber> RoundsBeingMeasured() const;
  void MoveClipNorm(double count_mean);
  void SendEvaluations(Outputs* out);
  void EvaluatorIsFree(const secagg::MemberId& member, Outputs* out);
  void FinishIfEvaluated(absl::Time now, Outputs* out);
  bool NoMoreRounds() const;
  bool NewestIsMeasured() const;
  std::string WhyItIsDone() const;
  absl::Time FarewellUntil() const;
  bool EverybodyCanBeTold() const;
  void EndRun(absl::Status status, std::string text, Outputs* out);

  // Without a set cohort, how long after the last arrival a run begins.
  static constexpr absl::Duration kGatherPatience = absl::Seconds(10);

  absl::Duration deadline() const;  // of a phase
  size_t MostInvited() const;
  std::vector<secagg::MemberId> AvailableMembers() const;
  std::vector<std::string> SilentMembers() const;
  std::vector<secagg::MemberId> DrawCohort(std::vector<secagg::MemberId> connected);
  bool EnoughAreHere(absl::Time now, size_t connected);
  bool EvaluatedNow(uint32_t round) const;
  std::string PhaseText() const;
  std::string DoingOf(const secagg::MemberId& member, const Person& person) const;
  std::string NameOf(const secagg::MemberId& member) const;
  void TellCohort(bool released, const std::string& text, Outputs* out);
  std::shared_ptr<const ServerMessage> EvaluationMessage(Outputs* out) const;

  Options options_;
  std::unique_ptr<ServerOptimizer> optimizer_;
  std::vector<float> model_;     // what travels
  std::vector<float> personal_;  // what stays with members, as it was at the beginning
  ServerControl control_;        // SCAFFOLD
  RunSums sums_;
  std::string standardisation_;  // travels beside the model
  Digest model_hash_{};
  RunState state_;
  State phase_ = State::kWaiting;
  std::string end_text_;

  std::map<secagg::MemberId, Person> people_;  // connected
  // Connected, but declined for good: not invited again before they come back.
  std::set<secagg::MemberId> left_out_;
  std::set<secagg::MemberId> declined_;  // this attempt, for now
  // Whose own limits refuse sums of a kind; they take part in the rounds.
  std::map<SumsKind, std::set<secagg::MemberId>> refused_sums_;
  // While too few are here to measure the last model: when the run ends without that.
  std::optional<absl::Time> unmeasured_at_;
  // Never invited again by this process: each attempt that they spoil costs everybody privacy.
  std::set<secagg::MemberId> broke_protocol_;
  std::map<secagg::MemberId, int> rejections_;  // in this attempt
  std::map<secagg::MemberId, Tardiness> tardy_;
  std::map<secagg::MemberId, absl::Time> lost_;  // without a goodbye, and not back yet
  // Of the cohort under way, lost just now: until when the attempt waits for them to come back.
  std::map<secagg::MemberId, absl::Time> returning_;
  std::shared_ptr<const ServerMessage> last_words_;  // to the cohort of the attempt that has ended
  // With so many members an attempt starts at once: the cohort, or the newest attempt's.
  size_t settled_for_;
  // While some are missing: when an attempt starts without them.
  std::optional<absl::Time> patience_until_;
  std::string waiting_for_;                       // in words
  absl::Time not_before_ = absl::InfinitePast();  // of the next attempt, after a failure
  // A model was released in this step. What needs a copy of it, evaluations and the offers of the
  // next attempt, comes with the step after it, when what this one holds is written and gone.
  bool released_now_ = false;
  uint32_t failures_in_a_row_ = 0;

  std::unique_ptr<RoundMachine> round_;
  Digest session_id_{};
  Digest former_session_id_{};
  RoundTerms terms_;  // of a round of the newest attempt's, or the expected, cohort
  std::optional<RoundTerms> sums_terms_;  // of the newest attempt, if it is no round
  std::optional<RunAccount> account_;     // of as many members as terms_
  std::string rotation_seed_;             // of the attempt under way
  std::vector<secagg::MemberId> cohort_;
  std::set<secagg::MemberId> dealers_;  // of the attempt: their shares have come, and are paid for
  absl::Time round_began_;

  std::map<secagg::MemberId, RoundNumber> evaluating_;  // asked and not answered
  RoundNumber evaluated_;                               // newest round sent to evaluators
  EvaluationProgress progress_;                         // of state_.evaluations
  absl::Time rounds_done_ = absl::InfiniteFuture();     // since when all are released
  absl::Time end_due_ = absl::InfiniteFuture();         // when the run ends without those missing
  uint64_t bytes_received_ = 0;
  uint64_t bytes_sent_ = 0;
};

}  // namespace dure

#endif  // DURE_COORDINATOR_FEDERATION_ENGINE_H_
