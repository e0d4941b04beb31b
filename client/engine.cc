#include "client/engine.h"

#include <bit>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/printable.h"
#include "base/status_macros.h"
#include "base/version.h"
#include "crypto/secret_bytes.h"
#include "federation/model_file.h"
#include "federation/terms/round_config.h"
#include "privacy/dp/discrete_gaussian.h"
#include "privacy/dp/record_gradient.h"

namespace dure {
namespace {

using member::Tell;

Decline::Reason ReasonFor(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kPermissionDenied:
      return Decline::POLICY;
    case absl::StatusCode::kResourceExhausted:
      return Decline::BUDGET;
    default:
      return Decline::PROTOCOL;
  }
}

void Wipe(std::vector<int64_t>* values) {
  WipeBytes({reinterpret_cast<uint8_t*>(values->data()), values->size() * sizeof(int64_t)});
}

int Log2(uint64_t power_of_two) { return std::countr_zero(power_of_two); }

}  // namespace

MemberEngine::MemberEngine(Options options, Ledger ledger)
    : options_(std::move(options)), ledger_(std::move(ledger)), bulk_random_(*options_.random) {
  const RoundsSection& rounds = options_.spec.rounds();
  absl::StatusOr<RoundTerms> terms = DeriveTerms(
      options_.spec, options_.dim, rounds.has_cohort() ? rounds.cohort() : rounds.minimum());
  if (terms.ok()) epsilon_ = AccountFor(*terms).EpsilonAfter(ledger_.charges());
}

void MemberEngine::Step(member::Input input, std::vector<member::Output>* out) {
  if (const auto* from = std::get_if<member::FromCoordinator>(&input)) {
    OnMessage(from->message, out);
  } else if (std::holds_alternative<member::Connected>(input)) {
    SayHello(out);
  } else if (std::holds_alternative<member::Disconnected>(input)) {
    // The secrets of a session live in memory only as long as its stream.
    attempt_.reset();
    measurement_.reset();
  } else if (const auto* done = std::get_if<member::TrainingDone>(&input)) {
    OnTrainingDone(*done, out);
  } else if (const auto* evaluated = std::get_if<member::EvaluationDone>(&input)) {
    OnEvaluationDone(*evaluated, out);
  } else if (noise_.empty() && noise_sigma2_ != 0) {
    DrawNoise(noise_sigma2_);  // Idle
  }
}

void MemberEngine::SayHello(Outputs* out) {
  ClientMessage hello;
  hello.mutable_hello()->set_software(absl::StrCat("dure ", kVersion));
  hello.mutable_hello()->set_spec_digest(ToString(options_.spec_digest));
  out->push_back(member::Send{std::move(hello)});
}

void MemberEngine::OnMessage(const ServerMessage& message, Outputs* out) {
  switch (message.kind_case()) {
    case ServerMessage::kWelcome:
      round_ = RoundNumber(message.welcome().round());
      return;
    case ServerMessage::kOffer:
      return OnOffer(message.offer(), out);
    case ServerMessage::kSecagg:
      return OnProtocol(message.secagg(), out);
    case ServerMessage::kEvaluate:
      return OnEvaluate(message.evaluate(), out);
    case ServerMessage::kAttemptEnded: {
      const AttemptEnded& ended = message.attempt_ended();
      if (!attempt_ || ended.session_id() != ToString(attempt_->client.session_id())) return;
      if (ended.released()) {
        round_ = attempt_->round;
        out->push_back(Tell{
            Tell::Level::kProgress,
            absl::StrFormat("round %d released; epsilon per record %s of at most %g",
                            round_.value(), EpsilonText(epsilon_), options_.policy.max_epsilon)});
      } else {
        out->push_back(Tell{Tell::Level::kNote, absl::StrCat("attempt ", attempt_->attempt.value(),
                                                             " of round ", attempt_->round.value(),
                                                             " ended: ", Printable(ended.text()))});
      }
      attempt_.reset();
      return;
    }
    case ServerMessage::kFinished:
      round_ = RoundNumber(message.finished().rounds());
      attempt_.reset();
      out->push_back(member::Done{Printable(message.finished().text())});
      return;
    case ServerMessage::kSendLongMessage:  // for the transport
    case ServerMessage::KIND_NOT_SET:      // a newer coordinator may say more
      return;
  }
}

void MemberEngine::OnOffer(const RoundOffer& offer, Outputs* out) {
  attempt_.reset();  // an offer ends whatever was there
  absl::Status status = Accept(offer, out);
  if (status.ok()) return;
  attempt_.reset();
  Decline(offer.offer().session_id(), status, out);
}

