// What a member does, as a state machine without input or output: it takes what happened and says
// what to do. It checks every offer against the terms that were approved and the member's own
// limits, draws the secret coins, turns the trainer's sums into a noised input, runs the protocol
// and says what must be in the ledger before anything leaves.
// Not thread-safe: lives on one strand.
#ifndef DURE_CLIENT_ENGINE_H_
#define DURE_CLIENT_ENGINE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/contribution.h"
#include "client/data_ledger.h"
#include "client/ledger.h"
#include "client/local_state.h"
#include "client/member_session.h"
#include "client/policy.h"
#include "crypto/digest.h"
#include "crypto/ed25519.h"
#include "crypto/random.h"
#include "federation/model_parts.h"
#include "federation/terms/round_config.h"
#include "federation/terms/sums_terms.h"
#include "federation/terms/terms.h"
#include "learner/data/column_sums.h"
#include "learner/trainer.h"
#include "privacy/secagg/client.h"
#include "proto/audit.pb.h"
#include "proto/federation.pb.h"
#include "proto/wire.pb.h"

namespace dure {

namespace member {

// What happened.
struct Connected {};
struct Disconnected {};  // the attempt under way waits to be gone on with
struct Forget {};        // for too long: its secrets are erased
struct FromCoordinator {
  ServerMessage message;
};
struct TrainingDone {
  uint64_t training = 0;               // StartTraining's
  absl::StatusOr<LocalUpdate> update;  // Trainer::Train
};
struct EvaluationDone {
  RoundNumber round;
  absl::StatusOr<ModelMetrics> result;
};
// Nothing else is waiting: masks can be expanded and noise drawn ahead of time.
struct Idle {};
// The charge of a WriteLedger does not fit into the budget of the data any more: others have spent
// it since the offer was looked at. Nothing was written.
struct BudgetSpent {};
using Input = std::variant<Connected, Disconnected, Forget, FromCoordinator, TrainingDone,
                           EvaluationDone, Idle, BudgetSpent>;

// What to do, in this order.
struct WriteLedger {  // durably, or nothing that follows may be done
  LedgerEntry entry;
  std::optional<DataCharge> charge;  // first, in the ledger of the data
};
struct WriteEvidence {  // durably: the coordinator has contradicted itself
  audit::Contradiction contradiction;
};
struct KeepLocalState {  // in the place of what was kept before; a crash leaves one of the two
  LocalState state;
};
struct Send {
  ClientMessage message;
};
struct StartTraining {
  uint64_t training = 0;  // never repeats in one engine
  std::vector<float> params;
  LocalPlan plan;
  Standardisation standards;  // Trainer::Standardise comes first, unless there are none
};
struct StartEvaluation {
  RoundNumber round;
  std::vector<float> params;
  Standardisation standards;  // as above
};
struct WantIdle {};  // answer with Idle when what is waiting has been dealt with
struct Tell {        // the person at this machine
  enum class Level { kProgress, kNote, kWarning };
  Level level = Level::kNote;
  std::string text;
};
struct Done {  // the run is over
  std::string text;
};
struct TermsOffered {   // the coordinator asks for these terms, not for those approved
  FederationSpec spec;  // not validated
};
struct Refused {  // this member does not agree, and leaves
  absl::Status why;
};
using Output = std::variant<WriteLedger, WriteEvidence, KeepLocalState, Send, StartTraining,
                            StartEvaluation, WantIdle, Tell, Done, TermsOffered, Refused>;

}  // namespace member

class MemberEngine {
 public:
  struct Options {
    FederationSpec spec;  // as approved
    Digest spec_digest{};
    Role role = MEMBER;
    Policy policy;
    uint64_t dim = 0;                 // parameters of the approved model that travel
    std::optional<ModelParts> parts;  // of it; absent: all of them travel
    std::optional<Schema> schema;     // data.schema, if the terms name one
    LocalState local;                 // what is on disk: CheckLocalState(local, parts) is OK
    uint32_t records = 0;             // in this member's data
    const SigningKey* key = nullptr;  // borrowed
    std::string certificate;          // DER
    PublicKey coordinator{};          // pinned
    secagg::CertificateVerifier* verifier = nullptr;  // borrowed
    Random* random = nullptr;                         // SystemRandom in shipped programs; borrowed
    // What was spent on the data, kept up to date by the driver; borrowed. Absent: not looked at.
    const DataSpent* data = nullptr;
    // Attempts that the coordinator has seen shares of and the ledger lacks are charged, instead of
    // taking no part.
    bool charge_missing = false;
  };

  // `ledger` is what is on disk.
  MemberEngine(Options options, Ledger ledger);

  void Step(member::Input input, std::vector<member::Output>* out);

  // From the next offer on.
  void set_policy(Policy policy) { options_.policy = std::move(policy); }
  // The same key's, renewed (DER).
  void set_certificate(std::string certificate) { options_.certificate = std::move(certificate); }

  // epsilon per record charged so far, with the terms of the newest session.
  double epsilon() const { return epsilon_; }
  uint32_t charges() const { return ledger_.charges(); }
  // Whether the attempt of that session is under way here.
  bool TakesPartIn(std::string_view session_id) const;
  // Newest released model that the coordinator told of.
  RoundNumber round() const { return round_; }

