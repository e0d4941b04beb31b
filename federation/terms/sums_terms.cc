#include "federation/terms/sums_terms.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "privacy/dp/record_gradient.h"

namespace dure {
namespace {

constexpr char kStatistics[] = "statistics";
constexpr char kEvaluation[] = "evaluation";

// Without noise: no member has more records (learner/data/dataset.h).
constexpr uint64_t kMostRecords = uint64_t{1} << 24;
constexpr int kMostBits = 62;

// Of a numeric column: present, x, x^2, bars; see learner/data/column_sums.h.
constexpr uint64_t kNumericSums = 3;
constexpr double kNumericNormSq = 4;

// Of an evaluation: learner/metrics.h.
constexpr uint64_t kFigures = 4;
constexpr uint64_t kMostMatrixClasses = 100;
constexpr uint64_t kScoreBars = 128;

// The federation as if each round were one step over all records, whose gradients are what is added
// up here.
FederationSpec SpecOfSums(const FederationSpec& spec, SumsKind kind, const SumsShape& shape) {
  FederationSpec sums = spec;
  LocalSection& local = *sums.mutable_local();
  local.clear_weighting();
  local.clear_control_variates();
  sums.mutable_communication()->clear_quantization_bits();
  SecureAggregationSection& secagg = *sums.mutable_secure_aggregation();
  secagg.clear_robust();
  secagg.clear_group_size();
  PrivacySection& privacy = *sums.mutable_privacy();
  privacy.clear_clipping();
  privacy.clear_rotation();
  if (privacy.unit() == PrivacySection::NONE) {
    local.set_mode(LocalSection::EPOCHS);
    return sums;
  }
  local.set_mode(LocalSection::GRADIENT);
  local.set_sampling_rate(1);
  privacy.set_clip_norm(shape.norm);
  // The noise of an evaluation is stated in records, that of the statistics in units of C.
  privacy.set_noise_multiplier(kind == SumsKind::kStatistics
                                   ? spec.statistics().noise_multiplier()
                                   : spec.evaluation().members_noise() / shape.norm);
  return sums;
}

// Integers in units of 2^-kExactGridLog2, added up as they are.
absl::Status MakeExact(RoundTerms* terms) {
  terms->scale = uint64_t{1} << kExactGridLog2;
  const double most = static_cast<double>(terms->largest_sum) * static_cast<double>(kMostRecords) *
                      static_cast<double>(terms->scale);
  terms->bits = static_cast<uint32_t>(std::ceil(std::log2(2 * most + 1)));
  DURE_CHECK(terms->bits <= kMostBits);  // at most 4,096 members
  terms->coordinates = terms->dim;
  terms->upload_bytes =
      terms->coordinates / 8 * terms->bits + (terms->coordinates % 8 * terms->bits + 7) / 8;
  return absl::OkStatus();
}

}  // namespace

bool HasSums(const FederationSpec& spec, SumsKind kind) {
  switch (kind) {
    case SumsKind::kStatistics:
      return spec.statistics().enabled();
    case SumsKind::kEvaluation:
      return spec.evaluation().members();
    case SumsKind::kTraining:
      break;
  }
  return false;
}

uint32_t MostAttempts(const FederationSpec& spec, SumsKind kind) {
  if (kind == SumsKind::kTraining) return spec.rounds().max_attempts();
  if (!HasSums(spec, kind)) return 0;
  if (kind == SumsKind::kStatistics) return kMostStatisticsAttempts;
  const uint32_t rounds = spec.rounds().count(), every = std::max(1u, spec.evaluation().every());
  return kMostEvaluationAttempts * (rounds / every + (rounds % every == 0 ? 0 : 1));
}

uint32_t MostAttempts(const FederationSpec& spec) {
  return MostAttempts(spec, SumsKind::kTraining) + MostAttempts(spec, SumsKind::kStatistics) +
         MostAttempts(spec, SumsKind::kEvaluation);
}

std::string_view SumsName(SumsKind kind) {
  switch (kind) {
    case SumsKind::kStatistics:
      return kStatistics;
    case SumsKind::kEvaluation:
      return kEvaluation;
    case SumsKind::kTraining:
      break;
  }
  return "";
}

SumsKind SumsKindOf(std::string_view mechanism) {
  if (mechanism.starts_with(kStatistics)) return SumsKind::kStatistics;
  if (mechanism.starts_with(kEvaluation)) return SumsKind::kEvaluation;
  return SumsKind::kTraining;
}

absl::StatusOr<RoundTerms> DeriveSumsTerms(const FederationSpec& spec, SumsKind kind,
                                           const SumsShape& shape, uint32_t invited) {
  DURE_CHECK(kind != SumsKind::kTraining && shape.sums >= 1);
  if (spec.privacy().unit() == PrivacySection::CLIENT) {
    return absl::FailedPreconditionError(
        absl::StrCat("sums of ", std::string(SumsName(kind)),
                     " do not go with privacy.unit = \"client\": what one member adds is not "
                     "bounded by what one record adds; use unit = \"record\", or leave them out"));
  }
  DURE_ASSIGN_OR_RETURN(RoundTerms terms,
                        DeriveTerms(SpecOfSums(spec, kind, shape), shape.sums, invited));
  if (terms.unit == PrivacySection::NONE) {
    DURE_RETURN_IF_ERROR(MakeExact(&terms));
    terms.clip_norm = shape.norm;
  }
  terms.sums = kind;
  terms.mode = LocalSection::GRADIENT;
  terms.max_attempts = MostAttempts(spec);
  return terms;
}

int SumsGridLog2(const RoundTerms& terms) {
  const int scale_log2 = std::countr_zero(terms.scale);
  return terms.unit == PrivacySection::NONE ? scale_log2 : scale_log2 + dp::kFixedPointLog2;
}

double NoiseOfSums(const RoundTerms& terms, uint32_t survivors) {
  const double variance = static_cast<double>(terms.sigma2_local) * survivors +
                          static_cast<double>(terms.sigma2_central);
  return std::sqrt(variance) / static_cast<double>(terms.scale);
}

SumsShape BoundOfStatistics(const FederationSpec& spec) {
  uint64_t features = 1;
  for (const uint32_t dim : spec.model().input().shape()) features *= dim;
  const uint64_t numeric = kNumericSums + spec.statistics().bins();
  const uint64_t classes = std::max(2u, spec.model().input().classes());
  return {
      .sums = 1 + features * numeric + std::max(numeric, classes),
      .norm = std::sqrt(1 + kNumericNormSq * (static_cast<double>(features) + 1)) * (1 + 0x1p-40)};
}

SumsShape ShapeOfEvaluation(const FederationSpec& spec) {
  const ModelSection& model = spec.model();
  uint64_t classes = 0;  // of the matrix
  if (model.loss() == ModelSection::BCE_WITH_LOGITS) classes = 2;
  if (model.loss() == ModelSection::CROSS_ENTROPY) classes = model.input().classes();
  if (classes > kMostMatrixClasses) classes = 0;
  // Records, loss, and whether it was right or how far off; a cell of the matrix; a bar.
  const double norm_sq = 3 + (classes > 0 ? 1 : 0) + (classes == 2 ? 1 : 0);
  return {.sums = kFigures + classes * classes + (classes == 2 ? 2 * kScoreBars : 0),
          .norm = std::sqrt(norm_sq) * (1 + 0x1p-40)};
}

EvaluationBounds BoundsOfEvaluation(const FederationSpec& spec, double label_width) {
  EvaluationBounds bounds;
  if (spec.model().loss() != ModelSection::MSE) return bounds;
  if (label_width > 0) bounds.error = label_width;
  bounds.loss = bounds.error * bounds.error;
  return bounds;
}

absl::StatusOr<RoundTerms> TermsOfSums(const FederationSpec& spec, SumsKind kind,
                                       uint32_t invited) {
  if (!HasSums(spec, kind)) {
    return absl::FailedPreconditionError(
        absl::StrCat("the federation has no ", std::string(SumsName(kind))));
  }
  const bool statistics = kind == SumsKind::kStatistics;
  return DeriveSumsTerms(spec, kind, statistics ? BoundOfStatistics(spec) : ShapeOfEvaluation(spec),
                         invited);
}

AttemptCounts PlannedAttempts(const FederationSpec& spec, uint32_t rounds) {
  AttemptCounts counts{.training = rounds};
  if (HasSums(spec, SumsKind::kStatistics)) counts.statistics = 1;
  if (HasSums(spec, SumsKind::kEvaluation)) {
    const uint32_t every = std::max(1u, spec.evaluation().every());
    const bool last = rounds == spec.rounds().count() && rounds % every != 0;
    counts.evaluations = rounds / every + (last ? 1 : 0);
  }
  return counts;
}

std::optional<RunAccount::Part> RunAccount::PartOf(const std::optional<RoundTerms>& terms,
                                                   std::span<const int> orders) {
  if (!terms) return std::nullopt;
  return Part{.delta_per_attempt = terms->delta_per_attempt,
              .curve = dp::CurveOf(CostOf(*terms), orders)};
}

RunAccount::RunAccount(const RoundTerms& training, const std::optional<RoundTerms>& statistics,
                       const std::optional<RoundTerms>& evaluation)
    : delta_(training.delta),
      max_attempts_(training.max_attempts),
      training_(*PartOf(training, statistics || evaluation ? dp::SubsampledOrders()
                                                           : dp::OrdersFor(CostOf(training)))),
      statistics_(PartOf(statistics, dp::SubsampledOrders())),
      evaluation_(PartOf(evaluation, dp::SubsampledOrders())) {}

double RunAccount::EpsilonAfter(const AttemptCounts& counts) const {
  if (counts.all() == 0) return 0;
  double delta = delta_;
  const auto orders = training_.curve.orders();
  dp::RdpCurve sum(orders, std::vector<double>(orders.size(), 0.0));
  const auto add = [&](const Part& part, uint32_t count) {
    if (count == 0) return;
    delta -= count * part.delta_per_attempt;
    sum.Compose(part.curve, count);
  };
  add(training_, counts.training);
  if (statistics_) add(*statistics_, counts.statistics);
  if (evaluation_) add(*evaluation_, counts.evaluations);
  if (!(delta > 0)) return std::numeric_limits<double>::infinity();
  return sum.Epsilon(1, delta).epsilon;
}

uint32_t RunAccount::TrainingWithin(double max_epsilon, AttemptCounts others) const {
  uint32_t within = 0, above = max_attempts_ + 1;
  while (above - within > 1) {
    others.training = within + (above - within) / 2;
    (EpsilonAfter(others) <= max_epsilon ? within : above) = others.training;
  }
  return within;
}

absl::StatusOr<RunAccount> MakeRunAccount(const FederationSpec& spec, const RoundTerms& training,
                                          const std::optional<SumsShape>& statistics) {
  std::optional<RoundTerms> of_statistics, of_evaluation;
  if (HasSums(spec, SumsKind::kStatistics)) {
    DURE_ASSIGN_OR_RETURN(
        of_statistics,
        DeriveSumsTerms(spec, SumsKind::kStatistics, statistics.value_or(BoundOfStatistics(spec)),
                        training.invited));
  }
  if (HasSums(spec, SumsKind::kEvaluation)) {
    DURE_ASSIGN_OR_RETURN(
        of_evaluation,
        DeriveSumsTerms(spec, SumsKind::kEvaluation, ShapeOfEvaluation(spec), training.invited));
  }
  return RunAccount(training, of_statistics, of_evaluation);
}

}  // namespace dure