// Message 0: everything is derived again from what this member approved and compared.
absl::Status MemberEngine::Accept(const RoundOffer& offer, Outputs* out) {
  if (options_.role != MEMBER) {
    return absl::FailedPreconditionError("an evaluator takes no part in rounds");
  }
  const secagg::RoundConfig& offered = offer.offer().config();
  DURE_ASSIGN_OR_RETURN(std::vector<float> params, ParamsFromBytes(offer.model(), options_.dim));
  DURE_ASSIGN_OR_RETURN(RoundTerms terms,
                        DeriveTerms(options_.spec, options_.dim, offered.invited()));
  AttemptId id{.round = offered.round(),
               .attempt = offered.attempt(),
               .model_hash = Sha256(AsBytes(offer.model()))};
  DURE_RETURN_IF_ERROR(
      CompareConfigs(offered, MakeRoundConfig(options_.spec, options_.spec_digest, terms, id)));
  if (id.round < 1 || id.round > options_.spec.rounds().count() ||
      id.attempt > terms.max_attempts) {
    return absl::PermissionDeniedError(absl::StrCat(
        "attempt ", id.attempt, " of round ", id.round, " was offered; this member agreed to ",
        options_.spec.rounds().count(), " rounds in at most ", terms.max_attempts, " attempts"));
  }
  if (AttemptNumber(id.attempt) <= ledger_.last_attempt()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "attempt ", id.attempt, " was offered, but attempt ", ledger_.last_attempt().value(),
        " is charged in this member's ledger already"));
  }
  DURE_RETURN_IF_ERROR(
      CheckPolicy(options_.policy, terms, AccountFor(terms).EpsilonAfter(ledger_.charges() + 1)));

  secagg::Client client({.policy = {.minimum_roster = terms.sum_minimum,
                                    .minimum_sum = terms.sum_minimum,
                                    .max_corrupt = terms.max_corrupt},
                         .key = options_.key,
                         .certificate = options_.certificate,
                         .coordinator = options_.coordinator,
                         .verifier = options_.verifier,
                         .random = options_.random});
  DURE_ASSIGN_OR_RETURN(secagg::UpMessage advertise, client.StartFromOffer(offer.offer()));
  attempt_ = Attempt{.client = std::move(client),
                     .round = RoundNumber(id.round),
                     .attempt = AttemptNumber(id.attempt),
                     .terms = terms};
  if (terms.sigma2_local != 0 && (noise_.empty() || noise_sigma2_ != terms.sigma2_local)) {
    DrawNoise(terms.sigma2_local);
  }
  SendProtocol(std::move(advertise), out);

  member::StartTraining train;
  train.training = attempt_->training = ++trainings_;
  train.params = std::move(params);
  GradientPlan plan{.clip_norm = terms.clip_norm, .scale_log2 = Log2(terms.scale)};
  plan.records = dp::PoissonSample(options_.records, terms.sampling_rate, bulk_random_);
  if (plan.records.size() >= terms.batch_cap) {
    // Beyond the public bound the member sends noise alone (section 2.4).
    plan.records.clear();
  }
  train.plan = std::move(plan);
  out->push_back(std::move(train));
  return absl::OkStatus();
}

void MemberEngine::OnTrainingDone(const member::TrainingDone& done, Outputs* out) {
  // Too late. The coordinator invites a member that was late only when it has heard from it.
  if (!attempt_) return SayHello(out);
  if (done.training != attempt_->training) return;
  std::vector<int64_t> input(options_.dim);
  if (!done.update.ok()) {
    // Leaving would tell that something is wrong with the data: zeros with noise do not.
    out->push_back(
        Tell{Tell::Level::kWarning,
             absl::StrCat("training failed, and this round gets noise alone from this "
                          "member: ",
                          done.update.status().message(), "; the next round has a new trainer")});
  } else {
    const auto& sums = std::get<std::vector<int64_t>>(*done.update);
    DURE_CHECK(sums.size() == options_.dim);
    dp::RoundSum(sums, bulk_random_, input);
  }
  if (attempt_->terms.sigma2_local != 0) {
    DURE_CHECK(noise_.size() == input.size());
    for (size_t i = 0; i < input.size(); ++i) input[i] += noise_[i];
    DropNoise();
  }
  absl::StatusOr<std::optional<secagg::UpMessage>> masked = attempt_->client.SetInput(input);
  Wipe(&input);
  if (!masked.ok()) return FailAttempt(masked.status(), out);
  if (masked->has_value()) SendProtocol(*std::move(*masked), out);
}

void MemberEngine::OnProtocol(const secagg::DownMessage& message, Outputs* out) {
  if (!attempt_ || message.session_id() != ToString(attempt_->client.session_id())) return;
  absl::StatusOr<std::optional<secagg::UpMessage>> answer = attempt_->client.Receive(message);
  if (!answer.ok()) {
    // Malformed or not awaited: nothing changed, and the session goes on.
    if (attempt_->client.ended().ok()) {
      out->push_back(Tell{
          Tell::Level::kWarning,
          absl::StrCat("a message of the coordinator was ignored: ", answer.status().message())});
      return;
    }
    return FailAttempt(answer.status(), out);
  }
  if (answer->has_value()) SendProtocol(*std::move(*answer), out);
}

