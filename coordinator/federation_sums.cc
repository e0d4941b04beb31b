// What FederationEngine does with sums attempts: the statistics before the first round, and
// members' measurements of released models (coordinator/sums.h). They run as attempts at rounds do,
// with the same members, deadlines and retries; what comes of them is no model.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/paragraph.h"
#include "base/status_macros.h"
#include "coordinator/federation_engine.h"
#include "federation/binary16.h"
#include "federation/model_file.h"
#include "learner/metrics.h"

namespace dure {
namespace {

// How long the end of a run waits for members that could measure the last model.
constexpr absl::Duration kMembersPatience = absl::Minutes(2);

}  // namespace

// What was saved, against what this federation adds up: under other terms than now it is forgotten,
// and statistics are taken again.
void FederationEngine::AdoptSums() {
  if (state_.statistics && !sums_.Check(*state_.statistics).ok()) state_.statistics.reset();
  std::erase_if(state_.member_evaluations,
                [&](const SumsReleased& sums) { return !sums_.Check(sums).ok(); });
  standardisation_ = sums_.StandardisationOf(state_);
}

// Whether one more attempt of this kind is reserved, and within max_epsilon. If not, the run ends;
// an evaluation is left out.
bool FederationEngine::CanAfford(SumsKind kind, Outputs* out) {
  AttemptCounts next = state_.counts;
  ++next.of(kind);
  const uint32_t rounds = options_.spec.rounds().count();
  if (kind == SumsKind::kTraining && next.training > terms_.max_attempts) {
    EndRun(absl::ResourceExhaustedError(absl::StrFormat(
               "all %d attempts that the federation reserved are used, after round %d of %d",
               terms_.max_attempts, state_.round.value(), rounds)),
           "the attempts are used up", out);
    return false;
  }
  if (kind == SumsKind::kStatistics && sums_.UsedUp(state_)) {
    EndRun(
        absl::ResourceExhaustedError(absl::StrFormat(
            "all %d attempts at the statistics of the columns are used", kMostStatisticsAttempts)),
        "the attempts at the statistics are used up", out);
    return false;
  }
  const double after = account_->EpsilonAfter(next);
  if (terms_.unit == PrivacySection::NONE || after <= options_.spec.privacy().max_epsilon()) {
    return true;
  }
  if (kind == SumsKind::kEvaluation) {
    state_.evaluation_attempts = kMostEvaluationAttempts;  // not this model any more
    out->push_back(run::Note{
        true, absl::StrFormat("the model of round %d is not measured by members: that would bring "
                              "epsilon per record to %s, above max_epsilon = %g",
                              state_.round.value(), EpsilonText(after),
                              options_.spec.privacy().max_epsilon())});
    return false;
  }
  EndRun(absl::ResourceExhaustedError(absl::StrFormat(
             "one more attempt would bring epsilon per %s to %s, above the federation's "
             "max_epsilon = %g, after round %d of %d",
             ProtectedUnit(terms_.unit), EpsilonText(after), options_.spec.privacy().max_epsilon(),
             state_.round.value(), rounds)),
         "the privacy budget is spent", out);
  return false;
}

// Whether the model under way is not measured by members, because too few are willing, or, after
// the last round, here. Before, rounds wait for members, too.
bool FederationEngine::SkipsEvaluation(absl::Time now, size_t willing, Outputs* out) {
  const uint32_t minimum = options_.spec.rounds().minimum();
  if (willing >= minimum) {
    unmeasured_at_.reset();
    return false;
  }
  size_t refused = 0;
  for (const secagg::MemberId& member : refused_sums_[SumsKind::kEvaluation]) {
    refused += people_.contains(member);
  }
  if (willing + refused < minimum) {
    if (!NoMoreRounds()) return false;
    if (!unmeasured_at_) unmeasured_at_ = now + kMembersPatience;
    if (now < *unmeasured_at_) return false;
  }
  unmeasured_at_.reset();
  state_.evaluation_attempts = kMostEvaluationAttempts;  // not this model any more
  out->push_back(run::Note{
      true, absl::StrFormat("the model of round %d is not measured by members: %d are here and "
                            "willing, and %d are needed",
                            state_.round.value(), willing, minimum)});
  return true;
}

absl::Status FederationEngine::StartSums(absl::Time now, SumsKind kind,
                                         std::vector<secagg::MemberId> cohort, Outputs* out) {
  const auto invited = static_cast<uint32_t>(cohort.size());
  DURE_ASSIGN_OR_RETURN(const RoundTerms terms, sums_.Derive(kind, invited));
  DURE_ASSIGN_OR_RETURN(const RoundTerms training,
                        DeriveTerms(options_.spec, model_.size(), invited, state_.clip_norm));
  DURE_ASSIGN_OR_RETURN(RunAccount account, sums_.Account(training));
  // Statistics are taken before the first round; a model is measured after its own.
  const bool statistics = kind == SumsKind::kStatistics;
  AttemptId id{.round = statistics ? 1 : state_.round.value(),
               .attempt = state_.attempts.value() + 1};
  RoundOptions options;
  if (!statistics) {
    options.model = NumbersToBytes(model_, training.download);
    options.state = standardisation_;
  }
  id.model_hash = OfferedModelHash(options.model, options.state);
  DURE_RETURN_IF_ERROR(BeginRound(now, terms, id, std::move(options), std::move(cohort), out));
  if (invited != terms_.invited) account_ = std::move(account);
  terms_ = training;
  return absl::OkStatus();
}

void FederationEngine::ReleaseSums(absl::Time now, round::Closed closed, Outputs* out) {
  const RoundTerms terms = *sums_terms_;
  absl::StatusOr<std::vector<double>> numbers =
      closed.sums.size() == 1
          ? sums_.Read(closed.sums[0], terms, *options_.random)
          : absl::StatusOr<std::vector<double>>(absl::InternalError("sums of several groups"));
  if (!numbers.ok()) return FailAttempt(now, std::string(numbers.status().message()), out);
  LeaveOutTheFaulty(out);
  ForgiveThePunctual();
  round_.reset();
  failures_in_a_row_ = 0;
  const bool statistics = terms.sums == SumsKind::kStatistics;
  SumsReleased released{.kind = terms.sums,
                        .attempt = state_.attempts,
                        .round = statistics ? RoundNumber() : state_.round,
                        .cohort = terms.invited,
                        .survivors = closed.survivors,
                        .epsilon = account_->EpsilonAfter(state_.counts),
                        .noise = NoiseOfSums(terms, closed.survivors),
                        .sums = *std::move(numbers),
                        .at = now,
                        .dealers = TakeDealers()};
  out->push_back(run::Write{released});
  std::string text;
  if (statistics) {
    text = absl::StrCat("the statistics of the columns were taken over ",
                        Counted(released.survivors, "member"));
    state_.statistics = std::move(released);
    standardisation_ = sums_.StandardisationOf(state_);
  } else {
    text = absl::StrCat("the model of round ", state_.round.value(),
                        " on members' held-out data: ", MetricsInWords(sums_.MetricsOf(released)));
    state_.member_evaluations.push_back(std::move(released));
  }
  out->push_back(run::Note{false, std::move(text)});
  TellCohort(true, "", out);
}

void FederationEngine::RefuseSums(const secagg::MemberId& member) {
  refused_sums_[sums_terms_->sums].insert(member);
}

std::string FederationEngine::AttemptInWords() const {
  const std::string attempt = absl::StrCat("attempt ", state_.attempts.value());
  if (!sums_terms_) return absl::StrCat(attempt, " of round ", state_.round.value() + 1);
  if (sums_terms_->sums == SumsKind::kStatistics) return attempt + ", at the statistics,";
  return absl::StrCat(attempt, ", at measuring the model of round ", state_.round.value(), ",");
}

}  // namespace dure
