// spec + dimension + members -> what a round means, derived in this one place by `dure check`, the
// coordinator and every client (docs/secure-aggregation.md sections 1.3, 2.2, 2.4).
// Thread-safe: pure functions.
#ifndef DURE_FEDERATION_TERMS_TERMS_H_
#define DURE_FEDERATION_TERMS_TERMS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "proto/federation.pb.h"

namespace dure {

// Terms of one attempt in mode "gradient".
struct RoundTerms {
  // Who takes part.
  uint32_t invited = 0;      // n_invited
  uint32_t minimum = 0;      // n_min and U_min of the federation file
  uint32_t max_corrupt = 0;  // c_max
  uint32_t neighbours = 0;   // k
  uint32_t threshold = 0;    // t
  uint32_t quorum = 0;       // Q
  uint32_t sum_minimum = 0;  // U_min' = max(U_min, Q, t + 1, c_max + 2)
  uint32_t may_vanish = 0;   // invited - sum_minimum

  // What a member sends.
  uint64_t dim = 0;            // d
  double clip_norm = 0;        // C
  uint64_t scale = 0;          // s, a power of two
  uint64_t norm_bound_sq = 0;  // B^2 = ceil((s C + sqrt d)^2)
  uint64_t sigma2_local = 0;   // variance parameter of each member's discrete Gaussian; 0: none
  uint32_t batch_cap = 0;      // m: at or above it a member sends noise alone
  uint32_t bits = 0;           // b of the ring Z_{2^b}
  uint64_t upload_bytes = 0;   // ceil(d b / 8)

  // What it costs.
  double sampling_rate = 0;
  double noise_multiplier = 0;  // z, in the sum of the honest survivors
  double delta = 0;
  uint32_t honest_survivors = 0;  // h = U_min' - c_max
  double expected_batch = 0;      // q N, the public divisor of the sum
  uint32_t max_attempts = 0;
};

// FailedPrecondition, with the numbers and the remedy, if no such round can work: fewer than 3
// members, minimum above the cohort, a threshold that cannot be met, a sum that does not fit 62
// bits.
// A noise multiplier of 0, which no federation file can have, gives a round without noise, for
// measurements: its epsilon is infinite, so only a member whose own limit is infinite takes part.
absl::StatusOr<RoundTerms> DeriveTerms(const FederationSpec& spec, uint64_t dim, uint32_t invited);

// epsilon per record after `attempts` attempts, at the federation's delta less
// attempts * 2^-40 for the batch cap. 0 for 0 attempts.
double EpsilonAfter(const RoundTerms& terms, uint32_t attempts);

// The most attempts, at most terms.max_attempts, after which epsilon is at most `max_epsilon`.
uint32_t AttemptsWithin(const RoundTerms& terms, double max_epsilon);

// epsilon for people: two decimals, rounded up, so that nothing smaller than the truth is claimed.
std::string EpsilonText(double epsilon);

// One sentence on what epsilon and delta mean, for people.
std::string EpsilonInWords(double epsilon, double delta);

}  // namespace dure

#endif  // DURE_FEDERATION_TERMS_TERMS_H_
