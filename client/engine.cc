#include "client/engine.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/printable.h"
#include "base/version.h"
#include "federation/model_file.h"
#include "privacy/secagg/limits.h"
#include "privacy/secagg/transcript.h"

namespace dure {
namespace {

using member::Tell;

// Of masks, between two looks for messages: a few milliseconds.
constexpr uint64_t kMaskWordsWhenIdle = uint64_t{1} << 22;

// Of a longer input no masks are expanded ahead: they would be as long as the model beside it.
constexpr uint64_t kMostMasksAhead = uint64_t{1} << 25;

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

}  // namespace

MemberEngine::MemberEngine(Options options, Ledger ledger)
    : options_(std::move(options)), ledger_(std::move(ledger)), bulk_random_(*options_.random) {
  const RoundsSection& rounds = options_.spec.rounds();
  absl::StatusOr<RoundTerms> terms = DeriveTerms(
      options_.spec, options_.dim, rounds.has_cohort() ? rounds.cohort() : rounds.minimum());
  if (terms.ok()) epsilon_ = EpsilonOf(terms->invited, ledger_.counts());
  BeginLocalState();
}

void MemberEngine::Step(member::Input input, std::vector<member::Output>* out) {
  if (const auto* from = std::get_if<member::FromCoordinator>(&input)) {
    OnMessage(from->message, out);
  } else if (std::holds_alternative<member::Connected>(input)) {
    SayHello(out);
  } else if (std::holds_alternative<member::Disconnected>(input)) {
    suspended_ = attempt_.has_value();
    measurement_.reset();
  } else if (std::holds_alternative<member::Forget>(input)) {
    if (suspended_) EndAttempt(absl::UnavailableError("the connection was lost"));
  } else if (auto* done = std::get_if<member::TrainingDone>(&input)) {
    OnTrainingDone(std::move(*done), out);
  } else if (const auto* evaluated = std::get_if<member::EvaluationDone>(&input)) {
    OnEvaluationDone(*evaluated, out);
  } else if (std::holds_alternative<member::BudgetSpent>(input)) {
    if (attempt_) RefuseAttempt(BudgetOfDataSpent(), out);
  } else {
    OnIdle(out);
  }
}

// Work that can be done before it is needed: first for this attempt, and when that is answered for
// the next.
void MemberEngine::OnIdle(Outputs* out) {
  if (!attempt_ || attempt_->answered) {
    noise_.Refill(bulk_random_);
  } else if (attempt_->terms.coordinates <= kMostMasksAhead &&
             attempt_->session.PrepareMasks(kMaskWordsWhenIdle)) {
    out->push_back(member::WantIdle{});
  }
}

void MemberEngine::SayHello(Outputs* out) {
  ClientMessage hello;
  hello.mutable_hello()->set_software(absl::StrCat("dure ", kVersion));
  hello.mutable_hello()->set_spec_digest(ToString(options_.spec_digest));
  if (suspended_) {
    hello.mutable_hello()->set_resume(ToString(attempt_->session.session_id()));
  }
  out->push_back(member::Send{std::move(hello)});
}

bool MemberEngine::TakesPartIn(std::string_view session_id) const {
  return attempt_ && session_id == ToString(attempt_->session.session_id());
}

// The coordinator says once more what it said last in the attempt that was interrupted.
void MemberEngine::GoOn(Outputs* out) {
  suspended_ = false;
  out->push_back(
      Tell{Tell::Level::kNote, absl::StrCat("back again: attempt ", attempt_->attempt.value(),
                                            " of round ", attempt_->round.value(), " goes on")});
}

void MemberEngine::OnMessage(const ServerMessage& message, Outputs* out) {
  if (suspended_ && message.has_secagg() &&
      message.secagg().session_id() == ToString(attempt_->session.session_id())) {
    GoOn(out);
  }
  switch (message.kind_case()) {
    case ServerMessage::kWelcome:
      return OnWelcome(message.welcome(), out);
    case ServerMessage::kTermsChanged:
      out->push_back(member::TermsOffered{message.terms_changed().spec()});
      return;
    case ServerMessage::kOffer:
      return OnOffer(message.offer(), out);
    case ServerMessage::kSecagg:
      return OnProtocol(message.secagg(), out);
    case ServerMessage::kEvaluate:
      return OnEvaluate(message.evaluate(), out);
    case ServerMessage::kAttemptEnded: {
      const AttemptEnded& ended = message.attempt_ended();
      if (!attempt_ || ended.session_id() != ToString(attempt_->session.session_id())) return;
      std::optional<LocalState> next = std::exchange(attempt_->next, std::nullopt);
      if (next && ended.released() && attempt_->counts()) KeepNext(*std::move(next), out);
      if (ended.released()) {
        if (attempt_->terms.sums == SumsKind::kTraining) round_ = attempt_->round;
        const RoundTerms& terms = attempt_->terms;
        out->push_back(Tell{
            Tell::Level::kProgress,
            absl::StrCat(
                ReleasedInWords(), "; ",
                terms.unit == PrivacySection::NONE
                    ? NoPrivacyInWords(terms.secure_aggregation)
                    : absl::StrFormat("epsilon per %s %s of at most %g", ProtectedUnit(terms.unit),
                                      EpsilonText(epsilon_), options_.policy.max_epsilon))});
      } else {
        out->push_back(Tell{Tell::Level::kNote, absl::StrCat("attempt ", attempt_->attempt.value(),
                                                             " of round ", attempt_->round.value(),
                                                             " ended: ", Printable(ended.text()))});
      }
      EndAttempt(absl::AbortedError("the attempt has ended"));
      return;
    }
    case ServerMessage::kFinished:
      round_ = RoundNumber(message.finished().rounds());
      if (attempt_) EndAttempt(absl::AbortedError("the run is over"));
      if (unsure_ && unsure_->round <= round_) KeepNext(std::move(unsure_->next), out);
      unsure_.reset();
      out->push_back(member::Done{Printable(message.finished().text())});
      return;
    case ServerMessage::kSendInput:
    case ServerMessage::kStanding:
    case ServerMessage::KIND_NOT_SET:      // a newer coordinator may say more
      return;
  }
}

// What goes into the ledger of the data for an entry of this member's own.
DataCharge MemberEngine::ChargeFor(const ChargeEntry& entry, const RoundTerms& terms) const {
  return {.federation = options_.spec_digest,
          .name = options_.spec.federation().name(),
          .member = secagg::MemberIdOf(options_.key->public_key()),
          .attempt = entry,
          .cost = ChargedCostOf(terms)};
}

void MemberEngine::OnTrainingDone(member::TrainingDone done, Outputs* out) {
  // Too late. The coordinator invites a member that was late only when it has heard from it.
  if (!attempt_) return SayHello(out);
  if (done.training != attempt_->training) return;
  Contribution& contribution = attempt_->contribution;
  absl::StatusOr<RingVector> input = InputFor(std::move(done.update), out);
  if (!input.ok()) return FailAttempt(input.status(), out);
  if (contribution.cut_off() != 0) {
    out->push_back(Tell{Tell::Level::kWarning,
                        absl::StrCat(contribution.cut_off(), " of ", attempt_->terms.update_dim,
                                     " coordinates of this member's update were beyond ",
                                     kFixedGridRange, " and were cut off there")});
  }
  absl::StatusOr<std::optional<secagg::UpMessage>> masked =
      attempt_->session.SetInput(*std::move(input));
  if (!masked.ok()) return FailAttempt(masked.status(), out);
  if (masked->has_value()) SendProtocol(*std::move(*masked), out);
}

absl::StatusOr<RingVector> MemberEngine::InputFor(absl::StatusOr<LocalUpdate> update,
                                                  Outputs* out) {
  Contribution& contribution = attempt_->contribution;
  std::vector<uint32_t> noise = noise_.Take(attempt_->terms);
  if (update.ok()) {
    absl::StatusOr<RingVector> input =
        contribution.Encode(TravellingPart(*std::move(update)), std::move(noise), bulk_random_);
    if (attempt_->next) attempt_->next->control = contribution.control();
    return input;
  }
  if (attempt_->terms.sums == SumsKind::kEvaluation && absl::IsNotFound(update.status())) {
    out->push_back(Tell{Tell::Level::kNote,
                        absl::StrCat("no held-out records are here, and this member adds nothing "
                                     "to what the members measure: ",
                                     update.status().message())});
    return contribution.Encode(std::vector<int64_t>(attempt_->terms.coordinates), std::move(noise),
                               bulk_random_);
  }
  std::optional<RingVector> nothing = contribution.EncodeNothing(std::move(noise), bulk_random_);
  if (!nothing) return update.status();
  // Leaving would tell that something is wrong with the data: zeros with noise do not.
  out->push_back(
      Tell{Tell::Level::kWarning,
           absl::StrCat("training failed, and this round gets noise alone from this member: ",
                        update.status().message(), "; the next round has a new trainer")});
  return *std::move(nothing);
}

void MemberEngine::OnProtocol(const secagg::DownMessage& message, Outputs* out) {
  const bool current = attempt_ && message.session_id() == ToString(attempt_->session.session_id());
  if (!current &&
      (!former_session_ || message.session_id() != ToString(former_session_->session_id()))) {
    return;
  }
  MemberSession& session = current ? attempt_->session : *former_session_;
  const size_t known = session.evidence().size();
  absl::StatusOr<std::optional<secagg::UpMessage>> answer = session.Receive(message);
  if (session.evidence().size() > known) {
    return OnContradiction(session.evidence().subspan(known), out);
  }
  if (!current) return;
  if (!answer.ok()) {
    // Malformed or not awaited: nothing changed, and the session goes on.
    if (attempt_->session.ended().ok()) {
      out->push_back(Tell{
          Tell::Level::kWarning,
          absl::StrCat("a message of the coordinator was ignored: ", answer.status().message())});
      return;
    }
    // A roster of too few members may pass by itself; one against another limit does not.
    const bool small =
        static_cast<uint32_t>(message.roster().entries_size()) < options_.policy.min_cohort;
    if (absl::IsPermissionDenied(answer.status()) && !(message.has_roster() && small)) {
      return RefuseAttempt(answer.status(), out);
    }
    return FailAttempt(answer.status(), out);
  }
  if (answer->has_value()) SendProtocol(*std::move(*answer), out);
}

// A coordinator that signs one thing and its opposite is not honest, or somebody has its key: what
// it may learn from this member is not left to its next attempt.
void MemberEngine::OnContradiction(std::span<const secagg::Evidence> evidence, Outputs* out) {
  for (const secagg::Evidence& found : evidence) {
    out->push_back(member::WriteEvidence{found.contradiction});
  }
  absl::Status why = absl::AbortedError(
      "the coordinator contradicted itself under its own signature, and this member takes no "
      "further part");
  if (attempt_) return RefuseAttempt(std::move(why), out);
  Refuse(std::move(why), out);
}

// The secrets of the attempt are erased; what is left of its session goes on listening.
void MemberEngine::EndAttempt(absl::Status why) {
  if (!attempt_) return;
  if (attempt_->next && attempt_->counts()) {
    unsure_ = Unsure{attempt_->round, attempt_->attempt, *std::move(attempt_->next)};
  }
  attempt_->session.End(std::move(why));
  former_session_ = std::move(attempt_->session);
  attempt_.reset();
  suspended_ = false;
}

// Ends the attempt under way, and this member's part in the run.
void MemberEngine::RefuseAttempt(absl::Status why, Outputs* out) {
  SendDecline(ToString(attempt_->session.session_id()), why, out);
  attempt_->session.End(why);
  Refuse(std::move(why), out);
}

// What must be on disk is written before the message that it is for.
void MemberEngine::SendProtocol(secagg::UpMessage message, Outputs* out) {
  const MemberSession& session = attempt_->session;
  if ((message.has_shares() || message.has_plain_input()) && !attempt_->charged) {
    attempt_->charged = true;
    const ChargeEntry entry{.round = attempt_->round,
                            .attempt = attempt_->attempt,
                            .session_id = session.session_id(),
                            .t1 = session.binding(),
                            .kind = attempt_->terms.sums};
    if (!Write(entry, ChargeFor(entry, attempt_->terms), out)) return;
    epsilon_ = EpsilonOf(attempt_->terms.invited, ledger_.counts());
  }
  if (message.has_consent() && !attempt_->consented) {
    attempt_->consented = true;
    if (!Write(ConsentEntry{.session_id = session.session_id(),
                            .t1 = session.binding(),
                            .t3 = session.survivors()},
               std::nullopt, out)) {
      return;
    }
  }
  // From its shares on a member knows its masks.
  const bool may_prepare = message.has_shares();
  attempt_->answered |= message.has_unmask() || message.has_plain_input();
  if (message.has_advertise() || message.has_plain_input()) {
    attempt_->first_answer = secagg::WithoutLongInput(message);
  }
  ClientMessage up;
  *up.mutable_secagg() = std::move(message);
  out->push_back(member::Send{std::move(up)});
  if (may_prepare || attempt_->answered) out->push_back(member::WantIdle{});
}

// False, and the attempt is over, if the ledger does not allow the entry.
bool MemberEngine::Write(LedgerEntry entry, std::optional<DataCharge> charge, Outputs* out) {
  if (absl::Status status = ledger_.Add(entry); !status.ok()) {
    FailAttempt(status, out);
    return false;
  }
  out->push_back(member::WriteLedger{std::move(entry), std::move(charge)});
  return true;
}

void MemberEngine::FailAttempt(const absl::Status& status, Outputs* out) {
  std::string session_id = ToString(attempt_->session.session_id());
  EndAttempt(status);
  Decline(session_id, status, out);
}

void MemberEngine::Decline(const std::string& session_id, const absl::Status& status,
                           Outputs* out) {
  SendDecline(session_id, status, out);
  TellDeclined(status, out);
}

void MemberEngine::SendDecline(const std::string& session_id, const absl::Status& status,
                               Outputs* out) {
  ClientMessage message;
  dure::Decline* decline = message.mutable_decline();
  decline->set_session_id(session_id);
  decline->set_reason(ReasonFor(status));
  decline->set_text(std::string(status.message()));
  out->push_back(member::Send{std::move(message)});
}

void MemberEngine::TellDeclined(const absl::Status& status, Outputs* out) {
  out->push_back(Tell{
      Tell::Level::kWarning,
      absl::StrCat(options_.role == EVALUATOR ? "" : "this member takes no part in the attempt: ",
                   status.message())});
}

void MemberEngine::OnEvaluate(const EvaluationRequest& request, Outputs* out) {
  if (options_.role != EVALUATOR) return;
  absl::StatusOr<std::vector<float>> params = ParamsFromBytes(
      request.model(), options_.parts ? options_.parts->whole().dim() : options_.dim);
  if (!params.ok()) return Decline("", params.status(), out);
  round_ = RoundNumber(request.round());
  absl::StatusOr<Standardisation> standards = StandardisationOf(request.standardisation());
  if (!standards.ok()) return Decline("", standards.status(), out);
  measurement_ = Measurement{.round = round_, .params = *params, .standards = *standards};
  out->push_back(member::StartEvaluation{round_, *std::move(params), *std::move(standards)});
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
    out->push_back(
        member::StartEvaluation{done.round, measurement_->params, measurement_->standards});
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
  *report->mutable_metrics() = *done.result;
  out->push_back(member::Send{std::move(message)});
}

}  // namespace dure
