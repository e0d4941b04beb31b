// A federation in one process, without network, trainer process or time: the coordinator's and the
// members' real engines with a queue of messages between them. For tests.
#ifndef DURE_TESTS_SUPPORT_WORLD_H_
#define DURE_TESTS_SUPPORT_WORLD_H_

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "client/engine.h"
#include "coordinator/federation_engine.h"
#include "crypto/x509.h"
#include "federation/model_file.h"
#include "federation/model_parts.h"
#include "federation/spec.h"
#include "gtest/gtest.h"
#include "privacy/secagg/certificate_cache.h"

namespace dure::testing {

// A federation of five members, of whom one may vanish: plain averaging and little noise, so that
// the model can be predicted.
inline std::string SmallFederation(uint32_t rounds = 3,
                                   const std::string& more_privacy = "max_epsilon = 1000") {
  return absl::StrCat(R"([federation]
name = "world"
purpose = "Tests"
license = "Apache-2.0"
address = "localhost:7443"
[model]
architecture = "logistic_regression"
[model.input]
shape = [4]
classes = 2
[rounds]
count = )",
                      rounds, R"(
cohort = 5
minimum = 4
max_attempts = )",
                      rounds + 8, R"(
deadline = "10s"
[local]
mode = "gradient"
sampling_rate = 0.1
[server]
optimizer = "fedavg"
learning_rate = 1.0
[privacy]
unit = "record"
clip_norm = 1.0
noise_multiplier = 0.1
delta = 1e-5
)",
                      more_privacy, R"(
total_records = 5000
max_records_per_member = 1000
[secure_aggregation]
max_corrupt = 0.2
max_dropout = 0.1
[evaluation]
every = 2
)");
}

// What an evaluator's trainer may answer.
inline ModelMetrics SomeMetrics() {
  ModelMetrics metrics;
  metrics.set_loss(1);
  metrics.set_accuracy(0.25);
  metrics.set_records(40);
  return metrics;
}

class World {
 public:
  struct Node {
    std::string name;
    Role role = MEMBER;
    SigningKey key;
    std::string certificate;
    secagg::MemberId id{};
    std::unique_ptr<MemberEngine> engine;
    Ledger ledger;  // what WriteLedger put on disk
    bool connected = false;
    bool silent = false;  // connected, but nothing gets through in either direction
    bool trainer_fails = false;
    int evaluations_that_fail = 0;  // the next so many
    bool slow = false;              // evaluations wait for Measure()
    bool done = false;
    std::string resume;  // what its newest Hello asked to go on with
    std::optional<absl::Status> refused;  // why it left
    const DataSpent* spent = nullptr;     // on its data
    bool charge_missing = false;
    std::vector<audit::Contradiction> evidence;  // against the coordinator
    std::vector<std::string> told;
    std::deque<std::pair<uint64_t, LocalPlan>> training;
    std::map<uint64_t, std::vector<float>> models;  // that its trainer begins with
    std::vector<float> measured;                    // the newest model that it was asked to measure
    Standardisation standards;                      // that its trainer was told last
    LocalState local;                               // what KeepLocalState put on disk
    std::deque<RoundNumber> measuring;
  };

