// The coordinator's machine of a SeededWorld: what coordinator/service/coordinator_service.cc does,
// one step at a time, and a process that may die at each write.
#include <iterator>
#include <utility>
#include <variant>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "tests/world/seeded_world.h"

namespace dure::world {
namespace {

// As in the service.
constexpr absl::Duration kTimerResolution = absl::Milliseconds(5);

std::string_view NameOf(const Fact& fact) {
  constexpr size_t kFirst = 2;  // after what members write
  // Scenarios add up no sums, the last kind of fact.
  static_assert(std::size(kWrites) == kFirst + std::variant_size_v<Fact> - 1);
  DURE_CHECK(!std::holds_alternative<SumsReleased>(fact));
  return kWrites[kFirst + fact.index()];
}

}  // namespace

void SeededWorld::StartCoordinator() {
  if (coordinator_ || ended_) return;
  coordinator_random_ =
      std::make_unique<AesCtrRandom>(StreamOf(scenario_.seed, "coordinator", coordinators_));
  ++coordinators_;
  Trace(absl::StrCat("the coordinator starts at round ", state_.round.value(), ", attempt ",
                     state_.attempts.value()));
  auto engine = FederationEngine::Create({.spec = scenario_.spec,
                                          .spec_digest = scenario_.spec_digest,
                                          .initial_model = std::vector<float>(scenario_.dim),
                                          .key = &People::Get().coordinator(),
                                          .verifier = People::Get().verifier(),
                                          .random = coordinator_random_.get()},
                                         state_);
  if (!engine.ok()) {
    return invariants_.Break(
        absl::StrCat("the coordinator cannot go on from its state: ", engine.status().message()));
  }
  coordinator_ = *std::move(engine);
  armed_for_ = absl::InfiniteFuture();
  if (paused_) StepCoordinator(run::SetPaused{true});
  StepCoordinator(run::Tick{});
}

void SeededWorld::KillCoordinator() {
  if (!coordinator_) return;
  Trace("the coordinator dies");
  coordinator_.reset();
  Recorder::Get().TakeSums();
  for (Node& node : nodes_) {
    if (!node.link.server) continue;
    node.link.server = false;
    After(dice_.Between(absl::Milliseconds(1), absl::Seconds(1)),
          [this, &node, number = node.link.number] {
            ClientCloses(node, number, absl::UnavailableError("the coordinator is gone"));
          });
  }
  After(dice_.Between(absl::Milliseconds(100), absl::Seconds(10)), [this] { StartCoordinator(); });
}

void SeededWorld::StepCoordinator(run::Input input) {
  if (!coordinator_ || ended_) return;
  std::vector<run::Output> outputs;
  coordinator_->Step(now_, std::move(input), &outputs);
  invariants_.OnSums(Recorder::Get().TakeSums());
  for (const run::Output& output : outputs) {
    if (!Handle(output)) return;
  }
  ArmTimer();
}

// False if nothing that follows may be done.
bool SeededWorld::Handle(const run::Output& output) {
  if (const auto* write = std::get_if<run::Write>(&output)) return Write(write->fact);
  if (const auto* send = std::get_if<run::SendTo>(&output)) {
    Node& node = *by_id_.at(send->member);
    invariants_.OnTells(state_, *node.person, *send->message);
    if (node.link.server) SendDown(node, *send->message);
  } else if (const auto* expel = std::get_if<run::Expel>(&output)) {
    Node& node = *by_id_.at(expel->member);
    Trace(absl::StrCat(node.person->name, " is expelled: ", expel->why.message()));
    if (!scenario_.hostile) {
      invariants_.Break(absl::StrCat(node.person->name,
                                     ", which is honest, is expelled: ", expel->why.message()));
    }
    if (node.link.server) TurnAway(node, expel->why);
  } else if (const auto* note = std::get_if<run::Note>(&output)) {
    Trace(absl::StrCat("coordinator: ", note->text));
    if (!scenario_.hostile && absl::StrContains(note->text, " is left out: ")) {
      invariants_.Break(absl::StrCat("an honest member is taken for a liar: ", note->text));
    }
  } else if (std::holds_alternative<run::WriteEvidence>(output)) {
    Trace("coordinator: proof that a member contradicted itself");
    Count("proofs against members");
  } else {
    End(std::get<run::Ended>(output).status);
  }
  return true;
}

bool SeededWorld::Write(const Fact& fact) {
  const std::string_view what = NameOf(fact);
  if (CrashesHere(absl::StrCat("before ", std::string(what)))) {
    KillCoordinator();
    return false;
  }
  Trace(absl::StrCat("coordinator writes: ", std::string(what)));
  if (std::holds_alternative<AttemptFailed>(fact)) Count("attempts that failed");
  invariants_.OnFact(state_, fact);
  ApplyFact(fact, &state_);
  if (CrashesHere(absl::StrCat("after ", std::string(what)))) {
    KillCoordinator();
    return false;
  }
  return true;
}

void SeededWorld::ArmTimer() {
  const absl::Time due = coordinator_->next_deadline();
  if (due >= armed_for_) return;
  armed_for_ = due;
  Post(std::max(due, now_ + kTimerResolution), [this, due, process = coordinators_] {
    if (armed_for_ != due || process != coordinators_) return;
    armed_for_ = absl::InfiniteFuture();
    StepCoordinator(run::Tick{});
  });
}

void SeededWorld::End(const absl::Status& status) {
  Trace(absl::StrCat("the run is over: ", status.ok() ? "all rounds" : status.message()));
  ended_ = status;
  if (faulty_) return;
  for (const Node& node : nodes_) {
    const Link& link = node.link;
    if (link.client && link.server && link.greeted && !link.cut) told_.push_back(&node);
  }
}

}  // namespace dure::world
