// What carries out one attempt at a round for FederationEngine: messages and deadlines in, one sum
// or one reason out. coordinator/round.h is the one of deployments; a simulation may have another
// (simulation/direct_round.h). Not thread-safe: lives on one strand.
#ifndef DURE_COORDINATOR_ROUND_MACHINE_H_
#define DURE_COORDINATOR_ROUND_MACHINE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/mean_update.h"
#include "privacy/secagg/server.h"
#include "proto/wire.pb.h"

namespace dure {

namespace round {

// What happened.
struct MessageReceived {
  secagg::MemberId from;
  secagg::UpMessage message;
  std::optional<secagg::StagedInput> staged = {};  // the input that it refers to
};
// Bytes of a model or of an input have moved since the last time that this was said of the member;
// 0: a transfer begins.
struct Moved {
  secagg::MemberId member;
  uint64_t bytes = 0;
};
struct MemberReturned {  // with what it knew of the attempt when its connection ended
  secagg::MemberId member;
};
struct MemberLost {  // its connection ended, or it declined
  secagg::MemberId member;
};
struct Tick {};
using Input = std::variant<MessageReceived, Moved, MemberLost, MemberReturned, Tick>;

// What to do, in this order.
struct SendTo {
  secagg::MemberId member;
  std::shared_ptr<const ServerMessage> message;
};
struct Rejected {  // a peer's fault; the round goes on
  secagg::MemberId member;
  absl::Status why;
};
struct Late {  // the deadline of a phase has passed without their answers
  std::vector<secagg::MemberId> members;
  std::string_view phase;
};
struct Closed {  // the sums of the survivors' noised inputs, at least one
  std::vector<GroupSum> sums;
  uint32_t survivors = 0;  // in all of them
};
struct Failed {
  std::string reason;
};
using Output = std::variant<SendTo, Rejected, Late, Closed, Failed>;

}  // namespace round

// Of rounds.minimum_rate, in a federation's terms from before there was that key.
inline constexpr uint32_t kDefaultMinimumRate = 4096;

struct RoundOptions {
  secagg::Server::Params session;
  // Travel in the offer, as wire.proto says; or, where they are published, how long they are.
  std::string model, state;
  uint64_t model_bytes = 0, state_bytes = 0;
  absl::Duration deadline;  // of each phase
  // Inputs that are enough: the rest of the cohort is not waited for; 0: everybody is.
  uint32_t target = 0;
  // Bytes a second at which a transfer has to move for its member to be waited for.
  uint32_t minimum_rate = kDefaultMinimumRate;
};

class RoundMachine {
 public:
  virtual ~RoundMachine() = default;

  // After Closed or Failed nothing more happens.
  virtual void Step(absl::Time now, round::Input input, std::vector<round::Output>* out) = 0;
  // The phase under way ends so much later: this process stood still meanwhile.
  virtual void Postpone(absl::Duration by) = 0;
  // When Step(Tick) is due at the latest.
  virtual absl::Time next_deadline() const = 0;

  virtual std::string_view phase() const = 0;
  virtual std::vector<secagg::MemberId> awaited() const = 0;
  // Whether the member's input is in the sum.
  virtual bool HasInput(const secagg::MemberId&) const { return false; }
  // Whether the answer to the offer is awaited from the member: it can still begin.
  virtual bool AwaitsFirstAnswer(const secagg::MemberId&) const { return false; }
  // How many bytes the input of the member has that is awaited now; nothing if none is.
  virtual std::optional<uint64_t> ExpectedInput(const secagg::MemberId&) const {
    return std::nullopt;
  }
  virtual const std::map<secagg::MemberId, std::string>& faults() const = 0;
  // How members have contradicted themselves.
  virtual std::span<const secagg::Evidence> evidence() const = 0;
};

// Begins an attempt, as Round::Start does.
using StartRound = std::function<absl::StatusOr<std::unique_ptr<RoundMachine>>(
    absl::Time now, RoundOptions options, std::vector<round::Output>* out)>;

}  // namespace dure

#endif  // DURE_COORDINATOR_ROUND_MACHINE_H_
