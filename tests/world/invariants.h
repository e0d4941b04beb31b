// What must hold in every world after every step, whatever fails and whoever lies. It sees what is
// on disk, what leaves an engine (before anybody on the way can touch it) and what is recorded
// inside (recorder.h), and remembers the first thing that is wrong. Not thread-safe.
//
//   members (docs/secure-aggregation.md sections 1.2 and 1.5)
//     nothing of an attempt leaves before its charge is on disk, no consent before its entry;
//     one T3 is signed for one T1, ever, and it is the one on disk; no message of a session is ever
//     said in two ways; never both shares of one dealer; the ledger never gets smaller
//   coordinator
//     attempts and rounds count up by one across restarts; no offer before its attempt is on disk;
//     no model and no word of a release before the release is; everybody is told the same
//   result
//     the sum that is opened is the sum of what the survivors gave to their sessions, each once;
//     the model is what the optimiser makes of the released sums, each once
#ifndef DURE_TESTS_WORLD_INVARIANTS_H_
#define DURE_TESTS_WORLD_INVARIANTS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "aggregation/server_optimizer.h"
#include "client/ledger.h"
#include "coordinator/run_state.h"
#include "proto/wire.pb.h"
#include "tests/world/people.h"
#include "tests/world/recorder.h"
#include "tests/world/scenario.h"

namespace dure::world {

class Invariants {
 public:
  explicit Invariants(const Scenario& scenario);

  // The first that was broken.
  const std::optional<std::string>& broken() const { return broken_; }
  // For what only the world knows.
  void Break(std::string what);

  // A member.
  void OnStarts(const Person& member);  // a process without memory
  void OnInputs(const Person& member, std::vector<GivenInput> inputs);
  void OnLedger(const Person& member, const LedgerEntry& entry);  // it is on disk
  void OnSays(const Person& member, const ClientMessage& message);
  void AfterStep(const Person& member, uint32_t charges);  // of its engine

  // The coordinator. `state` is what is on disk before the fact, or when the message leaves.
  void OnSums(std::optional<OpenedSums> sums) { sums_ = std::move(sums); }
  void OnFact(const RunState& state, const Fact& fact);
  void OnTells(const RunState& state, const Person& to, const ServerMessage& message);
  // What it is told, by whoever is at the other end.
  void OnHears(const Person& from, const ClientMessage& message);

 private:
  // What a member did in one session.
  struct Part {
    std::map<int, std::string> said;  // by kind of UpMessage
    std::optional<RingVector> input;
    std::optional<ChargeEntry> charge;
    std::optional<Digest> t3;  // on disk
  };
  struct Memory {
    std::map<secagg::SessionId, Part> parts;
    std::map<Digest, Digest> signed_sets;  // T3 by T1
    std::set<std::string> advertised;      // every nonce and key
    std::set<std::string> answered;        // sessions, by the process that runs
    uint32_t charges = 0;
    AttemptNumber last_attempt;
  };
  // What the coordinator did in the newest session.
  struct Session {
    secagg::SessionId id{};
    AttemptNumber attempt;
    bool over = false;
    std::set<secagg::MemberId> cohort;
    std::map<int, std::string> told;       // by kind of DownMessage, what is the same for everybody
    std::vector<secagg::MemberId> roster;  // by index
    std::string survivors;                 // bitmap
    secagg::RoundConfig config;
    std::map<secagg::MemberId, std::string> plain;  // inputs that were taken
  };

  void Shares(const Person& member, const secagg::UpMessage& message);
  void Consents(const Person& member, const secagg::UpMessage& message);
  void Unmasks(const Person& member, const secagg::UpMessage& message);
  void Offers(const RunState& state, const Person& to, const RoundOffer& offer);
  void TellsSession(const secagg::DownMessage& message);
  void Releases(const RunState& state, const RoundReleased& released);
  std::optional<std::vector<GroupSum>> SumsOfSurvivors() const;
  std::optional<std::vector<GroupSum>> SumOfPlainInputs() const;
  bool SumsAreTrue(const RoundReleased& released);
  const std::string& ModelOf(const RunState& state) const;

  const Scenario& scenario_;
  const std::string initial_model_;  // bytes
  std::optional<std::string> broken_;
  std::map<secagg::MemberId, Memory> members_;
  std::set<secagg::SessionId> sessions_;
  Session session_;
  std::set<AttemptNumber> ended_;
  std::set<secagg::SessionId> released_;  // sessions
  std::optional<OpenedSums> sums_;        // of the step under way
  std::vector<float> model_;              // as it must be
  std::unique_ptr<ServerOptimizer> optimizer_;
};

}  // namespace dure::world

#endif  // DURE_TESTS_WORLD_INVARIANTS_H_
