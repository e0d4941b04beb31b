// The members' machines of a SeededWorld: what client/service/client_service.cc does, one step at a
// time, and a process that may die at each write.
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "client/policy.h"
#include "tests/world/seeded_world.h"

namespace dure::world {
namespace {

constexpr uint32_t kRecords = 1000;  // of every member

}  // namespace

void SeededWorld::StartMember(Node& node) {
  if (node.engine || node.done || ended_) return;
  const Person& person = *node.person;
  node.gone = false;
  node.random = std::make_unique<AesCtrRandom>(StreamOf(scenario_.seed, person.name, node.process));
  ++node.process;
  Trace(absl::StrCat(person.name, " starts with ", node.ledger.charges(), " charges"));
  node.engine = std::make_unique<MemberEngine>(
      MemberEngine::Options{.spec = scenario_.spec,
                            .spec_digest = scenario_.spec_digest,
                            .role = person.role,
                            .policy = PolicyOf(scenario_.spec),
                            .dim = scenario_.dim,
                            .records = kRecords,
                            .key = &person.key,
                            .certificate = person.certificate,
                            .coordinator = People::Get().coordinator().public_key(),
                            .verifier = People::Get().verifier(),
                            .random = node.random.get(),
                            .charge_missing = node.charge_missing},
      node.ledger);
  invariants_.OnStarts(person);
  invariants_.AfterStep(person, node.engine->charges());
  Dial(node);
}

// Its memory is gone. What it has sent may still arrive.
void SeededWorld::KillMember(Node& node) {
  if (!node.engine) return;
  Trace(absl::StrCat(node.person->name, " dies"));
  node.engine.reset();
  if (node.link.client) {
    node.link.client = false;
    After(dice_.Between(absl::ZeroDuration(), absl::Seconds(1)),
          [this, &node, number = node.link.number] { ServerCloses(node, number, /*lost=*/true); });
  }
  After(dice_.Between(absl::Milliseconds(100), absl::Seconds(5)), [this, &node] {
    if (!node.gone) StartMember(node);
  });
}

void SeededWorld::StepMember(Node& node, member::Input input) {
  if (!node.engine || node.done || node.gone) return;
  std::vector<member::Output> outputs;
  node.engine->Step(std::move(input), &outputs);
  invariants_.OnInputs(*node.person, Recorder::Get().TakeInputs());
  for (member::Output& output : outputs) {
    if (!Handle(node, std::move(output))) return;
  }
  invariants_.AfterStep(*node.person, node.engine->charges());
}

// False if nothing that follows may be done.
bool SeededWorld::Handle(Node& node, member::Output output) {
  const std::string& name = node.person->name;
  if (const auto* write = std::get_if<member::WriteLedger>(&output)) return Write(node, *write);
  if (const auto* send = std::get_if<member::Send>(&output)) {
    invariants_.OnSays(*node.person, send->message);
    SendUp(node, send->message);
  } else if (const auto* train = std::get_if<member::StartTraining>(&output)) {
    Train(node, *train);
  } else if (const auto* evaluate = std::get_if<member::StartEvaluation>(&output)) {
    Evaluate(node, evaluate->round);
  } else if (const auto* tell = std::get_if<member::Tell>(&output)) {
    Trace(absl::StrCat(name, ": ", tell->text));
  } else if (std::holds_alternative<member::WantIdle>(output)) {
    After(absl::Microseconds(50), [this, &node, process = node.process] {
      if (node.process == process) StepMember(node, member::Idle{});
    });
  } else if (std::holds_alternative<member::WriteEvidence>(output)) {
    Trace(absl::StrCat(name, ": proof that the coordinator contradicted itself"));
    if (!scenario_.hostile) invariants_.Break(absl::StrCat(name, " accuses an honest coordinator"));
    Count("proofs against the coordinator");
  } else if (std::holds_alternative<member::Done>(output)) {
    Trace(absl::StrCat(name, " is done"));
    node.done = true;
    Leave(node);
    return false;
  } else {
    const auto* refused = std::get_if<member::Refused>(&output);
    Trace(absl::StrCat(name, " leaves: ", refused ? refused->why.message() : "other terms"));
    if (!scenario_.hostile && scenario_.faults.budget_is_spent == 0) {
      invariants_.Break(absl::StrCat(name, " refuses an honest coordinator: ",
                                     refused ? refused->why.message() : "other terms"));
    }
    Count("members that refused");
    node.gone = true;
    Leave(node);
    // Sooner or later somebody starts it again.
    if (dice_.Chance(0.5)) {
      After(dice_.Between(absl::Seconds(1), absl::Seconds(20)),
            [this, &node] { StartMember(node); });
    }
    return false;
  }
  return true;
}

bool SeededWorld::Write(Node& node, const member::WriteLedger& write) {
  const bool charge = std::holds_alternative<ChargeEntry>(write.entry);
  const std::string what(kWrites[charge ? 0 : 1]);
  if (CrashesHere(absl::StrCat("before ", what))) {
    KillMember(node);
    return false;
  }
  if (charge && Happens(scenario_.faults.budget_is_spent)) {
    Count("budgets that others had spent");
    // Its engine counts what was not written, and takes no further part.
    StepMember(node, member::BudgetSpent{});
    return false;
  }
  if (absl::Status status = node.ledger.Add(write.entry); !status.ok()) {
    invariants_.Break(absl::StrCat(node.person->name, " writes ", what,
                                   " that contradicts its ledger: ", status.message()));
    return false;
  }
  Trace(absl::StrCat(node.person->name, " writes ", what));
  invariants_.OnLedger(*node.person, write.entry);
  if (const auto* entry = std::get_if<ChargeEntry>(&write.entry)) {
    forger_.Learn(*node.person, ToString(entry->session_id), entry->t1);
  }
  if (CrashesHere(absl::StrCat("after ", what))) {
    KillMember(node);
    return false;
  }
  return true;
}

// What the data of a member say: anything, within what a trainer may send.
LocalUpdate SeededWorld::UpdateOf(const Node& node, uint64_t training,
                                  const LocalPlan& local) const {
  Dice data(scenario_.seed,
            absl::StrCat("data of ", node.person->name, " ", node.process, " ", training));
  const auto* plan = std::get_if<GradientPlan>(&local);
  if (plan == nullptr) {
    std::vector<float> change(scenario_.dim);
    for (float& x : change) x = static_cast<float>(data.Below(2001)) / 2000.0f - 0.5f;
    return change;
  }
  std::vector<int64_t> sums(scenario_.dim);
  const double most = static_cast<double>(plan->records.size()) * plan->clip_norm / 4 *
                      std::exp2(16 + plan->scale_log2);
  const auto range = static_cast<uint64_t>(most);
  for (int64_t& sum : sums) {
    sum = static_cast<int64_t>(data.Below(2 * range + 1)) - static_cast<int64_t>(range);
  }
  return sums;
}

void SeededWorld::Train(Node& node, const member::StartTraining& training) {
  absl::Duration takes = dice_.Between(absl::Milliseconds(1), absl::Milliseconds(200));
  if (Happens(scenario_.faults.trainer_is_slow)) {
    takes = dice_.Between(absl::Seconds(8), absl::Seconds(25));
  }
  absl::StatusOr<LocalUpdate> update = absl::UnavailableError("the trainer was killed");
  if (Happens(scenario_.faults.trainer_fails)) {
    Count("trainings that failed");
  } else {
    update = UpdateOf(node, training.training, training.plan);
  }
  After(takes, [this, &node, process = node.process,
                done = member::TrainingDone{training.training, std::move(update)}] {
    if (node.process == process) StepMember(node, done);
  });
}

void SeededWorld::Evaluate(Node& node, RoundNumber round) {
  ModelMetrics metrics;
  metrics.set_loss(1);
  metrics.set_accuracy(0.25);
  metrics.set_records(40);
  absl::StatusOr<ModelMetrics> result = std::move(metrics);
  if (Happens(scenario_.faults.trainer_fails)) result = absl::UnavailableError("it was killed");
  After(dice_.Between(absl::Milliseconds(1), absl::Milliseconds(500)),
        [this, &node, process = node.process,
         done = member::EvaluationDone{round, std::move(result)}] {
          if (node.process == process) StepMember(node, done);
        });
}

// The process ends by itself, after its last words.
void SeededWorld::Leave(Node& node) {
  After(absl::ZeroDuration(), [this, &node, process = node.process] {
    if (node.process == process) node.engine.reset();
  });
  if (!node.link.client) return;
  node.link.client = false;
  Post(std::max(node.link.up, now_), [this, &node, number = node.link.number] {
    After(Latency(), [this, &node, number] { ServerCloses(node, number, /*lost=*/false); });
  });
}

}  // namespace dure::world
