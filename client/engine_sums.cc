// MemberEngine: attempts that are no training, whose input is a sum over this member's records
// (federation/terms/sums_terms.h), and how numeric columns are standardised by what came of them.
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/engine.h"
#include "federation/binary16.h"
#include "federation/terms/round_config.h"

namespace dure {

using member::Tell;

// Without a schema there are no statistics to take part in.
absl::StatusOr<ColumnSums> MemberEngine::Columns() const {
  if (!options_.schema) {
    return absl::FailedPreconditionError(
        "the federation's schema (data.schema) is not here: see `dure terms show`");
  }
  return ColumnSums::Create(*options_.schema, options_.spec.statistics().bins());
}

absl::StatusOr<SumsShape> MemberEngine::ShapeOf(SumsKind kind) const {
  if (kind == SumsKind::kEvaluation) return ShapeOfEvaluation(options_.spec);
  DURE_ASSIGN_OR_RETURN(const ColumnSums columns, Columns());
  return SumsShape{.sums = columns.size(), .norm = columns.norm()};
}

// What the trainer is asked for in an attempt by `terms`.
LocalPlan MemberEngine::SumsPlan(const RoundTerms& terms) const {
  const int grid_log2 = SumsGridLog2(terms);
  if (terms.sums == SumsKind::kStatistics) {
    return StatisticsPlan{.bins = options_.spec.statistics().bins(), .grid_log2 = grid_log2};
  }
  double label_width = 0;
  if (options_.schema && options_.schema->label.range) {
    label_width = options_.schema->label.range->high - options_.schema->label.range->low;
  }
  const EvaluationBounds bounds = BoundsOfEvaluation(options_.spec, label_width);
  return EvaluationPlan{
      .loss_bound = bounds.loss, .error_bound = bounds.error, .grid_log2 = grid_log2};
}

// What stands at the end of the state beside a model.
absl::StatusOr<Standardisation> MemberEngine::StandardisationOf(std::string_view bytes) const {
  if (options_.spec.statistics().enabled() && options_.schema) {
    return StandardisationFromBytes(bytes, *options_.schema);
  }
  if (bytes.empty()) return Standardisation();
  return absl::InvalidArgumentError(
      absl::StrCat(bytes.size(), " bytes of a standardisation that the terms do not have"));
}

// An offer whose mechanism says that it is for sums: derived again from what was approved.
absl::Status MemberEngine::AcceptSums(const RoundOffer& offer, SumsKind kind, Outputs* out) {
  const secagg::RoundConfig& offered = offer.offer().config();
  const std::string name(SumsName(kind));
  if (!HasSums(options_.spec, kind)) {
    return absl::InvalidArgumentError(
        absl::StrCat("an attempt at ", name, " was offered, and the approved terms have none"));
  }
  DURE_ASSIGN_OR_RETURN(const SumsShape shape, ShapeOf(kind));
  absl::StatusOr<RoundTerms> derived =
      DeriveSumsTerms(options_.spec, kind, shape, offered.invited());
  if (!derived.ok()) return absl::InvalidArgumentError(derived.status().message());
  const RoundTerms& terms = *derived;
  std::vector<float> params(options_.dim);
  Standardisation standards;
  if (kind == SumsKind::kEvaluation) {
    DURE_ASSIGN_OR_RETURN(params, NumbersFromBytes(offer.model(), options_.dim,
                                                   options_.spec.communication().download()));
    DURE_ASSIGN_OR_RETURN(standards, StandardisationOf(offer.state()));
  } else if (!offer.model().empty() || !offer.state().empty()) {
    return absl::InvalidArgumentError("a model was offered with an attempt at statistics");
  }
  const AttemptId id{.round = offered.round(),
                     .attempt = offered.attempt(),
                     .model_hash = OfferedModelHash(offer.model(), offer.state())};
  DURE_RETURN_IF_ERROR(
      CompareConfigs(offered, MakeRoundConfig(options_.spec, options_.spec_digest, terms, id)));
  DURE_RETURN_IF_ERROR(CheckNumbers(id));
  DURE_RETURN_IF_ERROR(CheckPolicy(options_.policy, options_.spec, terms, SpendingWithNext(terms)));
  DURE_ASSIGN_OR_RETURN(Contribution contribution,
                        Contribution::Create(options_.spec, terms, offered, options_.records));
  contribution.UseSums(SumsPlan(terms));
  return Begin(offer, id, terms, std::move(contribution),
               {.params = std::move(params), .standards = std::move(standards)}, out);
}

// What came of sums, for the person at this machine.
std::string MemberEngine::ReleasedInWords() const {
  switch (attempt_->terms.sums) {
    case SumsKind::kStatistics:
      return "the statistics of the columns were taken";
    case SumsKind::kEvaluation:
      return absl::StrCat("the model of round ", attempt_->round.value(),
                          " was measured by the members");
    case SumsKind::kTraining:
      break;
  }
  return absl::StrCat("round ", attempt_->round.value(), " released");
}

// Of all kinds of attempts, the terms of the one that costs most.
RoundTerms MemberEngine::DearestTerms(const RoundTerms& training) {
  RoundTerms dearest = training;
  double most = EpsilonOf(training.invited, {.training = 1});
  for (const SumsKind kind : {SumsKind::kStatistics, SumsKind::kEvaluation}) {
    const absl::StatusOr<SumsShape> shape = ShapeOf(kind);
    if (!HasSums(options_.spec, kind) || !shape.ok()) continue;
    absl::StatusOr<RoundTerms> terms =
        DeriveSumsTerms(options_.spec, kind, *shape, training.invited);
    AttemptCounts one;
    one.of(kind) = 1;
    if (!terms.ok() || !(EpsilonOf(training.invited, one) > most)) continue;
    most = EpsilonOf(training.invited, one);
    dearest = *std::move(terms);
  }
  return dearest;
}

double MemberEngine::EpsilonOf(uint32_t invited, const AttemptCounts& counts) {
  auto known = accounts_.find(invited);
  if (known == accounts_.end()) {
    std::optional<SumsShape> shape;
    if (absl::StatusOr<SumsShape> own = ShapeOf(SumsKind::kStatistics); own.ok()) shape = *own;
    absl::StatusOr<RoundTerms> training = DeriveTerms(options_.spec, options_.dim, invited);
    absl::StatusOr<RunAccount> account =
        training.ok() ? MakeRunAccount(options_.spec, *training, shape) : training.status();
    if (!account.ok()) return std::numeric_limits<double>::infinity();
    known = accounts_.emplace(invited, *std::move(account)).first;
  }
  return known->second.EpsilonAfter(counts);
}

}  // namespace dure
