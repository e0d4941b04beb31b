// MemberEngine: what is offered, and whether this member takes part in it.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "client/engine.h"
#include "federation/binary16.h"
#include "federation/terms/round_config.h"
#include "privacy/secagg/thresholds.h"
#include "privacy/secagg/transcript.h"

namespace dure {

using member::Tell;

void MemberEngine::OnOffer(const RoundOffer& offer, Outputs* out) {
  // Two sets of keys for one session, both signed, would be proof that this member lies.
  if (suspended_ && offer.offer().session_id() == ToString(attempt_->session.session_id())) {
    GoOn(out);
    if (attempt_->first_answer) SendProtocol(*attempt_->first_answer, out);
    return;
  }
  if (attempt_ && offer.offer().session_id() == ToString(attempt_->session.session_id())) {
    out->push_back(
        Tell{Tell::Level::kWarning, "the attempt under way was offered once more: ignored"});
    return;
  }
  EndAttempt(absl::AbortedError("another attempt was offered"));
  absl::Status status = Accept(offer, out);
  if (status.ok()) return;
  attempt_.reset();
  suspended_ = false;
  // What may pass by itself: an attempt that is over, an attempt of too few members. A member that
  // will not have sums of its records taken goes on training.
  const bool sums = SumsKindOf(offer.offer().config().mechanism()) != SumsKind::kTraining;
  const bool limits = absl::IsPermissionDenied(status) || absl::IsResourceExhausted(status);
  const bool passing = absl::IsFailedPrecondition(status) || (sums && limits) ||
                       (absl::IsPermissionDenied(status) && !RefusesAlways());
  SendDecline(offer.offer().session_id(), status, out);
  if (!passing) return Refuse(std::move(status), out);
  TellDeclined(status, out);
}

// Whether the limits refuse even the attempt with the most members.
bool MemberEngine::RefusesAlways() const {
  const RoundsSection& rounds = options_.spec.rounds();
  absl::StatusOr<RoundTerms> terms =
      DeriveTerms(options_.spec, options_.dim,
                  rounds.has_cohort() ? rounds.cohort() : secagg::kMaxDenseMembers);
  return !terms.ok() || !FaultsOfTerms(options_.policy, options_.spec, *terms).empty();
}

void MemberEngine::Refuse(absl::Status why, Outputs* out) {
  attempt_.reset();
  suspended_ = false;
  out->push_back(member::Refused{std::move(why)});
}

Spending MemberEngine::SpendingWithNext(const RoundTerms& terms) {
  AttemptCounts counts = ledger_.counts();
  ++counts.of(terms.sums);
  Spending spending{.epsilon = EpsilonOf(terms.invited, counts)};
  if (options_.data == nullptr) return spending;
  const ChargedCost cost = ChargedCostOf(terms);
  spending.total_epsilon = options_.data->all.EpsilonWith(cost, options_.policy.total_delta);
  // Under other terms than now, or with other cohorts, attempts have cost something else.
  if (!options_.data->own.IsAll(cost)) {
    spending.epsilon =
        std::max(spending.epsilon, options_.data->own.EpsilonWith(cost, terms.delta));
  }
  return spending;
}

// A coordinator that has seen shares of this member in a later attempt than the ledger knows: the
// ledger is an old copy, or lives on two machines.
void MemberEngine::OnWelcome(const Welcome& welcome, Outputs* out) {
  // It does not go on with what was interrupted, and does not know how that ended.
  if (suspended_) EndAttempt(absl::UnavailableError("the connection was lost"));
  round_ = RoundNumber(welcome.round());
  const uint32_t seen = welcome.last_attempt(), charged = ledger_.last_attempt().value();
  if (options_.role != MEMBER || seen <= charged) return;
  const Transcript statement = secagg::LastSeenStatement(
      options_.spec_digest, secagg::MemberIdOf(options_.key->public_key()), seen);
  if (!VerifySignature(options_.coordinator, statement.bytes(),
                       AsBytes(welcome.last_attempt_signature()))) {
    out->push_back(Tell{Tell::Level::kWarning,
                        "the coordinator says what it last saw of this member, but did not sign "
                        "it: ignored"});
    return;
  }
  const RoundsSection& rounds = options_.spec.rounds();
  absl::StatusOr<RoundTerms> terms = DeriveTerms(
      options_.spec, options_.dim, rounds.has_cohort() ? rounds.cohort() : rounds.minimum());
  if (!options_.charge_missing || !terms.ok() || seen > MostAttempts(options_.spec)) {
    return Refuse(
        absl::DataLossError(absl::StrCat(
            "the coordinator has seen this member's shares of attempt ", seen,
            ", and its ledger ends with attempt ", charged,
            ": put the newest ledger back, or charge the attempts that are missing in full with "
            "`dure client --charge-missing`")),
        out);
  }
  // What they were for is not known: the dearest.
  const RoundTerms dearest = DearestTerms(*terms);
  for (uint32_t attempt = charged + 1; attempt <= seen; ++attempt) {
    const ChargeEntry entry{.attempt = AttemptNumber(attempt), .kind = dearest.sums};
    DURE_CHECK(ledger_.Add(entry).ok());
    out->push_back(member::WriteLedger{entry, ChargeFor(entry, dearest)});
  }
  epsilon_ = EpsilonOf(terms->invited, ledger_.counts());
  out->push_back(Tell{Tell::Level::kNote,
                      absl::StrCat("attempts ", charged + 1, " to ", seen,
                                   " were missing in the ledger and are charged in full")});
}

// Message 0: everything is derived again from what this member approved and compared.
absl::Status MemberEngine::Accept(const RoundOffer& offer, Outputs* out) {
  if (options_.role != MEMBER) {
    return absl::FailedPreconditionError("an evaluator takes no part in rounds");
  }
  const secagg::RoundConfig& offered = offer.offer().config();
  if (const SumsKind kind = SumsKindOf(offered.mechanism()); kind != SumsKind::kTraining) {
    return AcceptSums(offer, kind, out);
  }
  DURE_ASSIGN_OR_RETURN(
      std::vector<float> params,
      NumbersFromBytes(offer.model(), options_.dim, options_.spec.communication().download()));
  // With adaptive clipping the coordinator says which clip norm came of the last round. What one
  // member changes, and the noise, are in proportion to it.
  const bool adaptive = options_.spec.privacy().clipping() == PrivacySection::ADAPTIVE;
  absl::StatusOr<RoundTerms> derived = DeriveTerms(options_.spec, options_.dim, offered.invited(),
                                                   adaptive ? offered.clip_norm() : 0);
  if (!derived.ok()) return absl::InvalidArgumentError(derived.status().message());
  const RoundTerms& terms = *derived;
  Standardisation standards;
  DURE_ASSIGN_OR_RETURN(std::vector<float> state, StateOf(offer, terms, &standards));
  AttemptId id{.round = offered.round(),
               .attempt = offered.attempt(),
               .model_hash = OfferedModelHash(offer.model(), offer.state())};
  DURE_RETURN_IF_ERROR(
      CompareConfigs(offered, MakeRoundConfig(options_.spec, options_.spec_digest, terms, id)));
  DURE_RETURN_IF_ERROR(CheckNumbers(id));
  DURE_RETURN_IF_ERROR(CheckPolicy(options_.policy, options_.spec, terms, SpendingWithNext(terms)));

  DURE_ASSIGN_OR_RETURN(Contribution contribution,
                        Contribution::Create(options_.spec, terms, offered, options_.records));
  return Begin(
      offer, id, terms, std::move(contribution),
      {.params = std::move(params), .control = std::move(state), .standards = std::move(standards)},
      out);
}

// Whether this member agreed to so many rounds and attempts, and has not answered this one.
absl::Status MemberEngine::CheckNumbers(const AttemptId& id) const {
  const uint32_t most = MostAttempts(options_.spec);
  if (id.round < 1 || id.round > options_.spec.rounds().count() || id.attempt > most) {
    return absl::InvalidArgumentError(absl::StrCat(
        "attempt ", id.attempt, " of round ", id.round, " was offered; this member agreed to ",
        options_.spec.rounds().count(), " rounds in at most ", most, " attempts"));
  }
  if (AttemptNumber(id.attempt) <= ledger_.last_attempt()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "attempt ", id.attempt, " was offered, but attempt ", ledger_.last_attempt().value(),
        " is charged in this member's ledger already"));
  }
  if (AttemptNumber(id.attempt) <= answered_) {
    return absl::FailedPreconditionError(
        absl::StrCat("attempt ", id.attempt, " was offered, and this member has answered attempt ",
                     answered_.value(), " already"));
  }
  return absl::OkStatus();
}

