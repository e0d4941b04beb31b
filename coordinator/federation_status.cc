// What FederationEngine says of itself.
#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "coordinator/federation_engine.h"
#include "federation/spec_fields.h"

namespace dure {
namespace {

// Rounds whose mean length makes the forecast.
constexpr size_t kForecastRounds = 20;

}  // namespace

std::string FederationEngine::PhaseText() const {
  switch (phase_) {
    case State::kWaiting:
      return waiting_for_;
    case State::kRunning:
      return round_ ? std::string(round_->phase()) : "between rounds";
    case State::kPaused:
      return round_ ? "pausing after this attempt" : "paused";
    case State::kEvaluating:
      return waiting_for_;
    case State::kFinished:
      return "finished";
    case State::kFailed:
      return "stopped";
  }
  return "";
}

std::string FederationEngine::DoingOf(const secagg::MemberId& member, const Person& person) const {
  if (auto measured = evaluating_.find(member); measured != evaluating_.end()) {
    return absl::StrCat("measures the model of round ", measured->second.value());
  }
  if (person.role == EVALUATOR) return "ready";
  if (broke_protocol_.contains(member)) return "broke the protocol: not invited again";
  if (left_out_.contains(member)) return "has declined: not invited before it comes back";
  if (round_ && declined_.contains(member)) return "has declined this attempt";
  if (!person.available) return "not available now, as it says itself";
  if (auto tardy = tardy_.find(member); tardy != tardy_.end()) {
    if (tardy->second.silent) return "was late: not invited until it is heard from";
    if (tardy->second.until > state_.attempts) {
      return absl::StrCat("was late: sits out attempts up to ", tardy->second.until.value());
    }
  }
  return "ready";
}

std::map<secagg::MemberId, std::string> FederationEngine::Doings() const {
  std::map<secagg::MemberId, std::string> doings;
  for (const auto& [member, person] : people_) doings[member] = DoingOf(member, person);
  if (!round_) return doings;
  for (const secagg::MemberId& member : cohort_) {
    auto found = doings.find(member);
    if (found != doings.end() && found->second == "ready") found->second = "takes part";
  }
  for (const secagg::MemberId& member : round_->awaited()) {
    auto found = doings.find(member);
    if (found != doings.end()) found->second = "is awaited";
  }
  return doings;
}

RunStatus FederationEngine::Status(RoundNumber after_round, size_t max_rounds) const {
  static constexpr const char* kStates[] = {"waiting",    "running",  "paused",
                                            "evaluating", "finished", "failed"};
  const RoundsSection& rounds = options_.spec.rounds();
  RunStatus status;
  status.set_federation(options_.spec.federation().name());
  status.set_state(kStates[static_cast<int>(phase_)]);
  status.set_phase(PhaseText());
  const bool ends_early = progress_.exhausted() && !round_;
  status.set_text(end_text_.empty() && ends_early ? WhyItIsDone() : end_text_);
  if (round_) {
    for (const secagg::MemberId& member : round_->awaited()) status.add_awaited(NameOf(member));
  }
  status.set_round(state_.round.value());
  status.set_rounds(rounds.count());
  status.set_attempt(state_.attempts.value());
  status.set_max_attempts(MostAttempts(options_.spec));
  const size_t ended_well = state_.history.size() + state_.member_evaluations.size() +
                            (state_.statistics ? 1 : 0) + (round_ ? 1 : 0);
  status.set_failed_attempts(static_cast<uint32_t>(
      state_.attempts.value() - std::min<size_t>(state_.attempts.value(), ended_well)));
  for (const auto& [id, person] : people_) {
    if (person.role == EVALUATOR) {
      status.set_evaluators(status.evaluators() + 1);
    } else {
      status.set_connected(status.connected() + 1);
    }
  }
  status.set_cohort(rounds.has_cohort() ? rounds.cohort() : status.connected());
  status.set_minimum(rounds.minimum());
  const PrivacySection& privacy = options_.spec.privacy();
  status.set_unit(ChoiceName(*PrivacySection::Unit_descriptor(), privacy.unit()));
  status.set_mode(ChoiceName(*LocalSection::Mode_descriptor(), options_.spec.local().mode()));
  status.set_secure_aggregation(options_.spec.secure_aggregation().enabled());
  status.set_epsilon(account_->EpsilonAfter(state_.counts));
  status.set_delta(terms_.delta);
  status.set_max_epsilon(privacy.max_epsilon());
  status.set_clip_norm(state_.clip_norm == 0 ? privacy.clip_norm() : state_.clip_norm);
  status.set_model_hash(ToHex(model_hash_));
  status.set_dim(model_.size() + personal_.size());
  absl::Duration elapsed, recent;
  size_t first_recent = state_.history.size() - std::min(kForecastRounds, state_.history.size());
  for (size_t i = 0; i < state_.history.size(); ++i) {
    const RoundSummary& summary = state_.history[i];
    elapsed += summary.duration;
    if (i >= first_recent) recent += summary.duration;
    if (summary.round <= after_round) continue;
    if (static_cast<size_t>(status.history_size()) >= max_rounds) {
      status.set_more(true);
      continue;
    }
    RoundReport* report = status.add_history();
    report->set_round(summary.round.value());
    report->set_attempt(summary.attempt.value());
    report->set_survivors(summary.survivors);
    report->set_cohort(summary.cohort);
    report->set_epsilon(summary.epsilon);
    report->set_seconds(absl::ToDoubleSeconds(elapsed));
    report->set_bytes_received(summary.bytes_received);
    report->set_bytes_sent(summary.bytes_sent);
    report->set_model_hash(summary.model_hash);
  }
  status.set_seconds(absl::ToDoubleSeconds(elapsed));
  if (!state_.history.empty()) {
    status.set_bytes_received(state_.history.back().bytes_received);
    status.set_bytes_sent(state_.history.back().bytes_sent);
  }
  size_t counted = state_.history.size() - first_recent;
  const uint32_t left = NoMoreRounds() ? 0 : rounds.count() - state_.round.value();
  status.set_eta_seconds(counted == 0 ? -1 : absl::ToDoubleSeconds(recent) / counted * left);
  if (const std::optional<EvaluationProgress::Best> best = progress_.best()) {
    status.mutable_best()->set_round(best->round.value());
    status.mutable_best()->set_loss(best->loss);
    status.mutable_best()->set_records(best->records);
  }
  status.set_patience(options_.spec.evaluation().patience());
  status.set_without_improvement(progress_.without_improvement());
  const uint32_t last = !status.more()             ? rounds.count()
                        : status.history().empty() ? after_round.value()
                                                   : status.history().rbegin()->round();
  for (const EvaluationReceived& evaluation : state_.evaluations) {
    if (evaluation.round <= after_round || evaluation.round.value() > last) continue;
    Evaluation* report = status.add_evaluations();
    report->set_round(evaluation.round.value());
    report->set_evaluator(evaluation.evaluator);
    *report->mutable_metrics() = evaluation.metrics;
  }
  for (const SumsReleased& sums : state_.member_evaluations) {
    if (sums.round <= after_round || sums.round.value() > last) continue;
    Evaluation* report = status.add_evaluations();
    report->set_round(sums.round.value());
    report->set_evaluator(absl::StrCat(sums.survivors, " members"));
    *report->mutable_metrics() = sums_.MetricsOf(sums);
  }
  return status;
}

}  // namespace dure
