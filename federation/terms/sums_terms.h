// Sums attempts: attempts of the ordinary protocol whose inputs are not updates but sums over a
// member's records, each of which adds a vector of bounded L2 norm: the statistics of the columns
// before the first round, and members' own measurements of a released model
// (docs/secure-aggregation.md section 2.5). They are derived from the federation file as mode
// gradient is, with every record taking part; what they cost is charged like any attempt.
// Thread-safe: pure functions.
#ifndef DURE_FEDERATION_TERMS_SUMS_TERMS_H_
#define DURE_FEDERATION_TERMS_SUMS_TERMS_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "federation/terms/terms.h"
#include "privacy/dp/rdp.h"
#include "proto/federation.pb.h"

namespace dure {

// What is added up.
struct SumsShape {
  uint64_t sums = 0;  // numbers, each at most 1 a record
  double norm = 0;    // C: the largest L2 norm of what one record adds
};

// Without noise a sum is of integers in units of 2^-kExactGridLog2.
inline constexpr int kExactGridLog2 = 24;
// Most attempts at the statistics.
inline constexpr uint32_t kMostStatisticsAttempts = 8;
// Most attempts at one evaluation by members.
inline constexpr uint32_t kMostEvaluationAttempts = 2;

// Whether attempts of this kind are made at all.
bool HasSums(const FederationSpec& spec, SumsKind kind);
// Terms of a sums attempt whose schema is not known yet: BoundOfStatistics, ShapeOfEvaluation.
// FailedPrecondition also if there are none of this kind.
absl::StatusOr<RoundTerms> TermsOfSums(const FederationSpec& spec, SumsKind kind, uint32_t invited);

// The most that the run makes of them, fixed by the federation file; kTraining:
// rounds.max_attempts.
uint32_t MostAttempts(const FederationSpec& spec, SumsKind kind);
// Of all kinds: no attempt has a higher number.
uint32_t MostAttempts(const FederationSpec& spec);

// "", "statistics", "evaluation".
std::string_view SumsName(SumsKind kind);
// The kind of attempt that a RoundConfig names in its mechanism. Whether it is what the terms say,
// CompareConfigs says.
SumsKind SumsKindOf(std::string_view mechanism);

// Terms of a sums attempt of `invited` members. FailedPrecondition as DeriveTerms.
absl::StatusOr<RoundTerms> DeriveSumsTerms(const FederationSpec& spec, SumsKind kind,
                                           const SumsShape& shape, uint32_t invited);
// log2 of the grid on which a member adds up its records by `terms` of DeriveSumsTerms.
int SumsGridLog2(const RoundTerms& terms);
// Standard deviation of the noise in each opened number, where 1 is one record, if `survivors` are
// in the sum.
double NoiseOfSums(const RoundTerms& terms, uint32_t survivors);

// The shape of the statistics, at most, before the schema is known.
SumsShape BoundOfStatistics(const FederationSpec& spec);

// The sums of an evaluation, in the places of learner/metrics.h (MetricSums), and their norm.
SumsShape ShapeOfEvaluation(const FederationSpec& spec);
// A record's loss counts for no more, and neither does how far off a number is: what a record adds
// to the sums is its share of these.
struct EvaluationBounds {
  double loss = 20;
  double error = 20;
};
// `label_width`: high - low of the schema's label, a number; 0: it has no range.
EvaluationBounds BoundsOfEvaluation(const FederationSpec& spec, double label_width);

// Attempts, by what they are for.
struct AttemptCounts {
  uint32_t training = 0;
  uint32_t statistics = 0;
  uint32_t evaluations = 0;

  uint32_t& of(SumsKind kind) {
    return kind == SumsKind::kTraining     ? training
           : kind == SumsKind::kStatistics ? statistics
                                           : evaluations;
  }
  uint32_t all() const { return training + statistics + evaluations; }
  friend bool operator==(const AttemptCounts&, const AttemptCounts&) = default;
};

// Of a run up to `rounds`, if every attempt succeeds.
AttemptCounts PlannedAttempts(const FederationSpec& spec, uint32_t rounds);

// What a run of attempts of several kinds costs. Where there are sums, everything is composed at
// orders 2 to 64; else as PrivacyAccount. Immutable, thread-safe.
class RunAccount {
 public:
  // Terms of DeriveTerms and DeriveSumsTerms, of one number of members; absent: no such attempts.
  RunAccount(const RoundTerms& training, const std::optional<RoundTerms>& statistics,
             const std::optional<RoundTerms>& evaluation);

  // epsilon per record, or per member, at the federation's delta. 0 for no attempts; infinite
  // without noise.
  double EpsilonAfter(const AttemptCounts& counts) const;
  // The most attempts at rounds, at most rounds.max_attempts, after which epsilon is at most
  // `max_epsilon`, `others` (whose `training` is not looked at) being made besides.
  uint32_t TrainingWithin(double max_epsilon, AttemptCounts others) const;

 private:
  struct Part {
    double delta_per_attempt = 0;
    dp::RdpCurve curve;
  };
  static std::optional<Part> PartOf(const std::optional<RoundTerms>& terms,
                                    std::span<const int> orders);

  double delta_;
  uint32_t max_attempts_;
  Part training_;
  std::optional<Part> statistics_;
  std::optional<Part> evaluation_;
};

// Of a federation whose statistics have this shape; where that is not known yet, BoundOfStatistics.
// Errors as DeriveTerms and DeriveSumsTerms. `training` of DeriveTerms.
absl::StatusOr<RunAccount> MakeRunAccount(const FederationSpec& spec, const RoundTerms& training,
                                          const std::optional<SumsShape>& statistics);

}  // namespace dure

#endif  // DURE_FEDERATION_TERMS_SUMS_TERMS_H_