// Everything is as agreed: the session and the trainer begin.
absl::Status MemberEngine::Begin(const RoundOffer& offer, const AttemptId& id,
                                 const RoundTerms& terms, Contribution contribution,
                                 OfferedModel model, Outputs* out) {
  MemberSession session = MakeSession(terms);
  DURE_ASSIGN_OR_RETURN(std::optional<secagg::UpMessage> answer,
                        session.StartFromOffer(offer.offer()));
  answered_ = AttemptNumber(id.attempt);
  // A model that is measured was released, as the one that the next round begins with.
  if (terms.sums != SumsKind::kStatistics) {
    const bool measured = terms.sums == SumsKind::kEvaluation;
    SettleUnsure(RoundNumber(measured ? id.round + 1 : id.round), answered_, out);
  }
  if (terms.control_variates) {
    contribution.UseControl(std::move(model.control), options_.local.control);
  }
  attempt_ = Attempt{.session = std::move(session),
                     .round = RoundNumber(id.round),
                     .attempt = AttemptNumber(id.attempt),
                     .terms = terms,
                     .contribution = std::move(contribution)};
  noise_.PrepareFor(terms, bulk_random_);
  if (answer) SendProtocol(*std::move(answer), out);

  StartTraining(std::move(model.params), std::move(model.standards), out);
  return absl::OkStatus();
}

MemberSession MemberEngine::MakeSession(const RoundTerms& terms) const {
  if (!terms.secure_aggregation) {
    return MemberSession(secagg::PlainClient(options_.coordinator));
  }
  secagg::ClientPolicy limits{.minimum_roster = terms.roster_minimum,
                              .minimum_sum = terms.sum_asked,
                              .max_corrupt = terms.max_corrupt,
                              .smallest_roster = options_.policy.min_cohort};
  if (options_.policy.max_per_organisation != 0) {
    limits.max_per_organisation = options_.policy.max_per_organisation;
  }
  if (const std::optional<MemberList>& list = options_.policy.member_list) {
    limits.members.emplace();
    for (const ListedMember& member : *list) {
      limits.members->emplace(member.id, secagg::PinnedMember{.organisation = member.organisation,
                                                              .revoked = member.revoked});
    }
  }
  return MemberSession(secagg::Client({.policy = std::move(limits),
                                       .key = options_.key,
                                       .certificate = options_.certificate,
                                       .coordinator = options_.coordinator,
                                       .verifier = options_.verifier,
                                       .random = options_.random}));
}

}  // namespace dure
