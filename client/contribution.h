// What a member puts into one attempt: the plan for its trainer, the noise, drawn before the data
// is touched, and the integers of the ring that the session masks (docs/secure-aggregation.md
// sections 2.1 and 2.4, docs/privacy.md). Not thread-safe.
#ifndef DURE_CLIENT_CONTRIBUTION_H_
#define DURE_CLIENT_CONTRIBUTION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/ring.h"
#include "crypto/random.h"
#include "federation/terms/terms.h"
#include "learner/trainer.h"
#include "privacy/dp/client_update.h"
#include "proto/federation.pb.h"

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
  // Hands the noise out. Precondition (DURE_CHECK): PrepareFor(terms) came before.
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
  // `terms` of DeriveTerms(spec, ...); `rotation_seed` of the RoundConfig; `records` in this
  // member's data.
  static absl::StatusOr<Contribution> Create(const FederationSpec& spec, const RoundTerms& terms,
                                             const std::string& rotation_seed, uint32_t records);

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

  RingVector FromSums(std::vector<int64_t> sums, std::vector<uint32_t> noise,
                      AesCtrRandom& random) const;
  absl::StatusOr<RingVector> OnFixedGrid(std::span<const float> update);
  uint64_t weight() const;

  LocalSection local_;
  RoundTerms terms_;
  uint32_t records_;
  std::optional<dp::ClientUpdateEncoder> encoder_;  // of unit client
  uint64_t cut_off_ = 0;
};

}  // namespace dure

#endif  // DURE_CLIENT_CONTRIBUTION_H_