  // A small linear model of 10 parameters; `members` members, then one evaluator.
  World(const std::string& toml, uint32_t members, std::optional<Schema> schema = std::nullopt)
      : clock_(absl::FromUnixSeconds(1'800'000'000)), schema_(std::move(schema)) {
    absl::StatusOr<FederationSpec> spec = ParseFederation(toml, "world.toml");
    EXPECT_TRUE(spec.ok()) << spec.status();
    spec_ = *spec;
    parts_ = *PartsOf(spec_.model());
    dim_ = parts_->travelling().dim();
    Validity validity{clock_.Now() - absl::Hours(1), clock_.Now() + absl::Hours(1000)};
    ca_ = *MakeEnrolmentCa(ca_key_, "world", validity, random_);
    verifier_ = std::make_unique<secagg::CertificateCache>(ca_, &clock_);
    auto issuer = CertificateIssuer::Create(ca_, &ca_key_);
    for (uint32_t i = 0; i <= members; ++i) {
      bool evaluator = i == members;
      Node node{.name = evaluator ? "evaluator" : "m" + std::to_string(i),
                .role = evaluator ? EVALUATOR : MEMBER,
                .key = SigningKey::Generate(random_)};
      node.certificate = *issuer->IssueMember(
          {.role = evaluator ? CertificateRole::kEvaluator : CertificateRole::kMember,
           .name = node.name},
          node.key.public_key(), validity, random_);
      node.id = secagg::MemberIdOf(node.key.public_key());
      nodes_.push_back(std::move(node));
    }
    for (Node& node : nodes_) StartMember(node, PolicyOf(spec_));
    StartCoordinator();
  }

  // A member's process begins, knowing only its ledger.
  void StartMember(Node& node, const Policy& policy) {
    node.engine =
        std::make_unique<MemberEngine>(MemberEngine::Options{.spec = spec_,
                                                             .spec_digest = SpecDigest(spec_),
                                                             .role = node.role,
                                                             .policy = policy,
                                                             .dim = dim_,
                                                             .parts = parts_,
                                                             .schema = schema_,
                                                             .local = node.local,
                                                             .records = kRecords,
                                                             .key = &node.key,
                                                             .certificate = node.certificate,
                                                             .coordinator = key_.public_key(),
                                                             .verifier = verifier_.get(),
                                                             .random = &random_,
                                                             .data = node.spent,
                                                             .charge_missing = node.charge_missing},
                                       node.ledger);
  }

  // The coordinator's process begins, knowing only what was written down.
  void StartCoordinator() {
    messages_.clear();
    for (Node& node : nodes_) {
      if (node.connected) Disconnect(node);
    }
    absl::StatusOr<std::unique_ptr<FederationEngine>> engine =
        FederationEngine::Create({.spec = spec_,
                                  .spec_digest = SpecDigest(spec_),
                                  .initial_model = std::vector<float>(parts_->whole().dim()),
                                  .parts = parts_,
                                  .schema = schema_,
                                  .key = &key_,
                                  .verifier = verifier_.get(),
                                  .random = &random_},
                                 state_);
    ASSERT_TRUE(engine.ok()) << engine.status();
    coordinator_ = *std::move(engine);
    ended_.reset();
  }

  void Connect(Node& node) {
    node.connected = true;
    if (!resumes_) StepCoordinator(run::Arrived{node.id, node.name, node.role});
    StepMember(node, member::Connected{});
    if (resumes_) StepCoordinator(run::Arrived{node.id, node.name, node.role, node.resume});
  }
  void ConnectAll() {
    for (Node& node : nodes_) Connect(node);
  }
  void Disconnect(Node& node, bool lost = true) {
    node.connected = false;
    StepMember(node, member::Disconnected{});
    StepCoordinator(run::Left{.member = node.id, .lost = lost});
  }

  // Delivers until nothing moves; then lets time pass to the next deadline, `ticks` times at most.
  void Run(int ticks = 0) {
    for (;;) {
      while (DeliverOne()) {
      }
      if (ended_ || ticks-- <= 0 || !PassTime()) return;
    }
  }
  // Until that round is released, and not a message further.
  void RunUntilReleased(uint32_t round) {
    while (state_.round < RoundNumber(round) && !ended_) {
      ASSERT_TRUE(DeliverOne() || PassTime()) << "nothing can happen any more";
    }
  }

  // To the coordinator's next deadline; false if there is none.
  bool PassTime() {
    absl::Time due = coordinator_->next_deadline();
    if (due == absl::InfiniteFuture()) return false;
    clock_.Advance(std::max(due - clock_.Now(), absl::Milliseconds(1)));
    StepCoordinator(run::Tick{});
    return true;
  }

  // One message or one piece of training; false if there is none.
  bool DeliverOne() {
    if (!messages_.empty()) {
      std::function<void()> message = std::move(messages_.front());
      messages_.pop_front();
      message();
      return true;
    }
    for (Node& node : nodes_) {
      if (node.training.empty()) continue;
      auto [training, plan] = node.training.front();
      node.training.pop_front();
      absl::StatusOr<LocalUpdate> update = absl::UnavailableError("the trainer was killed");
      if (!node.trainer_fails) {
        update = train_ ? train_(node, node.models[training], plan)
                        : Update(plan, marked_ ? MarkOf(node) : 0);
        if (poison_) poison_(node, &*update);
      }
      StepMember(node, member::TrainingDone{training, std::move(update)});
      return true;
    }
    return false;
  }

  // What every member's data say: C / 2 in one coordinate, for every record of a gradient plan; one
  // half in all, after local training.
  LocalUpdate Update(const LocalPlan& local, size_t coordinate = 0) const {
    const auto* plan = std::get_if<GradientPlan>(&local);
    if (plan == nullptr) {
      std::vector<float> change(dim_);
      change[coordinate] = 0.5f;
      return change;
    }
    std::vector<int64_t> sums(dim_);
    sums[coordinate] = static_cast<int64_t>(plan->records.size()) *
                       static_cast<int64_t>(plan->clip_norm / 2 * std::exp2(16 + plan->scale_log2));
    return sums;
  }

  // The coordinate of a member's data if marked_ is set.
  static size_t MarkOf(const Node& node) { return 1 + static_cast<size_t>(node.name[1] - '0'); }

  void StepCoordinator(run::Input input) {
    std::vector<run::Output> outputs;
    coordinator_->Step(clock_.Now(), std::move(input), &outputs);
    for (run::Output& output : outputs) {
      if (auto* write = std::get_if<run::Write>(&output)) {
        Record(write->fact);
      } else if (auto* send = std::get_if<run::SendTo>(&output)) {
        Node& node = Find(send->member);
        std::shared_ptr<const ServerMessage> message = send->message;
        messages_.push_back([this, &node, message] {
          ServerMessage copy = *message;
          if (tamper_) tamper_(node, &copy);
          if (node.connected && !node.silent) {
            StepMember(node, member::FromCoordinator{std::move(copy)});
          }
        });
      } else if (auto* expel = std::get_if<run::Expel>(&output)) {
        expelled_.push_back(Find(expel->member).name);
        Find(expel->member).connected = false;
      } else if (auto* note = std::get_if<run::Note>(&output)) {
        notes_.push_back(note->text);
      } else if (auto* evidence = std::get_if<run::WriteEvidence>(&output)) {
        evidence_.push_back(std::move(*evidence));
      } else {
        ended_ = std::get<run::Ended>(output).status;
      }
    }
    if (coordinator_->next_deadline() == absl::InfinitePast()) StepCoordinator(run::Tick{});
  }

  void StepMember(Node& node, member::Input input) {
    std::vector<member::Output> outputs;
    node.engine->Step(std::move(input), &outputs);
    for (member::Output& output : outputs) {
      if (auto* write = std::get_if<member::WriteLedger>(&output)) {
        ASSERT_TRUE(node.ledger.Add(write->entry).ok());
      } else if (auto* evidence = std::get_if<member::WriteEvidence>(&output)) {
        node.evidence.push_back(std::move(evidence->contradiction));
      } else if (auto* send = std::get_if<member::Send>(&output)) {
        if (send->message.has_hello()) node.resume = send->message.hello().resume();
        if (watch_) watch_(node, send->message);
        if (spoil_) spoil_(node, &send->message);
        messages_.push_back([this, &node, message = std::move(send->message)] {
          if (node.connected && !node.silent) StepCoordinator(run::Said{node.id, message});
        });
      } else if (auto* train = std::get_if<member::StartTraining>(&output)) {
        node.training.emplace_back(train->training, train->plan);
        node.models[train->training] = std::move(train->params);
        if (!train->standards.empty()) node.standards = train->standards;
      } else if (auto* keep = std::get_if<member::KeepLocalState>(&output)) {
        // As it comes from disk.
        node.local = DecodeLocalState(EncodeLocalState(keep->state, Digest()))->state;
      } else if (auto* evaluate = std::get_if<member::StartEvaluation>(&output)) {
        node.measuring.push_back(evaluate->round);
        node.measured = std::move(evaluate->params);
        if (!evaluate->standards.empty()) node.standards = evaluate->standards;
        if (!node.slow) Measure(node);
      } else if (auto* tell = std::get_if<member::Tell>(&output)) {
        node.told.push_back(tell->text);
      } else if (std::holds_alternative<member::WantIdle>(output)) {
        messages_.push_back([this, &node] { StepMember(node, member::Idle{}); });
      } else if (auto* refused = std::get_if<member::Refused>(&output)) {
        node.refused = std::move(refused->why);
        // After its last words.
        messages_.push_back([this, &node] {
          if (node.connected) Disconnect(node, /*lost=*/false);
        });
      } else {
        node.done = true;
      }
    }
  }

  // The oldest evaluation that the node was asked for.
  void Measure(Node& node) {
    ASSERT_FALSE(node.measuring.empty());
    RoundNumber round = node.measuring.front();
    node.measuring.pop_front();
    absl::StatusOr<ModelMetrics> result = SomeMetrics();
    if (node.evaluations_that_fail > 0) {
      --node.evaluations_that_fail;
      result = absl::UnavailableError("the trainer was killed");
    }
    StepMember(node, member::EvaluationDone{round, std::move(result)});
  }

  Node& Find(const secagg::MemberId& id) {
    for (Node& node : nodes_) {
      if (node.id == id) return node;
    }
    std::abort();
  }

  static constexpr uint32_t kRecords = 1000;

  ManualClock clock_;
  std::optional<Schema> schema_;
  SystemRandom random_;
  FederationSpec spec_;
  std::optional<ModelParts> parts_;
  uint64_t dim_ = 0;  // parameters that travel
  SigningKey ca_key_ = SigningKey::Generate(random_);
  SigningKey key_ = SigningKey::Generate(random_);
  std::string ca_;
  std::unique_ptr<secagg::CertificateCache> verifier_;
  std::deque<Node> nodes_;  // the last is the evaluator
  std::unique_ptr<FederationEngine> coordinator_;
  RunState state_;  // on disk
  std::deque<std::function<void()>> messages_;
  std::function<void(Node&, ServerMessage*)> tamper_;
  std::function<void(Node&, const ClientMessage&)> watch_;
  std::function<void(Node&, ClientMessage*)> spoil_;  // on its way up
  std::function<void(Node&, LocalUpdate*)> poison_;   // what its trainer says
  // In the place of Update: what a trainer makes of this model.
  std::function<LocalUpdate(Node&, const std::vector<float>&, const LocalPlan&)> train_;
  // Whether a member that lost its connection goes on with its attempt; else it begins anew, as if
  // the coordinator did not know the attempt any more.
  bool resumes_ = false;
  bool marked_ = false;  // each member's data speak in a coordinate of its own, MarkOf
  std::vector<std::string> notes_;
  std::vector<run::WriteEvidence> evidence_;  // against members
  std::vector<std::string> expelled_;
  std::optional<absl::Status> ended_;
  uint32_t attempts_failed_ = 0;

 private:
  void Record(const Fact& fact) {
    if (std::holds_alternative<AttemptFailed>(fact)) ++attempts_failed_;
    ApplyFact(fact, &state_);
  }
};

// The newest released model.
inline std::vector<float> Model(const World& world) {
  return *ParamsFromBytes(*world.state_.model, world.dim_);
}

}  // namespace dure::testing

#endif  // DURE_TESTS_SUPPORT_WORLD_H_
