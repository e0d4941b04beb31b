// spec + dimension + members -> what a round means, derived in this one place by `dure check`, the
// coordinator and every client (docs/secure-aggregation.md sections 1.3, 2.2, 2.4).
// Thread-safe: pure functions.
#ifndef DURE_FEDERATION_TERMS_TERMS_H_
#define DURE_FEDERATION_TERMS_TERMS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "aggregation/robust_rule.h"
#include "privacy/dp/adaptive_clip.h"
#include "privacy/dp/attempt_cost.h"
#include "proto/federation.pb.h"

namespace dure {

// R of unit none and mode dp_sgd: no coordinate of an update counts for more. What is cut off is
// counted and told to the member.
inline constexpr uint64_t kFixedGridRange = 8;

// What the inputs of an attempt are.
enum class SumsKind {
  kTraining,    // updates of the model
  kStatistics,  // sums over the columns of members' tables
  kEvaluation,  // sums of what a model does on members' held-out records
};

// Terms of one attempt.
struct RoundTerms {
  SumsKind sums = SumsKind::kTraining;  // other kinds: federation/terms/sums_terms.h
  // What is protected, how members compute, and whom they trust.
  PrivacySection::Unit unit = PrivacySection::RECORD;
  LocalSection::Mode mode = LocalSection::GRADIENT;
  bool secure_aggregation = true;  // false: the coordinator sees what every member sends
  bool weighted = false;           // by records, of which at most weight_max count
  bool adaptive_clipping = false;  // one coordinate more counts who was clipped
  bool rotation = false;

  // Who takes part.
  uint32_t invited = 0;      // n_invited
  uint32_t minimum = 0;      // n_min and U_min of the federation file
  uint32_t max_corrupt = 0;  // c_max; without secure aggregation this and the next three are 0
  uint32_t neighbours = 0;   // k
  uint32_t threshold = 0;    // t
  uint32_t quorum = 0;       // Q
  // U_min' = max(U_min, Q, t + 1, c_max + 2), the fewest inputs of any sum that is opened; without
  // secure aggregation U_min.
  uint32_t sum_minimum = 0;
  uint32_t may_vanish = 0;  // before an attempt fails, or, of a group, before it is left out
  std::string graph_rule;   // of the RoundConfig

  // Groups, each with a sum of its own; one without a robust rule. The numbers of a sum above are
  // then those of the group that bears least.
  SecureAggregationSection::Robust robust = SecureAggregationSection::OFF;
  uint32_t group_size = 0;       // asked for; 0 without groups
  uint32_t groups = 1;           // of a full cohort
  uint32_t largest_sum = 0;      // most members in one sum: invited without groups
  uint32_t corrupt_in_sum = 0;   // most corrupt members in one sum: max_corrupt without groups
  uint32_t poisoned_groups = 0;  // borne by the rule in a full cohort
  RobustParams robust_params;

  // What the RoundConfig says. Without groups both are sum_minimum: the noise is calibrated on it.
  uint32_t roster_minimum = 0;  // n_min
  uint32_t sum_asked = 0;       // U_min

  // What a member receives: `dim` parameters, and with control variates as many numbers more.
  CommunicationSection::Download download = CommunicationSection::FP32;
  uint64_t download_bytes = 0;  // of both

  // What a member sends.
  uint64_t dim = 0;  // parameters that travel
  // Whether the change of the member's control variate goes with that of the model (SCAFFOLD):
  // behind it, times control_scale, a power of two.
  bool control_variates = false;
  double control_scale = 1;
  uint64_t update_dim = 0;   // of what is clipped and rounded: dim, or twice that
  uint32_t number_bits = 0;  // chosen width of its numbers; 0: automatic
  uint64_t coordinates = 0;  // d of a message: dim, padding and extra coordinates included
  double clip_norm = 0;      // C; 0 with unit none
  double encoded_norm = 0;   // bound on the norm of what is encoded: C, and the count's coordinate
  uint64_t scale = 0;        // s, a power of two
  uint64_t norm_bound_sq = 0;  // B^2, on the grid of the noise; 0 with unit none
  uint64_t sigma2_local = 0;   // variance parameter of the noise in each member's message; 0: none
  uint64_t sigma2_step = 0;    // of the noise in each local step of dp_sgd, on the grid scale_step
  uint64_t scale_step = 0;
  uint64_t sigma2_central = 0;  // of the noise that a trusted coordinator adds to the opened sum
  uint32_t batch_cap = 0;       // m: at or above it a member sends noise alone; 0: no cap
  uint32_t bits = 0;            // b of the ring Z_{2^b}
  uint64_t upload_bytes = 0;    // ceil(d b / 8)