// What must be on disk is written before the message that it is for.
void MemberEngine::SendProtocol(secagg::UpMessage message, Outputs* out) {
  const secagg::Client& client = attempt_->client;
  if (message.has_shares() && !attempt_->charged) {
    attempt_->charged = true;
    if (!Write(ChargeEntry{.round = attempt_->round,
                           .attempt = attempt_->attempt,
                           .session_id = client.session_id(),
                           .t1 = *client.t1()},
               out)) {
      return;
    }
    epsilon_ = AccountFor(attempt_->terms).EpsilonAfter(ledger_.charges());
  }
  if (message.has_consent() && !attempt_->consented) {
    attempt_->consented = true;
    if (!Write(
            ConsentEntry{.session_id = client.session_id(), .t1 = *client.t1(), .t3 = *client.t3()},
            out)) {
      return;
    }
  }
  bool last = message.has_unmask();
  ClientMessage up;
  *up.mutable_secagg() = std::move(message);
  out->push_back(member::Send{std::move(up)});
  if (last) out->push_back(member::WantIdle{});
}

// False, and the attempt is over, if the ledger does not allow the entry.
bool MemberEngine::Write(LedgerEntry entry, Outputs* out) {
  if (absl::Status status = ledger_.Add(entry); !status.ok()) {
    FailAttempt(status, out);
    return false;
  }
  out->push_back(member::WriteLedger{std::move(entry)});
  return true;
}

void MemberEngine::FailAttempt(const absl::Status& status, Outputs* out) {
  std::string session_id = ToString(attempt_->client.session_id());
  attempt_->client.End(status);
  attempt_.reset();
  Decline(session_id, status, out);
}

void MemberEngine::Decline(const std::string& session_id, const absl::Status& status,
                           Outputs* out) {
  ClientMessage message;
  dure::Decline* decline = message.mutable_decline();
  decline->set_session_id(session_id);
  decline->set_reason(ReasonFor(status));
  decline->set_text(std::string(status.message()));
  out->push_back(member::Send{std::move(message)});
  out->push_back(Tell{
      Tell::Level::kWarning,
      absl::StrCat(options_.role == EVALUATOR ? "" : "this member takes no part in the attempt: ",
                   status.message())});
}

void MemberEngine::OnEvaluate(const EvaluationRequest& request, Outputs* out) {
  if (options_.role != EVALUATOR) return;
  absl::StatusOr<std::vector<float>> params = ParamsFromBytes(request.model(), options_.dim);
  if (!params.ok()) return Decline("", params.status(), out);
  round_ = RoundNumber(request.round());
  measurement_ = Measurement{.round = round_, .params = *params};
  out->push_back(member::StartEvaluation{round_, *std::move(params)});
}

void MemberEngine::OnEvaluationDone(const member::EvaluationDone& done, Outputs* out) {
  if (!measurement_ || measurement_->round != done.round) return;  // asked on an earlier connection
  const absl::Status& status = done.result.status();
  if (absl::IsUnavailable(status) && !measurement_->repeated) {
    // The trainer died: another begins with the next call.
    measurement_->repeated = true;
    out->push_back(
        Tell{Tell::Level::kWarning, absl::StrCat("the model of round ", done.round.value(),
                                                 " is measured once more: ", status.message())});
    out->push_back(member::StartEvaluation{done.round, measurement_->params});
    return;
  }
  measurement_.reset();
  if (!status.ok()) {
    return Decline(
        "",
        absl::Status(status.code(), absl::StrCat("the model of round ", done.round.value(),
                                                 " could not be measured: ", status.message())),
        out);
  }
  ClientMessage message;
  EvaluationReport* report = message.mutable_evaluation();
  report->set_round(done.round.value());
  report->set_loss(done.result->loss);
  report->set_accuracy(done.result->accuracy);
  report->set_records(done.result->records);
  out->push_back(member::Send{std::move(message)});
}

void MemberEngine::DrawNoise(uint64_t sigma2) {
  absl::StatusOr<dp::DiscreteGaussian> gaussian = dp::DiscreteGaussian::Create(sigma2);
  DURE_CHECK(gaussian.ok());  // DeriveTerms keeps sigma2 in range
  noise_.resize(options_.dim);
  gaussian->Fill(bulk_random_, noise_);
  noise_sigma2_ = sigma2;
}

// Noise is used once, whatever becomes of the attempt.
void MemberEngine::DropNoise() {
  Wipe(&noise_);
  noise_.clear();
}

const PrivacyAccount& MemberEngine::AccountFor(const RoundTerms& terms) {
  return accounts_.try_emplace(terms.invited, terms).first->second;
}

}  // namespace dure