 private:
  using Outputs = std::vector<member::Output>;

  // One attempt that this member takes part in.
  struct Attempt {
    MemberSession session;
    RoundNumber round;
    AttemptNumber attempt;
    RoundTerms terms;
    Contribution contribution;
    uint64_t training = 0;
    bool charged = false;
    bool consented = false;
    bool answered = false;  // nothing more will be sent
    // The answer to the offer, for a coordinator that has lost it; a long input without its bytes.
    std::optional<secagg::UpMessage> first_answer;
    std::optional<LocalState> next;  // if its input is in a sum that is released

    // Whether the input is in the sum, if there is one: without secure aggregation once it is sent.
    bool counts() const { return consented || (!terms.secure_aggregation && answered); }
  };

  // An attempt whose end this member did not hear.
  struct Unsure {
    RoundNumber round;
    AttemptNumber attempt;
    LocalState next;
  };

  // What came with an offer.
  struct OfferedModel {
    std::vector<float> params;   // that travel
    std::vector<float> control;  // with control variates
    Standardisation standards;
  };

  // One model that this evaluator was asked to measure.
  struct Measurement {
    RoundNumber round;
    std::vector<float> params;
    Standardisation standards;
    bool repeated = false;
  };

  void SayHello(Outputs* out);
  void GoOn(Outputs* out);
  void OnMessage(const ServerMessage& message, Outputs* out);
  void OnOffer(const RoundOffer& offer, Outputs* out);
  absl::Status Accept(const RoundOffer& offer, Outputs* out);
  absl::Status CheckNumbers(const AttemptId& id) const;
  absl::Status Begin(const RoundOffer& offer, const AttemptId& id, const RoundTerms& terms,
                     Contribution contribution, OfferedModel model, Outputs* out);
  // engine_sums.cc: attempts that are no training.
  absl::Status AcceptSums(const RoundOffer& offer, SumsKind kind, Outputs* out);
  absl::StatusOr<ColumnSums> Columns() const;
  absl::StatusOr<SumsShape> ShapeOf(SumsKind kind) const;
  LocalPlan SumsPlan(const RoundTerms& terms) const;
  absl::StatusOr<Standardisation> StandardisationOf(std::string_view bytes) const;
  std::string ReleasedInWords() const;
  RoundTerms DearestTerms(const RoundTerms& training);
  double EpsilonOf(uint32_t invited, const AttemptCounts& counts);
  bool RefusesAlways() const;
  Spending SpendingWithNext(const RoundTerms& terms);
  DataCharge ChargeFor(const ChargeEntry& entry, const RoundTerms& terms) const;
  void OnWelcome(const Welcome& welcome, Outputs* out);
  void Refuse(absl::Status why, Outputs* out);
  void RefuseAttempt(absl::Status why, Outputs* out);
  void OnProtocol(const secagg::DownMessage& message, Outputs* out);
  void OnContradiction(std::span<const secagg::Evidence> evidence, Outputs* out);
  void EndAttempt(absl::Status why);
  void OnIdle(Outputs* out);
  void OnTrainingDone(member::TrainingDone done, Outputs* out);
  absl::StatusOr<RingVector> InputFor(absl::StatusOr<LocalUpdate> update, Outputs* out);
  MemberSession MakeSession(const RoundTerms& terms) const;
  // engine_local.cc: what stays with this member.
  void BeginLocalState();
  absl::StatusOr<std::vector<float>> StateOf(const RoundOffer& offer, const RoundTerms& terms,
                                             Standardisation* standards) const;
  void StartTraining(std::vector<float> params, Standardisation standards, Outputs* out);
  LocalUpdate TravellingPart(LocalUpdate update);
  void KeepNext(LocalState next, Outputs* out);
  void SettleUnsure(RoundNumber round, AttemptNumber attempt, Outputs* out);
  void OnEvaluate(const EvaluationRequest& request, Outputs* out);
  void OnEvaluationDone(const member::EvaluationDone& done, Outputs* out);
  void SendProtocol(secagg::UpMessage message, Outputs* out);
  bool Write(LedgerEntry entry, std::optional<DataCharge> charge, Outputs* out);
  void FailAttempt(const absl::Status& status, Outputs* out);
  void Decline(const std::string& session_id, const absl::Status& status, Outputs* out);
  void SendDecline(const std::string& session_id, const absl::Status& status, Outputs* out);
  void TellDeclined(const absl::Status& status, Outputs* out);

  Options options_;
  Ledger ledger_;
  AesCtrRandom bulk_random_;
  std::optional<Attempt> attempt_;
  bool suspended_ = false;  // attempt_ has lost its connection
  AttemptNumber answered_;  // the newest whose offer was answered; none is answered twice
  // The newest session that is over, without its secrets: the coordinator may still contradict
  // itself in it.
  std::optional<MemberSession> former_session_;
  std::optional<Unsure> unsure_;
  uint64_t trainings_ = 0;
  std::optional<Measurement> measurement_;
  NoiseReserve noise_;
  std::map<uint32_t, RunAccount> accounts_;  // by number of members invited
  double epsilon_ = 0;
  RoundNumber round_;
};

}  // namespace dure

#endif  // DURE_CLIENT_ENGINE_H_
