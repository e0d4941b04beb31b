#include "coordinator/federation_engine.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/printable.h"
#include "base/ranges.h"
#include "base/status_macros.h"
#include "federation/binary16.h"
#include "federation/model_file.h"
#include "federation/terms/round_config.h"
#include "federation/terms/schedule.h"
#include "privacy/dp/adaptive_clip.h"
#include "privacy/secagg/transcript.h"

namespace dure {
namespace {

// Before terms that cannot be derived for those who are here are tried again.
constexpr absl::Duration kTermsPatience = absl::Seconds(10);
// Between a failed attempt and the next: doubling, because each costs privacy.
constexpr absl::Duration kFirstRetryWait = absl::Milliseconds(500);
constexpr absl::Duration kLongestRetryWait = absl::Seconds(60);
// How long an attempt waits for a member that it awaits and whose connection has ended: a tenth of
// the deadline, within these.
constexpr absl::Duration kShortestGrace = absl::Seconds(2);
constexpr absl::Duration kLongestGrace = absl::Seconds(30);
// Why an attempt ends when the coordinator does.
constexpr char kStopping[] = "the coordinator is stopping";
// Fewer are not worth a thread of their own.
constexpr uint64_t kCoordinatesForThread = 1 << 16;
// As many as stay in the cache from the sum to the model.
constexpr uint64_t kBlockCoordinates = 4096;
// Messages of one member that may be wrong in one attempt before its stream is ended.
constexpr int kMaxRejections = 16;

ServerOptimizerConfig OptimizerConfig(const ServerSection& server) {
  ServerOptimizerConfig config;
  switch (server.optimizer()) {
    case ServerSection::FEDAVGM:
      config.kind = ServerOptimizerKind::kFedAvgM;
      break;
    case ServerSection::FEDADAGRAD:
      config.kind = ServerOptimizerKind::kFedAdagrad;
      break;
    case ServerSection::FEDADAM:
      config.kind = ServerOptimizerKind::kFedAdam;
      break;
    case ServerSection::FEDYOGI:
      config.kind = ServerOptimizerKind::kFedYogi;
      break;
    default:
      config.kind = ServerOptimizerKind::kFedAvg;
  }
  config.learning_rate = server.learning_rate();
  config.beta1 = server.beta1();
  config.beta2 = server.beta2();
  config.tau = server.tau();
  return config;
}

}  // namespace

FederationEngine::FederationEngine(Options options, std::unique_ptr<ServerOptimizer> optimizer,
                                   RunSums sums, RunState state)
    : options_(std::move(options)),
      optimizer_(std::move(optimizer)),
      sums_(std::move(sums)),
      state_(std::move(state)),
      settled_for_(options_.spec.rounds().has_cohort() ? options_.spec.rounds().cohort()
                                                       : std::numeric_limits<size_t>::max()) {
  model_ = std::move(options_.initial_model);
  if (!options_.parts || !options_.parts->has_personal()) return;
  personal_ = options_.parts->Personal(model_);
  model_ = options_.parts->Travelling(model_);
}

absl::StatusOr<std::unique_ptr<FederationEngine>> FederationEngine::Create(Options options,
                                                                           RunState state) {
  const uint64_t whole = options.initial_model.size();
  const uint64_t dim = options.parts ? options.parts->travelling().dim() : whole;
  const RoundsSection& rounds = options.spec.rounds();
  DURE_ASSIGN_OR_RETURN(
      RoundTerms terms,
      DeriveTerms(options.spec, dim, rounds.has_cohort() ? rounds.cohort() : rounds.minimum()));
  DURE_ASSIGN_OR_RETURN(std::unique_ptr<ServerOptimizer> optimizer,
                        CreateServerOptimizer(OptimizerConfig(options.spec.server()), dim));
  DURE_ASSIGN_OR_RETURN(RunSums sums, RunSums::Create(options.spec, std::move(options.schema)));
  auto engine = std::unique_ptr<FederationEngine>(new FederationEngine(
      std::move(options), std::move(optimizer), std::move(sums), std::move(state)));
  engine->terms_ = terms;
  DURE_ASSIGN_OR_RETURN(engine->account_, engine->sums_.Account(terms));
  engine->AdoptSums();
  if (terms.control_variates) {
    engine->control_ = ServerControl(dim, engine->options_.spec.local().population());
  }
  if (engine->state_.model) {
    engine->model_ = std::vector<float>();  // before another one comes
    absl::StatusOr<std::vector<float>> saved = ParamsFromBytes(*engine->state_.model, dim);
    if (!saved.ok()) {
      return absl::DataLossError(absl::StrCat("the saved model: ", saved.status().message()));
    }
    engine->model_ = *std::move(saved);
    DURE_ASSIGN_OR_RETURN(const std::string optimizer_state,
                          engine->control_.Load(*engine->state_.optimizer));
    DURE_RETURN_IF_ERROR(engine->optimizer_->Load(optimizer_state));
  }
  // Adopted; they may be as long as the rest of the memory.
  engine->state_.model.reset();
  engine->state_.optimizer.reset();
  if (engine->options_.hash_models) {
    engine->model_hash_ = Sha256(AsBytes(ParamsToBytes(engine->model_)));
  }
  if (engine->EvaluatedNow(engine->state_.round.value())) {
    engine->evaluated_ = engine->state_.round;  // by those who have not yet
  }
  const EvaluationSection& evaluation = engine->options_.spec.evaluation();
  engine->progress_ = EvaluationProgress(
      {.patience = evaluation.patience(), .min_improvement = evaluation.min_improvement()});
  for (const EvaluationReceived& received : engine->state_.evaluations) {
    engine->evaluated_ = std::max(engine->evaluated_, received.round);
    engine->progress_.Add(received);
  }
  return engine;
}

void FederationEngine::Step(absl::Time now, run::Input input, std::vector<run::Output>* out) {
  const bool released_before = std::exchange(released_now_, false);
  if (phase_ == State::kFinished || phase_ == State::kFailed) return;
  if (released_before && EvaluatedNow(state_.round.value())) SendEvaluations(out);
  if (const auto* arrived = std::get_if<run::Arrived>(&input)) {
    OnArrived(now, *arrived, out);
  } else if (const auto* moved = std::get_if<run::Moved>(&input)) {
    if (round_) StepRound(now, round::Moved{moved->member, moved->bytes}, out);
  } else if (const auto* left = std::get_if<run::Left>(&input)) {
    OnLeft(now, *left, out);
  } else if (auto* said = std::get_if<run::Said>(&input)) {
    OnSaid(now, std::move(*said), out);
  } else if (const auto* paused = std::get_if<run::SetPaused>(&input)) {
    // The attempt that is under way is paid for and is brought to its end.
    if (paused->paused && (phase_ == State::kRunning || phase_ == State::kWaiting)) {
      phase_ = State::kPaused;
    } else if (!paused->paused && phase_ == State::kPaused) {
      phase_ = State::kWaiting;
    }
  } else if (std::holds_alternative<run::Stop>(input)) {
    if (round_) FailAttempt(now, kStopping, out);
    return;
  } else {
    DropThoseNotBack(now, out);
    if (round_ && now >= round_->next_deadline()) StepRound(now, round::Tick{}, out);
  }
  StartAttemptIfReady(now, out);
  FinishIfEvaluated(now, out);
}

absl::Time FederationEngine::next_deadline() const {
  if (round_) {
    absl::Time due = round_->next_deadline();
    for (const auto& [member, until] : returning_) due = std::min(due, until);
    return due;
  }
  if (released_now_) return absl::InfinitePast();
  // Only what is still to come, or time would stand still at it.
  if (phase_ == State::kWaiting && not_before_ != absl::InfinitePast()) return not_before_;
  if (phase_ == State::kEvaluating) return end_due_;
  if (phase_ == State::kWaiting && unmeasured_at_) return *unmeasured_at_;
  if (phase_ == State::kWaiting && patience_until_) return *patience_until_;
  return absl::InfiniteFuture();
}

void FederationEngine::OnArrived(absl::Time now, const run::Arrived& arrived, Outputs* out) {
  people_[arrived.member] = Person{.name = arrived.name, .role = arrived.role};
  left_out_.erase(arrived.member);
  for (auto& [kind, members] : refused_sums_) members.erase(arrived.member);
  lost_.erase(arrived.member);
  // Whoever has not answered the offer may not have got it, and gets it after the greeting.
  const bool offered_in_vain = arrived.role == MEMBER && returning_.contains(arrived.member) &&
                               round_ && round_->AwaitsFirstAnswer(arrived.member);
  if (!(offered_in_vain && arrived.resumes.empty()) && Resume(now, arrived, out)) return;
  if (auto tardy = tardy_.find(arrived.member); tardy != tardy_.end()) tardy->second.silent = false;
  auto welcome = std::make_shared<ServerMessage>();
  welcome->mutable_welcome()->set_round(state_.round.value());
  welcome->mutable_welcome()->set_rounds(options_.spec.rounds().count());
  if (auto last = state_.last_attempts.find(arrived.member); last != state_.last_attempts.end()) {
    const uint32_t attempt = last->second.value();
    welcome->mutable_welcome()->set_last_attempt(attempt);
    welcome->mutable_welcome()->set_last_attempt_signature(ToString(options_.key->Sign(
        secagg::LastSeenStatement(options_.spec_digest, arrived.member, attempt).bytes())));
  }
  out->push_back(run::SendTo{arrived.member, std::move(welcome)});
  if (arrived.role == EVALUATOR) {
    if (state_.round == evaluated_ && state_.round.value() > 0) {
      bool known = std::any_of(state_.evaluations.begin(), state_.evaluations.end(),
                               [&](const EvaluationReceived& evaluation) {
                                 return evaluation.round == state_.round &&
                                        evaluation.evaluator == arrived.name;
                               });
      if (!known) {
        evaluating_[arrived.member] = state_.round;
        out->push_back(run::SendTo{arrived.member, EvaluationMessage(out)});
      }
    }
    return;
  }
  if (offered_in_vain && returning_.erase(arrived.member) > 0) {
    StepRound(now, round::MemberReturned{arrived.member}, out);
  }
  // Those who found an attempt too small may take part in a larger one.
  left_out_.clear();
  if (!options_.spec.rounds().has_cohort() && state_.attempts.value() == 0) {
    patience_until_ = now + kGatherPatience;
  }
}

void FederationEngine::OnLeft(absl::Time now, const run::Left& left, Outputs* out) {
  people_.erase(left.member);
  left_out_.erase(left.member);
  evaluating_.erase(left.member);
  if (left.lost) lost_[left.member] = now;
  if (!round_) return;
  // What is in a sum cannot be taken out of it.
  if (left.revoked && round_->HasInput(left.member)) {
    return FailAttempt(now, "a member was revoked whose input was in the sum", out);
  }
  // Who keeps its part of the attempt in memory may be back in a moment.
  const std::vector<secagg::MemberId> awaited = round_->awaited();
  if (left.lost && std::find(awaited.begin(), awaited.end(), left.member) != awaited.end()) {
    returning_[left.member] = now + ReturnGrace();
    return;
  }
  StepRound(now, round::MemberLost{left.member}, out);
}

// A cut line is noticed at both ends at different times; an attempt that has time gives it more.
absl::Duration FederationEngine::ReturnGrace() const {
  return std::clamp(deadline() / 10, kShortestGrace, kLongestGrace);
}

void FederationEngine::DropThoseNotBack(absl::Time now, Outputs* out) {
  for (auto place = returning_.begin(); round_ && place != returning_.end();) {
    if (now < place->second) {
      ++place;
      continue;
    }
    const secagg::MemberId member = place->first;
    returning_.erase(place);
    StepRound(now, round::MemberLost{member}, out);  // may end the attempt
    place = returning_.begin();
  }
}

// A member whose connection ended and that goes on where it was. False: it is greeted as any other,
// and what it had of an attempt is of no use any more.
bool FederationEngine::Resume(absl::Time now, const run::Arrived& arrived, Outputs* out) {
  const bool waited_for = returning_.erase(arrived.member) > 0;
  if (arrived.resumes.empty() || arrived.role != MEMBER) {
    if (waited_for && round_) StepRound(now, round::MemberLost{arrived.member}, out);
    return false;
  }
  if (last_words_ && last_words_->attempt_ended().session_id() == arrived.resumes) {
    out->push_back(run::SendTo{arrived.member, last_words_});
    return false;
  }
  const bool in_cohort = round_ && arrived.resumes == ToString(session_id_) &&
                         !declined_.contains(arrived.member) &&
                         std::find(cohort_.begin(), cohort_.end(), arrived.member) != cohort_.end();
  if (!in_cohort) {
    if (waited_for && round_) StepRound(now, round::MemberLost{arrived.member}, out);
    return false;
  }
  out->push_back(run::Note{false, absl::StrCat(arrived.name, " is back, and goes on with attempt ",
                                               state_.attempts.value())});
  StepRound(now, round::MemberReturned{arrived.member}, out);
  return true;
}

std::optional<uint64_t> FederationEngine::ExpectedInput(const secagg::MemberId& member,
                                                        std::string_view session_id) const {
  if (!round_ || session_id != ToString(session_id_)) return std::nullopt;
  return round_->ExpectedInput(member);
}

void FederationEngine::OnSaid(absl::Time now, run::Said said, Outputs* out) {
  auto person = people_.find(said.member);
  if (person == people_.end()) return;  // it has gone since
  if (auto tardy = tardy_.find(said.member); tardy != tardy_.end()) tardy->second.silent = false;
  switch (said.message.kind_case()) {
    case ClientMessage::kHello:
      if (said.message.hello().spec_digest() != ToString(options_.spec_digest)) {
        out->push_back(run::Expel{
            said.member,
            absl::FailedPreconditionError(
                "the terms that this member approved are not this federation's: join again")});
        return OnLeft(now, {.member = said.member, .lost = false}, out);
      }
      return;
    case ClientMessage::kDecline: {
      const Decline& decline = said.message.decline();
      if (person->second.role == EVALUATOR) {
        if (!evaluating_.contains(said.member)) return;
        out->push_back(
            run::Note{true, absl::StrCat(person->second.name, ": ", Printable(decline.text()))});
        return EvaluatorIsFree(said.member, out);
      }
      if (decline.session_id() != ToString(session_id_) || !round_ ||
          left_out_.contains(said.member) || !declined_.insert(said.member).second) {
        return;  // of an attempt that is over, or said before
      }
      // A limit or a budget stays as it is; a trainer that failed may work the next time.
      if (decline.reason() == Decline::PROTOCOL) {
        SitOut(said.member, /*silent=*/false);
      } else if (sums_terms_) {
        RefuseSums(said.member);
      } else {
        left_out_.insert(said.member);
      }
      out->push_back(
          run::Note{true, absl::StrCat(person->second.name, " takes no part in attempt ",
                                       state_.attempts.value(), ": ", Printable(decline.text()))});
      return StepRound(now, round::MemberLost{said.member}, out);
    }
    case ClientMessage::kSecagg:
      // An answer that came too late.
      if (!round_ || said.message.secagg().session_id() == ToString(former_session_id_)) return;
      if (said.message.secagg().session_id() == ToString(session_id_) &&
          (said.message.secagg().has_shares() || said.message.secagg().has_plain_input())) {
        dealers_.insert(said.member);
      }
      return StepRound(
          now,
          round::MessageReceived{said.member, std::move(*said.message.mutable_secagg()),
                                 std::move(said.staged)},
          out);
    case ClientMessage::kEvaluation:
      return OnEvaluation(now, said.member, said.message.evaluation(), out);
    case ClientMessage::kAvailability:
      person->second.available = said.message.availability().available();
      return;
    case ClientMessage::kInputAhead:  // for the driver
    case ClientMessage::kInputPiece:
    case ClientMessage::KIND_NOT_SET:  // a newer member may say more
      return;
  }
}

void FederationEngine::StepRound(absl::Time now, round::Input input, Outputs* out) {
  std::vector<round::Output> outputs;
  const size_t known = round_->evidence().size();
  round_->Step(now, std::move(input), &outputs);
  for (const secagg::Evidence& evidence : round_->evidence().subspan(known)) {
    out->push_back(run::WriteEvidence{evidence.contradiction, evidence.certificate});
  }
  HandleRound(now, std::move(outputs), out);
}

void FederationEngine::HandleRound(absl::Time now, std::vector<round::Output> outputs,
                                   Outputs* out) {
  for (round::Output& output : outputs) {
    if (auto* send = std::get_if<round::SendTo>(&output)) {
      out->push_back(run::SendTo{send->member, std::move(send->message)});
    } else if (const auto* rejected = std::get_if<round::Rejected>(&output)) {
      if (++rejections_[rejected->member] > kMaxRejections) continue;
      out->push_back(run::Note{true, absl::StrCat("a message of ", NameOf(rejected->member),
                                                  " was rejected: ", rejected->why.message())});
      if (rejections_[rejected->member] == kMaxRejections) {
        broke_protocol_.insert(rejected->member);
        out->push_back(run::Expel{rejected->member,
                                  absl::ResourceExhaustedError("too many messages were rejected")});
      }
    } else if (const auto* late = std::get_if<round::Late>(&output)) {
      LeaveOutTheLate(*late, out);
    } else if (auto* closed = std::get_if<round::Closed>(&output)) {
      Release(now, std::move(*closed), out);
    } else {
      FailAttempt(now, std::get<round::Failed>(output).reason, out);
    }
  }
}

void FederationEngine::StartAttemptIfReady(absl::Time now, Outputs* out) {
  if (phase_ != State::kWaiting && phase_ != State::kRunning) return;
  if (round_ || released_now_) return;
  const SumsKind kind = sums_.Due(state_);
  if (kind == SumsKind::kTraining && NoMoreRounds()) {
    phase_ = State::kEvaluating;
    rounds_done_ = now;
    return;
  }
  phase_ = State::kWaiting;
  if (now < not_before_) return;
  not_before_ = absl::InfinitePast();
  std::vector<secagg::MemberId> connected =
      options_.cohorts
          ? options_.cohorts(now, AttemptNumber(state_.attempts.value() + 1), MostInvited())
          : AvailableMembers();
  if (kind == SumsKind::kEvaluation && SkipsEvaluation(now, connected.size(), out)) {
    return StartAttemptIfReady(now, out);
  }
  if (!EnoughAreHere(now, connected.size())) return;
  if (!CanAfford(kind, out)) return;
  std::vector<secagg::MemberId> cohort =
      options_.cohorts ? std::move(connected) : DrawCohort(std::move(connected));
  if (absl::Status status = kind == SumsKind::kTraining
                                ? StartAttempt(now, std::move(cohort), out)
                                : StartSums(now, kind, std::move(cohort), out);
      !status.ok()) {
    waiting_for_ = std::string(status.message());
    not_before_ = now + kTermsPatience;
  }
}

absl::Status FederationEngine::StartAttempt(absl::Time now, std::vector<secagg::MemberId> cohort,
                                            Outputs* out) {
  DURE_ASSIGN_OR_RETURN(RoundTerms terms,
                        DeriveTerms(options_.spec, model_.size(),
                                    static_cast<uint32_t>(cohort.size()), state_.clip_norm));
  AttemptId id{.round = state_.round.value() + 1,
               .attempt = state_.attempts.value() + 1,
               .model_hash = model_hash_};
  RoundOptions options;
  options.model = NumbersToBytes(model_, terms.download);
  options.state = NumbersToBytes(control_.values(), terms.download) + standardisation_;
  if (options_.hash_models &&
      (terms.download != CommunicationSection::FP32 || !options.state.empty())) {
    id.model_hash = OfferedModelHash(options.model, options.state);
  }
  options.target = options_.spec.rounds().target();
  DURE_ASSIGN_OR_RETURN(RunAccount account, sums_.Account(terms));
  if (options.model.size() + options.state.size() > options_.most_inline_bytes) {
    options.model_bytes = options.model.size();
    options.state_bytes = options.state.size();
    out->push_back(run::Publish{.sha256 = id.model_hash,
                                .model = std::exchange(options.model, {}),
                                .state = std::exchange(options.state, {})});
  }
  DURE_RETURN_IF_ERROR(BeginRound(now, terms, id, std::move(options), std::move(cohort), out));
  if (terms.invited != terms_.invited) account_ = std::move(account);
  terms_ = terms;
  return absl::OkStatus();
}

// What an attempt begins with, whatever it is for.
absl::Status FederationEngine::BeginRound(absl::Time now, const RoundTerms& terms,
                                          const AttemptId& id, RoundOptions options,
                                          std::vector<secagg::MemberId> cohort, Outputs* out) {
  Digest session_id;
  options_.random->Fill(session_id);
  options.session.session_id = session_id;
  options.session.config = MakeRoundConfig(options_.spec, options_.spec_digest, terms, id);
  options.session.key = options_.key;
  options.session.verifier = options_.verifier;
  options.session.expected = cohort;
  options.deadline = deadline();
  if (const uint32_t rate = options_.spec.rounds().minimum_rate(); rate > 0) {
    options.minimum_rate = rate;
  }
  std::string rotation_seed = options.session.config.rotation_seed();
  std::vector<round::Output> outputs;
  DURE_ASSIGN_OR_RETURN(round_, options_.start_round(now, std::move(options), &outputs));

  if (failures_in_a_row_ == 0) round_began_ = now;
  sums_terms_.reset();
  if (terms.sums != SumsKind::kTraining) sums_terms_ = terms;
  rotation_seed_ = std::move(rotation_seed);
  former_session_id_ = std::exchange(session_id_, session_id);
  rejections_.clear();
  declined_.clear();
  returning_.clear();
  last_words_.reset();
  dealers_.clear();
  cohort_ = std::move(cohort);
  // Those who did not come in time are not waited for again.
  settled_for_ = cohort_.size();
  phase_ = State::kRunning;
  patience_until_.reset();
  not_before_ = absl::InfinitePast();
  state_.attempts = AttemptNumber(id.attempt);
  ++state_.counts.of(terms.sums);
  if (terms.sums == SumsKind::kEvaluation) ++state_.evaluation_attempts;
  out->push_back(run::Write{AttemptBegun{.attempt = state_.attempts,
                                         .round = RoundNumber(id.round),
                                         .session_id = session_id,
                                         .cohort = terms.invited,
                                         .at = now,
                                         .kind = terms.sums}});
  HandleRound(now, std::move(outputs), out);
  return absl::OkStatus();
}

void FederationEngine::TellCohort(bool released, const std::string& text, Outputs* out) {
  auto message = std::make_shared<ServerMessage>();
  AttemptEnded* ended = message->mutable_attempt_ended();
  ended->set_session_id(ToString(session_id_));
  ended->set_released(released);
  ended->set_text(text);
  last_words_ = message;
  returning_.clear();
  for (const secagg::MemberId& member : cohort_) {
    if (people_.contains(member)) out->push_back(run::SendTo{member, message});
  }
}

void FederationEngine::LeaveOutTheFaulty(Outputs* out) {
  for (const auto& [member, why] : round_->faults()) {
    out->push_back(run::Note{true, absl::StrCat(NameOf(member), " is left out: ", why)});
    broke_protocol_.insert(member);
  }
}

// Whose shares were seen in the attempt that ends.
std::vector<Digest> FederationEngine::TakeDealers() {
  std::vector<Digest> dealers(dealers_.begin(), dealers_.end());
  for (const Digest& dealer : dealers) state_.last_attempts[dealer] = state_.attempts;
  dealers_.clear();
  return dealers;
}

void FederationEngine::FailAttempt(absl::Time now, const std::string& reason, Outputs* out) {
  LeaveOutTheFaulty(out);
  round_.reset();
  absl::Duration wait =
      std::min(kLongestRetryWait, kFirstRetryWait * (1 << std::min(failures_in_a_row_, 10u)));
  ++failures_in_a_row_;
  not_before_ = now + wait;
  if (phase_ == State::kRunning) phase_ = State::kWaiting;
  out->push_back(run::Write{AttemptFailed{
      .attempt = state_.attempts, .reason = reason, .at = now, .dealers = TakeDealers()}});
  // A person who stops the coordinator knows.
  const bool warning = reason != kStopping;
  out->push_back(run::Note{warning, absl::StrCat(AttemptInWords(), " failed: ", reason)});
  TellCohort(false, reason, out);
}

void FederationEngine::Release(absl::Time now, round::Closed closed, Outputs* out) {
  if (sums_terms_) return ReleaseSums(now, std::move(closed), out);
  // Each of these may be as long as the model, and goes as soon as the next is there.
  absl::StatusOr<MeanUpdate> update =
      ToMeanUpdate(std::move(closed.sums), terms_, rotation_seed_, *options_.random);
  if (!update.ok()) return FailAttempt(now, std::string(update.status().message()), out);
  LeaveOutTheFaulty(out);
  ForgiveThePunctual();
  round_.reset();
  StepModel(*update, closed.survivors, out);
  const double count_mean = update->count_mean;
  update = MeanUpdate();
  if (terms_.adaptive_clipping) MoveClipNorm(count_mean);
  std::string model = ParamsToBytes(model_);
  if (options_.hash_models) model_hash_ = Sha256(AsBytes(model));
  failures_in_a_row_ = 0;
  state_.round = RoundNumber(state_.round.value() + 1);
  state_.evaluation_attempts = 0;
  RoundReleased released{.round = state_.round,
                         .attempt = state_.attempts,
                         .cohort = terms_.invited,
                         .survivors = closed.survivors,
                         .epsilon = account_->EpsilonAfter(state_.counts),
                         .duration = now - round_began_,
                         .at = now,
                         .model_hash = model_hash_,
                         .model = std::move(model),
                         .optimizer = control_.Save(optimizer_->Save()),
                         .bytes_received = bytes_received_,
                         .bytes_sent = bytes_sent_,
                         .clip_norm = state_.clip_norm,
                         .dealers = TakeDealers(),
                         .measuring = RoundsBeingMeasured()};
  state_.history.push_back(RoundSummary{.round = released.round,
                                        .attempt = released.attempt,
                                        .cohort = released.cohort,
                                        .survivors = released.survivors,
                                        .epsilon = released.epsilon,
                                        .duration = released.duration,
                                        .bytes_received = bytes_received_,
                                        .bytes_sent = bytes_sent_,
                                        .model_hash = ToHex(model_hash_)});
  released_now_ = true;
  out->push_back(run::Write{std::move(released)});
  TellCohort(true, "", out);
}

// The next model, and the next control variate.
void FederationEngine::StepModel(const MeanUpdate& update, uint32_t survivors, Outputs* out) {
  StepOptimizer(update);
  if (control_.used()) {
    control_.Move(update.Part(model_.size(), update.size - model_.size()), survivors, terms_);
  }
  const uint64_t beyond =
      terms_.download == CommunicationSection::FP16 ? BeyondBinary16(model_) : 0;
  if (beyond == 0) return;
  out->push_back(run::Note{
      true, absl::StrCat(beyond, " of ", model_.size(), " parameters are beyond ", kMaxBinary16,
                         ", the most of binary16, and travel as that (communication.download)")});
}

// Coordinates are stepped on their own, so in ranges and on all cores.
void FederationEngine::StepOptimizer(const MeanUpdate& update) {
  optimizer_->ScaleRate(ServerScheduleOf(options_.spec).Factor(state_.round.value() + 1));
  ForEachRange(
      {.begin = 0, .end = model_.size()}, {.least = kCoordinatesForThread},
      [&](const Range& range) {
        std::vector<float> mean(std::min(kBlockCoordinates, range.size()));
        for (uint64_t at = range.begin; at < range.end; at += mean.size()) {
          const auto block = std::span(mean).first(std::min<uint64_t>(mean.size(), range.end - at));
          update.read(at, block);
          DURE_CHECK(optimizer_->Step(at, block, std::span(model_).subspan(at, block.size()))
                         .ok());  // the mean is finite
        }
      });
}

// The next round's clip norm, from what was released (Andrew et al. 2021).
void FederationEngine::MoveClipNorm(double count_mean) {
  absl::StatusOr<dp::AdaptiveClip> clip = AdaptiveClipOf(options_.spec, terms_);
  DURE_CHECK(clip.ok());  // DeriveTerms made one
  const double next = clip->Next(terms_.clip_norm, clip->ShareWithin(count_mean, terms_.clip_norm));
  // At the limits of the noise or of a message another norm may not work: the old one stays.
  const bool works = DeriveTerms(options_.spec, terms_.dim, terms_.invited, next).ok();
  state_.clip_norm = works ? next : terms_.clip_norm;
}

void FederationEngine::EndRun(absl::Status status, std::string text, Outputs* out) {
  phase_ = status.ok() ? State::kFinished : State::kFailed;
  end_text_ = status.ok() ? text : std::string(status.message());
  auto message = std::make_shared<ServerMessage>();
  message->mutable_finished()->set_rounds(state_.round.value());
  message->mutable_finished()->set_model_hash(ToString(model_hash_));
  message->mutable_finished()->set_text(text);
  for (const auto& [id, person] : people_) out->push_back(run::SendTo{id, message});
  patience_until_.reset();
  not_before_ = absl::InfinitePast();
  out->push_back(run::Ended{std::move(status), std::move(text)});
}

std::string FederationEngine::NameOf(const secagg::MemberId& member) const {
  auto person = people_.find(member);
  return person == people_.end() ? ToHex(member).substr(0, 12) : person->second.name;
}

}  // namespace dure
