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
  absl::Time next_deadline() const override { return deadline_; }
  std::string_view phase() const override;
  std::vector<secagg::MemberId> awaited() const override;
  const std::map<secagg::MemberId, std::string>& faults() const override;
  std::span<const secagg::Evidence> evidence() const override;

 private:
  // With secure aggregation, and without.
  using Session = std::variant<secagg::Server, secagg::PlainServer>;

  Round(Session session, RingSum nothing, absl::Duration phase_deadline)
      : session_(std::move(session)),
        nothing_(std::move(nothing)),
        phase_deadline_(phase_deadline) {}

  static absl::StatusOr<Session> Create(secagg::Server::Params params);
  absl::StatusOr<std::optional<secagg::AcceptedInput>> Receive(const secagg::MemberId& from,
                                                               secagg::UpMessage message);

  void Add(const secagg::AcceptedInput& input);
  void AdvanceWhilePossible(absl::Time now, std::vector<round::Output>* out);
  void Finish(std::vector<round::Output>* out);

  Session session_;
  RingSum nothing_;            // no inputs
  std::vector<RingSum> sums_;  // by group; empty before the first input
  absl::Duration phase_deadline_;
  absl::Time deadline_;
  bool ended_ = false;
};

}  // namespace dure

#endif  // DURE_COORDINATOR_ROUND_H_
