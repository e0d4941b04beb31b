// One attempt at a round, as a state machine without input or output: it drives the secure
// aggregation of one cohort, or the collection of inputs without it, by messages and deadlines and
// ends in one sum or in one reason.
//
// Phases are those of secagg::Server, or one of secagg::PlainServer. A phase closes as soon as
// everybody who is awaited has answered, or at its deadline if enough have. Not thread-safe: lives
// on one strand.
#ifndef DURE_COORDINATOR_ROUND_H_
#define DURE_COORDINATOR_ROUND_H_

#include <cstdint>
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
#include "aggregation/ring_sum.h"
#include "coordinator/round_machine.h"
#include "privacy/secagg/plain.h"
#include "privacy/secagg/server.h"
#include "proto/wire.pb.h"

namespace dure {

class Round final : public RoundMachine {
 public:
  // Makes the offers. InvalidArgument or FailedPrecondition as secagg::Server::Create.
  static absl::StatusOr<std::unique_ptr<Round>> Start(absl::Time now, RoundOptions options,
                                                      std::vector<round::Output>* out);

  void Step(absl::Time now, round::Input input, std::vector<round::Output>* out) override;
  void Postpone(absl::Duration by) override { deadline_ += by; }
  absl::Time next_deadline() const override;
  std::string_view phase() const override;
  std::vector<secagg::MemberId> awaited() const override;
  bool HasInput(const secagg::MemberId& member) const override;
  bool AwaitsFirstAnswer(const secagg::MemberId& member) const override;
  std::optional<uint64_t> ExpectedInput(const secagg::MemberId& member) const override;
  const std::map<secagg::MemberId, std::string>& faults() const override;
  std::span<const secagg::Evidence> evidence() const override;

 private:
  // With secure aggregation, and without.
  using Session = std::variant<secagg::Server, secagg::PlainServer>;

  // A transfer of a member in this phase. While its bytes move at minimum_rate or faster, the
  // member's deadline moves with them; each byte of a slower one is worth 1 / minimum_rate.
  struct Transfer {
    absl::Time moved;       // last
    absl::Duration earned;  // by the bytes so far
  };

  Round(Session session, RingSum nothing, const RoundOptions& options)
      : session_(std::move(session)),
        nothing_(std::move(nothing)),
        phase_deadline_(options.deadline),
        target_(options.target),
        minimum_rate_(options.minimum_rate) {}

  static absl::StatusOr<Session> Create(secagg::Server::Params params);
  absl::StatusOr<std::optional<secagg::AcceptedInput>> Receive(const secagg::MemberId& from,
                                                               secagg::UpMessage message,
                                                               const secagg::StagedInput* staged);

  absl::Status Add(const secagg::AcceptedInput& input);
  void OnMoved(absl::Time now, const round::Moved& moved);
  // Sends the member once more what it has not answered yet.
  void Repeat(const secagg::MemberId& member, std::vector<round::Output>* out);
  absl::Time DeadlineOf(const secagg::MemberId& member) const;
  bool HasEnoughInputs() const;
  void Fail(const absl::Status& why, std::vector<round::Output>* out);
  void AdvanceWhilePossible(absl::Time now, std::vector<round::Output>* out);
  void Finish(std::vector<round::Output>* out);

  Session session_;
  RingSum nothing_;            // no inputs
  std::vector<RingSum> sums_;  // by group; empty before the first input
  std::shared_ptr<const ServerMessage> offer_;
  absl::Duration phase_deadline_;
  uint32_t target_;
  uint32_t minimum_rate_;
  absl::Time deadline_;
  std::map<secagg::MemberId, Transfer> transfers_;  // of this phase
  bool ended_ = false;
};

}  // namespace dure

#endif  // DURE_COORDINATOR_ROUND_H_
