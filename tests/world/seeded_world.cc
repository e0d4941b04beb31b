#include "tests/world/seeded_world.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/check.h"

namespace dure::world {
namespace {

// When the faults have healed, a run ends within so much time and after so many steps, or never.
constexpr absl::Duration kPatience = absl::Hours(2);
constexpr uint64_t kMostSteps = 200'000;
// How long messages are still delivered after the end of the run.
constexpr absl::Duration kGrace = absl::Seconds(10);

}  // namespace

SeededWorld::SeededWorld(Scenario scenario, Tell tell)
    : scenario_(std::move(scenario)),
      tell_(std::move(tell)),
      dice_(scenario_.seed, "world"),
      forger_(scenario_.seed),
      invariants_(scenario_),
      now_(absl::FromUnixSeconds(kFirstSecond)) {
  for (uint32_t i = 0; i <= scenario_.members; ++i) {
    if (i == scenario_.members && !scenario_.evaluator) break;
    Node& node = nodes_.emplace_back();
    node.person = i < scenario_.members ? &People::Get().Member(i) : &People::Get().Evaluator();
    node.honest = std::find(scenario_.dishonest.begin(), scenario_.dishonest.end(), i) ==
                  scenario_.dishonest.end();
    by_id_[node.person->id] = &node;
  }
}

void SeededWorld::Trace(std::string_view line) {
  const std::string text = absl::StrFormat(
      "%11.6f %s", absl::ToDoubleSeconds(now_ - absl::FromUnixSeconds(kFirstSecond)),
      std::string(line));
  trace_ = Transcript("trace").Add(trace_).Add(text).Hash();
  if (tell_) tell_(text);
}

Outcome SeededWorld::Run() {
  Trace(scenario_.text);
  StartCoordinator();
  for (Node& node : nodes_) StartMember(node);
  After(absl::Seconds(1), [this] { Misfortunes(); });
  After(scenario_.faults_last, [this] { Heal(); });
  absl::Time over = absl::InfiniteFuture();
  while (!queue_.empty() && !invariants_.broken() && now_ <= over) {
    auto next = queue_.extract(queue_.begin());
    now_ = next.key().first;
    ++outcome_.steps;
    next.mapped()();
    if (ended_ && over == absl::InfiniteFuture()) over = now_ + kGrace;
    CheckPatience();
  }
  if (!invariants_.broken()) CheckTheEnd();
  outcome_.broken = invariants_.broken();
  outcome_.trace = trace_;
  outcome_.counts["rounds"] = state_.round.value();
  outcome_.counts["attempts"] = state_.attempts.value();
  return std::move(outcome_);
}

void SeededWorld::CheckPatience() {
  if (ended_) return;
  if (now_ - healed_ > kPatience || outcome_.steps > kMostSteps ||
      state_.attempts.value() > most_attempts_) {
    invariants_.Break(absl::StrCat(
        "the faults have healed, and the run does not end: round ", state_.round.value(), " of ",
        scenario_.spec.rounds().count(), ", attempt ", state_.attempts.value(), ", ",
        coordinator_ ? coordinator_->Status(state_.round, 0).phase() : "no coordinator", "; ",
        coordinator_ ? coordinator_->Status(state_.round, 0).text() : ""));
  }
}

void SeededWorld::CheckTheEnd() {
  if (!ended_) return invariants_.Break("nothing can happen any more, and the run has not ended");
  const bool all_rounds = state_.round.value() == scenario_.spec.rounds().count();
  // All attempts, or all of max_epsilon.
  const bool spent = absl::IsResourceExhausted(*ended_) &&
                     (state_.attempts.value() == scenario_.spec.rounds().max_attempts() ||
                      (scenario_.spec.privacy().unit() != PrivacySection::NONE &&
                       absl::StrContains(ended_->message(), "above the federation's max_epsilon")));
  if (ended_->ok() ? !all_rounds : !spent) {
    invariants_.Break(absl::StrCat(
        "the run ends after round ", state_.round.value(), " and attempt ", state_.attempts.value(),
        ": ", ended_->ok() ? std::string("all is well") : std::string(ended_->message())));
  }
  Count(ended_->ok() ? "worlds with every round" : "worlds whose budget is spent");
  for (const Node* node : told_) {
    if (!node->done) {
      invariants_.Break(absl::StrCat(node->person->name, " is connected and not told of the end"));
    }
  }
}

}  // namespace dure::world
