#include "coordinator/sums.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "learner/record_sums.h"
#include "privacy/dp/central_noise.h"

namespace dure {

absl::StatusOr<RunSums> RunSums::Create(const FederationSpec& spec, std::optional<Schema> schema) {
  RunSums sums(spec);
  double label_width = 0;
  if (schema && schema->label.range) {
    label_width = schema->label.range->high - schema->label.range->low;
  }
  sums.bounds_ = BoundsOfEvaluation(spec, label_width);
  if (!HasSums(spec, SumsKind::kStatistics)) return sums;
  if (!schema) {
    return absl::FailedPreconditionError(
        "statistics need the schema of the federation (data.schema), and it is not here");
  }
  DURE_ASSIGN_OR_RETURN(sums.columns_,
                        ColumnSums::Create(*std::move(schema), spec.statistics().bins()));
  return sums;
}

SumsKind RunSums::Due(const RunState& state) const {
  if (columns_ && !state.statistics) return SumsKind::kStatistics;
  const uint32_t round = state.round.value();
  if (!HasSums(spec_, SumsKind::kEvaluation) || round == 0) return SumsKind::kTraining;
  const bool measured = round % spec_.evaluation().every() == 0 || round == spec_.rounds().count();
  if (!measured || state.evaluation_attempts >= kMostEvaluationAttempts) return SumsKind::kTraining;
  const bool known =
      !state.member_evaluations.empty() && state.member_evaluations.back().round == state.round;
  return known ? SumsKind::kTraining : SumsKind::kEvaluation;
}

bool RunSums::UsedUp(const RunState& state) const {
  return Due(state) == SumsKind::kStatistics && state.counts.statistics >= kMostStatisticsAttempts;
}

absl::StatusOr<RoundTerms> RunSums::Derive(SumsKind kind, uint32_t invited) const {
  if (kind == SumsKind::kEvaluation) {
    return DeriveSumsTerms(spec_, kind, ShapeOfEvaluation(spec_), invited);
  }
  DURE_CHECK(columns_);
  return DeriveSumsTerms(spec_, kind, {.sums = columns_->size(), .norm = columns_->norm()},
                         invited);
}

absl::StatusOr<RunAccount> RunSums::Account(const RoundTerms& training) const {
  std::optional<SumsShape> shape;
  if (columns_) shape = {.sums = columns_->size(), .norm = columns_->norm()};
  return MakeRunAccount(spec_, training, shape);
}

uint64_t RunSums::UploadBytes(uint32_t invited) const {
  uint64_t bytes = 0;
  for (const SumsKind kind : {SumsKind::kStatistics, SumsKind::kEvaluation}) {
    if (!HasSums(spec_, kind)) continue;
    absl::StatusOr<RoundTerms> terms = Derive(kind, invited);
    if (terms.ok()) bytes = std::max(bytes, terms->upload_bytes);
  }
  return bytes;
}

absl::StatusOr<std::vector<double>> RunSums::Read(const GroupSum& sum, const RoundTerms& terms,
                                                  Random& random) const {
  DURE_CHECK(RingSize(sum.sum) == terms.coordinates);
  std::vector<int64_t> values = RingToSigned(sum.sum, static_cast<int>(terms.bits));
  if (terms.sigma2_central != 0) {
    AesCtrRandom fresh(random);
    DURE_RETURN_IF_ERROR(dp::AddCentralNoise(terms.sigma2_central, fresh, /*threads=*/0, values));
  }
  std::vector<double> numbers;
  numbers.reserve(values.size());
  for (const int64_t value : values) {
    numbers.push_back(static_cast<double>(value) / static_cast<double>(terms.scale));
  }
  return numbers;
}

absl::Status RunSums::Check(const SumsReleased& sums) const {
  const bool statistics = sums.kind == SumsKind::kStatistics;
  const uint64_t size =
      statistics ? (columns_ ? columns_->size() : 0) : ShapeOfEvaluation(spec_).sums;
  if (sums.sums.size() == size) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the saved sums of attempt ", sums.attempt.value(), " have ", sums.sums.size(),
                   " numbers, and this federation's have ", size));
}

FederatedStatistics RunSums::StatisticsOf(const SumsReleased& sums) const {
  DURE_CHECK(columns_);
  return columns_->Read(sums.sums, sums.noise);
}

ModelMetrics RunSums::MetricsOf(const SumsReleased& sums) const {
  return MetricsOfSums(spec_.model().loss(), spec_.model().input().classes(),
                       {.loss_bound = bounds_.loss, .error_bound = bounds_.error}, sums.sums);
}

std::string RunSums::StandardisationOf(const RunState& state) const {
  if (!columns_ || !state.statistics) return "";
  return StandardisationToBytes(ColumnSums::StandardisationOf(StatisticsOf(*state.statistics)));
}

std::optional<Schema> RunSums::CompletedSchema(const RunState& state) const {
  if (!columns_ || !state.statistics) return std::nullopt;
  return StandardisedBy(columns_->schema(),
                        ColumnSums::StandardisationOf(StatisticsOf(*state.statistics)));
}

}  // namespace dure
