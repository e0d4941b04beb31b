// Sessions without secure aggregation: the same Offer, then one input a member that the coordinator
// can read. For federations that trust their coordinator, and say so in their file
// ([secure_aggregation] enabled = false). The connection authenticates the member.
// Not thread-safe: lives on one strand.
#ifndef DURE_PRIVACY_SECAGG_PLAIN_H_
#define DURE_PRIVACY_SECAGG_PLAIN_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ring.h"
#include "crypto/ed25519.h"
#include "privacy/secagg/server.h"
#include "proto/secagg.pb.h"

namespace dure::secagg {

// What both sides check first: as ValidateConfig, but the graph rule is kGraphRuleNone and there
// are no thresholds. InvalidArgument, naming the field, the value and the limit.
absl::Status ValidatePlainConfig(const RoundConfig& config);

// The coordinator's half: collects inputs until everybody has answered, or at a deadline if enough
// have. Its calls are those of Server, so that a round can be driven with either.
class PlainServer {
 public:
  // InvalidArgument from ValidatePlainConfig, or if the cohort is not config.invited distinct
  // members.
  static absl::StatusOr<PlainServer> Create(Server::Params params);

  const Offer& offer() const { return offer_; }

  // As Server::Receive. NotFound, InvalidArgument, FailedPrecondition (finished): nothing changes.
  // PermissionDenied: a second, different input; the member is then in faults(), its first input
  // stays in the sum.
  absl::StatusOr<std::optional<AcceptedInput>> Receive(const MemberId& sender, UpMessage message,
                                                       const StagedInput* staged = nullptr);
  // As Server::ExpectedInput.
  std::optional<uint64_t> ExpectedInput(const MemberId& member) const;
  bool HasInput(const MemberId& member) const {
    const auto found = members_.find(member);
    return found != members_.end() && found->second.input.has_value();
  }
  void Drop(const MemberId& member);
  std::vector<MemberId> Awaited() const;

  // Ends the collection. Aborted, with the numbers, if fewer than config.minimum_sum inputs came.
  absl::Status Advance(Send send);
  bool finished() const { return finished_; }
  std::string_view phase_name() const { return finished_ ? "finished" : "inputs"; }

  // There are none: `sum` stays as it is.
  absl::Status RemoveMasks(RingVector*) const { return absl::OkStatus(); }
  // How many inputs are in the sum.
  uint32_t summed() const { return inputs_; }
  // Whose input was accepted.
  std::vector<MemberId> dealt() const;
  const std::map<MemberId, std::string>& faults() const { return faults_; }

 private:
  struct Member {
    bool lost = false;
    std::optional<Digest> input;  // its hash
  };

  explicit PlainServer(const Server::Params& params);

  SessionId session_id_;
  RoundConfig config_;
  Offer offer_;
  std::map<MemberId, Member> members_;
  std::map<MemberId, std::string> faults_;
  uint32_t inputs_ = 0;
  bool finished_ = false;
};

// The member's half: one offer, one input.
class PlainClient {
 public:
  explicit PlainClient(const PublicKey& coordinator) : coordinator_(coordinator) {}

  // As Client::StartFromOffer, without an answer.
  absl::Status StartFromOffer(const Offer& offer);
  // The message to send. InvalidArgument unless it has config.dim elements of config.bits;
  // FailedPrecondition before the offer, for a second input, and when the session has ended.
  absl::StatusOr<UpMessage> SetInput(const RingVector& input);
  void End(absl::Status why) { ended_ = std::move(why); }

  const absl::Status& ended() const { return ended_; }
  const SessionId& session_id() const { return session_id_; }
  const Digest& config_hash() const { return config_hash_; }

 private:
  PublicKey coordinator_;
  SessionId session_id_ = {};
  Digest config_hash_ = {};
  RoundConfig config_;
  bool started_ = false;
  absl::Status ended_;
};

}  // namespace dure::secagg

#endif  // DURE_PRIVACY_SECAGG_PLAIN_H_
