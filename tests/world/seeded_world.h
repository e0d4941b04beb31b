// A federation in one thread and in time that is made up: the coordinator's and the members' real
// engines, and between them processes that crash, connections that break and people who lie, all as
// one seed says. The same seed gives the same trace, byte for byte. Not thread-safe.
//
// While the faults last nothing is promised but the invariants (invariants.h). Then they heal, and
// the run must come to its end: all rounds, or all attempts.
#ifndef DURE_TESTS_WORLD_SEEDED_WORLD_H_
#define DURE_TESTS_WORLD_SEEDED_WORLD_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/engine.h"
#include "coordinator/federation_engine.h"
#include "tests/world/dice.h"
#include "tests/world/forger.h"
#include "tests/world/invariants.h"
#include "tests/world/people.h"
#include "tests/world/scenario.h"

namespace dure::world {

// What happened how often, by name.
using Counts = std::map<std::string, uint64_t, std::less<>>;

struct Outcome {
  std::optional<std::string> broken;  // the invariant, and how
  uint64_t steps = 0;
  Digest trace{};  // of everything that happened, in order
  Counts counts;
};

class SeededWorld {
 public:
  // `tell` gets each line of the trace, if there is one.
  using Tell = std::function<void(std::string_view)>;

  explicit SeededWorld(Scenario scenario, Tell tell = nullptr);

  // To the end of the run, or to the first invariant that is broken. Once.
  Outcome Run();

 private:
  // One connection, as both ends see it.
  struct Link {
    uint64_t number = 0;
    bool client = false;                   // the member's end is open
    bool server = false;                   // the coordinator's end is
    bool greeted = false;                  // its Hello has come
    bool cut = false;                      // nothing passes any more
    absl::Time up = absl::InfinitePast();  // when the newest message arrives
    absl::Time down = absl::InfinitePast();
  };
  using Action = std::function<void()>;
  // A member or an evaluator, on its machine.
  struct Node {
    const Person* person = nullptr;
    bool honest = true;
    uint32_t process = 0;  // so many have run
    std::unique_ptr<AesCtrRandom> random;
    std::unique_ptr<MemberEngine> engine;  // absent: no process
    Ledger ledger;                         // on disk
    bool done = false;                     // it was told that the run is over
    bool gone = false;                     // it refused, or was turned away for good
    bool charge_missing = false;
    Link link;
    absl::Time held_until = absl::InfinitePast();  // nothing arrives before
    std::vector<Action> held;                      // what then does, in this order
  };

  void Post(absl::Time at, Action action) { queue_[{at, ++posted_}] = std::move(action); }
  void After(absl::Duration wait, Action action) { Post(now_ + wait, std::move(action)); }
  void Trace(std::string_view line);
  void Count(std::string_view what) { ++outcome_.counts[std::string(what)]; }
  bool Happens(double probability) { return faulty_ && dice_.Chance(probability); }
  void CheckPatience();
  void CheckTheEnd();

  // Members: seeded_world_member.cc.
  void StartMember(Node& node);
  void KillMember(Node& node);
  void StepMember(Node& node, member::Input input);
  bool Handle(Node& node, member::Output output);
  bool Write(Node& node, const member::WriteLedger& write);
  void Train(Node& node, const member::StartTraining& training);
  void Evaluate(Node& node, RoundNumber round);
  LocalUpdate UpdateOf(const Node& node, uint64_t training, const LocalPlan& plan) const;
  void Leave(Node& node);

  // The coordinator: seeded_world_coordinator.cc.
  void StartCoordinator();
  void KillCoordinator();
  void StepCoordinator(run::Input input);
  bool Handle(const run::Output& output);
  bool Write(const Fact& fact);
  void ArmTimer();
  void End(const absl::Status& status);

  // The network: seeded_world_network.cc.
  void Dial(Node& node);
  void DialSoon(Node& node);
  void Break(Node& node);
  void ClientCloses(Node& node, uint64_t number, const absl::Status& status);
  void ServerCloses(Node& node, uint64_t number, bool lost);
  void TurnAway(Node& node, const absl::Status& status);
  void SendUp(Node& node, const ClientMessage& message);
  void SendDown(Node& node, const ServerMessage& message);
  void Arrive(Node& node, uint64_t number, const ClientMessage& message);
  void Arrive(Node& node, uint64_t number, const ServerMessage& message);
  absl::Duration Latency();
  template <typename Message>
  void Carry(Node& node, absl::Time* newest, Message message);

  // What goes wrong: seeded_world_faults.cc.
  void Misfortunes();
  void Partition();
  void Release(Node& node);
  void StopAndStart();
  void Pause();
  bool CrashesHere(std::string_view where);
  void Heal();

  const Scenario scenario_;
  const Tell tell_;
  Dice dice_;
  Forger forger_;
  Invariants invariants_;
  Outcome outcome_;
  Digest trace_{};
  absl::Time now_;
  absl::Time healed_ = absl::InfiniteFuture();
  std::map<std::pair<absl::Time, uint64_t>, Action> queue_;
  uint64_t posted_ = 0;
  bool faulty_ = true;
  bool interfered_ = false;                // somebody touched what members say
  std::map<std::string, uint32_t> times_;  // so far, next to each kind of write
  uint32_t most_attempts_ = std::numeric_limits<uint32_t>::max();

  std::deque<Node> nodes_;
  std::map<secagg::MemberId, Node*> by_id_;
  uint64_t links_ = 0;

  uint32_t coordinators_ = 0;  // processes so far
  std::unique_ptr<AesCtrRandom> coordinator_random_;
  std::unique_ptr<FederationEngine> coordinator_;  // absent: no process
  RunState state_;                                 // on disk
  bool paused_ = false;                            // on disk
  absl::Time armed_for_ = absl::InfiniteFuture();
  std::optional<absl::Status> ended_;
  std::vector<const Node*> told_;  // that it has ended, and nothing keeps the news from them
};

}  // namespace dure::world

#endif  // DURE_TESTS_WORLD_SEEDED_WORLD_H_
