// What FederationEngine does with its evaluators: when they measure which model, what follows from
// their answers, and how the run ends after the last of them.
#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/paragraph.h"
#include "coordinator/federation_engine.h"
#include "federation/model_file.h"
#include "federation/model_metrics.h"

namespace dure {
namespace {

// How long the end of the run waits for the evaluators' last words.
constexpr absl::Duration kEvaluationPatience = absl::Minutes(2);
// How long the end of the run waits for those who were lost and may not have heard of it: longer
// than the longest wait of a client between two calls (transport/backoff.h).
constexpr absl::Duration kFarewellPatience = absl::Seconds(40);

}  // namespace

void FederationEngine::OnEvaluation(absl::Time now, const secagg::MemberId& member,
                                    const EvaluationReport& report, Outputs* out) {
  auto asked = evaluating_.find(member);
  const std::string name = NameOf(member);
  if (asked == evaluating_.end() || asked->second.value() != report.round()) return;
  absl::Status sense = CheckMetrics(report.metrics());
  if (sense.ok() && !std::isfinite(report.metrics().loss())) {
    sense = absl::InvalidArgumentError("a loss that is not finite");
  }
  if (!sense.ok()) {
    out->push_back(
        run::Note{true, absl::StrCat("the evaluation by ", name,
                                     " makes no sense and was ignored: ", sense.message())});
    evaluating_.erase(asked);
    return;
  }
  EvaluationReceived evaluation{
      .round = asked->second, .evaluator = name, .metrics = report.metrics(), .at = now};
  state_.evaluations.push_back(evaluation);
  progress_.Add(evaluation);
  out->push_back(run::Write{evaluation});
  EvaluatorIsFree(member, out);
}

// An evaluator has answered.
void FederationEngine::EvaluatorIsFree(const secagg::MemberId& member, Outputs* out) {
  auto asked = evaluating_.find(member);
  // A newer model may have been released while this one was measured.
  if (asked->second < evaluated_) {
    asked->second = state_.round;
    out->push_back(run::SendTo{member, EvaluationMessage(out)});
  } else {
    evaluating_.erase(asked);
  }
}

bool FederationEngine::EvaluatedNow(uint32_t round) const {
  return round % options_.spec.evaluation().every() == 0 || round == options_.spec.rounds().count();
}

std::shared_ptr<const ServerMessage> FederationEngine::EvaluationMessage(Outputs* out) const {
  auto message = std::make_shared<ServerMessage>();
  message->mutable_evaluate()->set_round(state_.round.value());
  message->mutable_evaluate()->set_standardisation(standardisation_);
  // As it is released: with the layers that stay with members as they were at the beginning.
  std::string model =
      ParamsToBytes(options_.parts ? options_.parts->Join(model_, personal_) : model_);
  if (model.size() <= options_.most_inline_bytes) {
    message->mutable_evaluate()->set_model(std::move(model));
    return message;
  }
  const Digest sha256 = Sha256(AsBytes(model));
  message->mutable_evaluate()->set_model_sha256(ToString(sha256));
  message->mutable_evaluate()->set_model_bytes(model.size());
  out->push_back(run::Publish{.sha256 = sha256, .model = std::move(model)});
  return message;
}

// An evaluator that is still at an older model gets the newest when it has answered.
void FederationEngine::SendEvaluations(Outputs* out) {
  evaluated_ = state_.round;
  std::shared_ptr<const ServerMessage> message;
  for (const auto& [id, person] : people_) {
    if (person.role != EVALUATOR || evaluating_.contains(id)) continue;
    if (message == nullptr) message = EvaluationMessage(out);
    evaluating_[id] = state_.round;
    out->push_back(run::SendTo{id, message});
  }
}

std::vector<RoundNumber> FederationEngine::RoundsBeingMeasured() const {
  std::set<RoundNumber> rounds;
  for (const auto& [evaluator, round] : evaluating_) rounds.insert(round);
  return {rounds.begin(), rounds.end()};
}

bool FederationEngine::NoMoreRounds() const {
  return state_.round.value() >= options_.spec.rounds().count() || progress_.exhausted();
}

// Or nobody waits for it: a run that ends early ends between two measurements.
bool FederationEngine::NewestIsMeasured() const {
  if (progress_.exhausted()) return true;
  return !state_.evaluations.empty() && state_.evaluations.back().round == state_.round;
}

std::string FederationEngine::WhyItIsDone() const {
  const uint32_t count = options_.spec.rounds().count();
  if (!progress_.exhausted()) return absl::StrCat("all ", count, " rounds are done");
  const std::optional<EvaluationProgress::Best> best = progress_.best();
  const EvaluationSection& evaluation = options_.spec.evaluation();
  return absl::StrFormat(
      "stopped early after round %d of %d: %s in a row did not lower the evaluators' loss%s "
      "(evaluation.patience); the best is round %d with loss %.4f",
      state_.round.value(), count, Counted(evaluation.patience(), "measurement"),
      evaluation.min_improvement() > 0
          ? absl::StrFormat(" by more than %g", evaluation.min_improvement())
          : "",
      best->round.value(), best->loss);
}

void FederationEngine::FinishIfEvaluated(absl::Time now, Outputs* out) {
  if (phase_ != State::kEvaluating) return;
  // An evaluator that was lost while it measured the last model may come back.
  const bool expected =
      !evaluating_.empty() || (!state_.evaluations.empty() && !NewestIsMeasured());
  const absl::Time farewell = FarewellUntil();
  end_due_ = std::max(farewell, expected ? rounds_done_ + kEvaluationPatience : farewell);
  if (now < end_due_) {
    waiting_for_ = expected ? "waiting for the last evaluation"
                            : "waiting for those who were lost, to tell them that it is over";
    return;
  }
  EndRun(absl::OkStatus(), WhyItIsDone(), out);
}

// How long the end waits for those who may not have heard of it and dial again.
absl::Time FederationEngine::FarewellUntil() const {
  absl::Time until = absl::InfinitePast();
  // The last round was released by an earlier process, which may not have told anybody.
  if (session_id_ == Digest{} && !EverybodyCanBeTold()) until = rounds_done_ + kFarewellPatience;
  for (const auto& [member, since] : lost_) until = std::max(until, since + kFarewellPatience);
  return until;
}

// The cohort is here with every evaluator that ever answered, and the last model has been measured.
bool FederationEngine::EverybodyCanBeTold() const {
  const RoundsSection& rounds = options_.spec.rounds();
  const size_t wanted = rounds.has_cohort() ? rounds.cohort() : rounds.minimum();
  size_t members = 0;
  std::set<std::string> evaluators;
  for (const EvaluationReceived& evaluation : state_.evaluations) {
    evaluators.insert(evaluation.evaluator);
  }
  for (const auto& [id, person] : people_) {
    if (person.role == MEMBER) ++members;
    evaluators.erase(person.name);
  }
  return members >= wanted && evaluators.empty() && NewestIsMeasured();
}

}  // namespace dure
