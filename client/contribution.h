// What a member puts into one attempt: the plan for its trainer, the noise, drawn before the data
// is touched, and the integers of the ring that the session masks (docs/secure-aggregation.md
// sections 2.1 and 2.4, docs/privacy.md). Not thread-safe.
#ifndef DURE_CLIENT_CONTRIBUTION_H_
#define DURE_CLIENT_CONTRIBUTION_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/ring.h"
#include "client/member_control.h"
#include "crypto/random.h"
#include "federation/terms/terms.h"
#include "learner/trainer.h"
#include "privacy/dp/client_update.h"
#include "proto/federation.pb.h"
#include "proto/secagg.pb.h"

namespace dure {

// Noise for one message, as words mod 2^32. Used once, whatever becomes of the attempt.
class NoiseReserve {
 public:
  NoiseReserve() = default;
  NoiseReserve(NoiseReserve&&) = default;
  NoiseReserve& operator=(NoiseReserve&&) = default;
  ~NoiseReserve() { Drop(); }

  // Draws what `terms` need, unless that is here.
  void PrepareFor(const RoundTerms& terms, AesCtrRandom& random);
  // Draws again what the last PrepareFor was for, if it was used.
  void Refill(AesCtrRandom& random);
  // Hands the noise out: zeros where the terms have none and something is added to it, nothing where
  // nothing is. Precondition (DURE_CHECK): PrepareFor(terms) came before.
  std::vector<uint32_t> Take(const RoundTerms& terms);
  // Wipes it.
  void Drop();

 private:
  uint64_t sigma2_ = 0;
  uint64_t coordinates_ = 0;
  std::vector<uint32_t> words_;
};

class Contribution {
 public:
  // `terms` of DeriveTerms(spec, ...); `config` of the attempt, for its round and rotation seed;
  // `records` in this member's data.
  static absl::StatusOr<Contribution> Create(const FederationSpec& spec, const RoundTerms& terms,
                                             const secagg::RoundConfig& config, uint32_t records);

  // With control variates, before MakePlan: the server's, and this member's own.
  void UseControl(std::vector<float> server, std::vector<float> own) {
    control_.emplace(std::move(server), std::move(own));
  }
  // On how many threads Encode works; 0, as it is at first: as many as the machine has.
  void UseThreads(int threads) { threads_ = threads; }
  // For an attempt that is no training, before MakePlan: what the trainer is asked for.
  void UseSums(LocalPlan plan) { sums_plan_ = std::move(plan); }
  // What this member's own becomes if the input that Encode made is in a sum that is released. As
  // it was before, without Encode; empty without control variates.
  std::vector<float> control() const { return control_ ? control_->own() : std::vector<float>(); }

  // Draws the secret coins.
  LocalPlan MakePlan(AesCtrRandom& random) const;

  // `update` as the plan gave it, with `noise`. FailedPrecondition for an update that is not
  // finite where no noise protects (unit none): the member leaves the attempt.
  absl::StatusOr<RingVector> Encode(LocalUpdate update, std::vector<uint32_t> noise,
                                    AesCtrRandom& random);

  // What a member sends whose training failed, if leaving would tell something of its data: the
  // same as from no records at all. Nothing with unit none.
  std::optional<RingVector> EncodeNothing(std::vector<uint32_t> noise, AesCtrRandom& random);

  // Coordinates of the last update that the fixed grid cut off.
  uint64_t cut_off() const { return cut_off_; }

 private:
  Contribution(const LocalSection& local, const RoundTerms& terms, uint32_t records)
      : local_(local), terms_(terms), records_(records) {}

  absl::StatusOr<RingVector> FromRecords(std::vector<int64_t> sums, std::vector<uint32_t> noise,
                                         AesCtrRandom& random) const;
  RingVector FromSums(std::vector<int64_t> sums, std::vector<uint32_t> noise,
                      AesCtrRandom& random) const;
  absl::StatusOr<RingVector> OnFixedGrid(std::span<const float> update, AesCtrRandom& random);
  uint64_t weight() const;

  LocalSection local_;
  double learning_rate_ = 0;  // of the round, by the schedule
  RoundTerms terms_;
  uint32_t records_;
  int threads_ = 0;
  std::optional<LocalPlan> sums_plan_;              // of an attempt that is no training
  std::optional<MemberControl> control_;            // with control variates
  std::optional<dp::ClientUpdateEncoder> encoder_;  // of unit client
  uint64_t cut_off_ = 0;
};

}  // namespace dure

#endif  // DURE_CLIENT_CONTRIBUTION_H_
