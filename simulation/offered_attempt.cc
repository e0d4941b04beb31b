#include "simulation/offered_attempt.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/status_macros.h"
#include "client/contribution.h"
#include "client/local_part.h"
#include "federation/binary16.h"
#include "federation/terms/round_config.h"
#include "federation/terms/sums_terms.h"
#include "privacy/secagg/config.h"

namespace dure::simulation {
namespace {

absl::StatusOr<Standardisation> StandardsOf(const Approved& approved, std::string_view bytes) {
  if (!approved.spec.statistics().enabled() || !approved.schema) return Standardisation();
  return StandardisationFromBytes(bytes, *approved.schema);
}

double LabelWidth(const std::optional<Schema>& schema) {
  if (!schema || !schema->label.range) return 0;
  return schema->label.range->high - schema->label.range->low;
}

absl::Status ReadSums(const Approved& approved, SumsKind kind, const RoundOptions& offer,
                      OfferedAttempt* offered) {
  const FederationSpec& spec = approved.spec;
  SumsShape shape = ShapeOfEvaluation(spec);
  if (kind == SumsKind::kStatistics) {
    if (!approved.schema) return absl::FailedPreconditionError("the federation has no schema");
    DURE_ASSIGN_OR_RETURN(const ColumnSums columns,
                          ColumnSums::Create(*approved.schema, spec.statistics().bins()));
    shape = {.sums = columns.size(), .norm = columns.norm()};
  }
  DURE_ASSIGN_OR_RETURN(offered->terms,
                        DeriveSumsTerms(spec, kind, shape, offered->config.invited()));
  const int grid_log2 = SumsGridLog2(offered->terms);
  if (kind == SumsKind::kStatistics) {
    offered->sums_plan = StatisticsPlan{.bins = spec.statistics().bins(), .grid_log2 = grid_log2};
    return absl::OkStatus();
  }
  const EvaluationBounds bounds = BoundsOfEvaluation(spec, LabelWidth(approved.schema));
  offered->sums_plan = EvaluationPlan{
      .loss_bound = bounds.loss, .error_bound = bounds.error, .grid_log2 = grid_log2};
  DURE_ASSIGN_OR_RETURN(offered->params, NumbersFromBytes(offer.model, approved.dim,
                                                          spec.communication().download()));
  DURE_ASSIGN_OR_RETURN(offered->standards, StandardsOf(approved, offer.state));
  return absl::OkStatus();
}

absl::Status ReadTraining(const Approved& approved, const RoundOptions& offer,
                          OfferedAttempt* offered) {
  const bool adaptive = approved.spec.privacy().clipping() == PrivacySection::ADAPTIVE;
  const secagg::RoundConfig& config = offered->config;
  DURE_ASSIGN_OR_RETURN(offered->terms, DeriveTerms(approved.spec, approved.dim, config.invited(),
                                                    adaptive ? config.clip_norm() : 0));
  const RoundTerms& terms = offered->terms;
  DURE_ASSIGN_OR_RETURN(offered->params,
                        NumbersFromBytes(offer.model, approved.dim, terms.download));
  const uint64_t numbers = terms.control_variates ? terms.dim : 0;
  const std::string_view state = offer.state;
  const size_t control = std::min<size_t>(state.size(), numbers * BytesOfNumber(terms.download));
  DURE_ASSIGN_OR_RETURN(offered->control,
                        NumbersFromBytes(state.substr(0, control), numbers, terms.download));
  DURE_ASSIGN_OR_RETURN(offered->standards, StandardsOf(approved, state.substr(control)));
  return absl::OkStatus();
}

// Whether what a member sends is made with noise of the message's own, or on top of zeros in its
// place (client/contribution.h).
bool TakesNoise(const RoundTerms& terms) {
  const bool steps_have_it =
      terms.mode == LocalSection::DP_SGD && terms.sums == SumsKind::kTraining;
  return terms.unit != PrivacySection::NONE && !steps_have_it;
}

}  // namespace

absl::StatusOr<OfferedAttempt> Understand(const Approved& approved, const RoundOptions& offer) {
  OfferedAttempt offered;
  offered.config = offer.session.config;
  const SumsKind kind = SumsKindOf(offered.config.mechanism());
  DURE_RETURN_IF_ERROR(kind == SumsKind::kTraining ? ReadTraining(approved, offer, &offered)
                                                   : ReadSums(approved, kind, offer, &offered));
  const AttemptId id{.round = offered.config.round(),
                     .attempt = offered.config.attempt(),
                     .model_hash = *DigestFromBytes(offered.config.model_hash())};
  const Digest task = *DigestFromBytes(offered.config.task());
  DURE_RETURN_IF_ERROR(
      CompareConfigs(offered.config, MakeRoundConfig(approved.spec, task, offered.terms, id)));
  return offered;
}

absl::StatusOr<MemberInput> Contribute(const Approved& approved, const OfferedAttempt& offered,
                                       const LocalState& local, uint32_t records,
                                       const TrainFunction& train, AesCtrRandom& random) {
  const RoundTerms& terms = offered.terms;
  DURE_ASSIGN_OR_RETURN(Contribution contribution,
                        Contribution::Create(approved.spec, terms, offered.config, records));
  contribution.UseThreads(1);  // other members have the other threads
  if (terms.control_variates) contribution.UseControl(offered.control, local.control);
  if (offered.sums_plan) contribution.UseSums(*offered.sums_plan);
  NoiseReserve reserve;
  if (TakesNoise(terms)) reserve.PrepareFor(terms, random);
  const auto take_noise = [&] {
    return TakesNoise(terms) ? reserve.Take(terms) : std::vector<uint32_t>();
  };
  LocalPlan plan = contribution.MakePlan(random);
  CorrectWhole(approved.parts, &plan);
  // What travels is the whole of most models, and is not copied for every member then.
  std::vector<float> joined;
  const bool whole =
      terms.sums == SumsKind::kStatistics || !approved.parts || !approved.parts->has_personal();
  if (!whole)
    joined = WholeModel(approved.parts, local, {offered.params.begin(), offered.params.end()});
  absl::StatusOr<LocalUpdate> update = train(whole ? offered.params : joined, std::move(plan));
  MemberInput made;
  if (update.ok()) {
    SplitUpdate split = TakeApart(approved.parts, local, RoundNumber(offered.config.round()), terms,
                                  *std::move(update));
    made.next = std::move(split.next);
    DURE_ASSIGN_OR_RETURN(made.input,
                          contribution.Encode(std::move(split.travelling), take_noise(), random));
    if (made.next) made.next->control = contribution.control();
    made.cut_off = contribution.cut_off();
    return made;
  }
  std::optional<RingVector> nothing = contribution.EncodeNothing(take_noise(), random);
  if (!nothing) return update.status();
  made.input = *std::move(nothing);
  return made;
}

}  // namespace dure::simulation