  // How the sum becomes a mean.
  double expected_batch = 0;    // q N of mode gradient, the public divisor of the sum; else 0
  uint64_t weight_max = 0;      // of weighted members; else 0
  uint64_t weight_mean = 0;     // public; 0: the true weights are in the sum
  double count_coordinate = 0;  // kappa of adaptive clipping: what a member adds to the count

  // What it costs.
  double sampling_rate = 1;     // q
  uint32_t steps = 1;           // of the mechanism in one attempt
  double noise_multiplier = 0;  // z, in the sum of the honest survivors; in a member's own step
  double delta = 0;
  double delta_per_attempt = 0;   // what each attempt takes off delta: caps, a graph
  uint32_t honest_survivors = 0;  // h = U_min' - c_max; 1 if one party adds all the noise
  uint32_t max_attempts = 0;
};

// FailedPrecondition, with the numbers and the remedy, if no such round can work: fewer than 3
// members, minimum above the cohort, a threshold that cannot be met, a sum that does not fit 62
// bits. `clip_norm` is that of the attempt, for adaptive clipping; 0: the federation's.
// A noise multiplier of 0, which no federation file can have, gives a round without noise, for
// measurements: its epsilon is infinite, so only a member whose own limit is infinite takes part.
absl::StatusOr<RoundTerms> DeriveTerms(const FederationSpec& spec, uint64_t dim, uint32_t invited,
                                       double clip_norm = 0);

// Bits of the largest number of one member's update before it is added up, the sign included; in
// mode gradient of what one record adds.
int WidthOfNumbers(const RoundTerms& terms);

// How the clip norm of an adaptive federation moves from round to round. Errors as
// dp::AdaptiveClip::Create.
absl::StatusOr<dp::AdaptiveClip> AdaptiveClipOf(const FederationSpec& spec,
                                                const RoundTerms& terms);

// The fewest inputs that a sum may have by the federation file, U_min: rounds.minimum, or four
// fifths of a group, rounded up, at least 3. Thresholds may ask for more.
uint32_t LeastSum(const FederationSpec& spec);

// What one attempt costs the unit that is protected. With adaptive clipping it does not depend on
// the clip norm: the most that any costs.
dp::AttemptCost CostOf(const RoundTerms& terms);

// "record", "member", or "nobody" in the unit of privacy: who epsilon is for.
absl::string_view ProtectedUnit(PrivacySection::Unit unit);

// epsilon after `attempts` attempts, at the federation's delta less
// attempts * 2^-40 for the batch cap. 0 for 0 attempts.
double EpsilonAfter(const RoundTerms& terms, uint32_t attempts);

// The most attempts, at most terms.max_attempts, after which epsilon is at most `max_epsilon`.
uint32_t AttemptsWithin(const RoundTerms& terms, double max_epsilon);

// epsilon for people: two decimals, rounded up, so that nothing smaller than the truth is claimed;
// "unbounded" if it is infinite or no number.
std::string EpsilonText(double epsilon);

// An epsilon above this says nothing to anybody: odds may change by a factor above 20,000.
inline constexpr double kMeaninglessEpsilon = 10;

// "no privacy beyond the sum: no noise is added", or less: what unit none is called everywhere.
std::string NoPrivacyInWords(bool secure_aggregation);

// One sentence on what epsilon and delta mean for one `unit`, for people.
std::string EpsilonInWords(PrivacySection::Unit unit, double epsilon, double delta);

}  // namespace dure

#endif  // DURE_FEDERATION_TERMS_TERMS_H_
