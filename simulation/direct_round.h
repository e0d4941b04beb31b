// An attempt whose sums are made where its members are simulated, without a message: the short way
// of `--secure-aggregation simulate`. Masks would cancel, so the sums are those of the protocol.
// Whoever simulates says how it ended; FederationEngine hears it at the next Tick. Not thread-safe.
#ifndef DURE_SIMULATION_DIRECT_ROUND_H_
#define DURE_SIMULATION_DIRECT_ROUND_H_

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "coordinator/round_machine.h"

namespace dure::simulation {

class DirectRound final : public RoundMachine {
 public:
  // round::Closed or round::Failed, due at `at`.
  void End(absl::Time at, round::Output end) {
    due_ = at;
    end_ = std::move(end);
  }

  void Step(absl::Time now, round::Input, std::vector<round::Output>* out) override {
    if (!end_ || now < due_) return;
    out->push_back(*std::exchange(end_, std::nullopt));
  }
  void Postpone(absl::Duration by) override { due_ += by; }
  absl::Time next_deadline() const override { return due_; }
  std::string_view phase() const override { return "training"; }
  std::vector<secagg::MemberId> awaited() const override { return {}; }
  const std::map<secagg::MemberId, std::string>& faults() const override { return nobody_; }
  std::span<const secagg::Evidence> evidence() const override { return {}; }

 private:
  absl::Time due_ = absl::InfiniteFuture();
  std::optional<round::Output> end_;
  std::map<secagg::MemberId, std::string> nobody_;
};

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_DIRECT_ROUND_H_
