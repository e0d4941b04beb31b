// MemberEngine: what stays with this member. Its control variate and its own values of the layers
// that do not travel change when a round is released in whose sum its input was, and not before.
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/engine.h"
#include "client/local_part.h"
#include "federation/binary16.h"

namespace dure {

using member::Tell;

void MemberEngine::BeginLocalState() {
  if (options_.role != MEMBER || !options_.parts || !options_.local.personal.empty()) return;
  options_.local.personal = FirstPersonalValues(*options_.parts, options_.spec.model());
}

// The server's control variate, and the standardisation behind it.
absl::StatusOr<std::vector<float>> MemberEngine::StateOf(const RoundOffer& offer,
                                                         const RoundTerms& terms,
                                                         Standardisation* standards) const {
  const uint64_t numbers = terms.control_variates ? terms.dim : 0;
  const std::string_view bytes = offer.state();
  const size_t control = std::min<size_t>(bytes.size(), numbers * BytesOfNumber(terms.download));
  DURE_ASSIGN_OR_RETURN(*standards, StandardisationOf(bytes.substr(control)));
  absl::StatusOr<std::vector<float>> state =
      NumbersFromBytes(bytes.substr(0, control), numbers, terms.download);
  if (state.ok()) return state;
  return absl::InvalidArgumentError(
      absl::StrCat("a state of ", offer.state().size(), " bytes beside the model; ", numbers,
                   " finite numbers take ", numbers * BytesOfNumber(terms.download)));
}

void MemberEngine::StartTraining(std::vector<float> params, Standardisation standards,
                                 Outputs* out) {
  attempt_->training = ++trainings_;
  member::StartTraining training{
      .training = attempt_->training,
      .params = WholeModel(options_.parts, options_.local, std::move(params)),
      .plan = attempt_->contribution.MakePlan(bulk_random_),
      .standards = std::move(standards)};
  CorrectWhole(options_.parts, &training.plan);
  out->push_back(std::move(training));
}

// Takes out of an update what stays here, and prepares what to keep if the attempt succeeds.
LocalUpdate MemberEngine::TravellingPart(LocalUpdate update) {
  SplitUpdate split = TakeApart(options_.parts, options_.local, attempt_->round, attempt_->terms,
                                std::move(update));
  attempt_->next = std::move(split.next);
  return std::move(split.travelling);
}

void MemberEngine::KeepNext(LocalState next, Outputs* out) {
  options_.local = next;
  out->push_back(member::KeepLocalState{std::move(next)});
}

// A signed offer of `round` in `attempt` tells how the attempt ended whose end this member did not
// hear: the next attempt is for the next round only if that one released its own. Of a coordinator
// that went back, or began again, the control variate is another.
void MemberEngine::SettleUnsure(RoundNumber round, AttemptNumber attempt, Outputs* out) {
  if (unsure_ && round.value() == unsure_->round.value() + 1 &&
      attempt.value() == unsure_->attempt.value() + 1) {
    KeepNext(std::move(unsure_->next), out);
  }
  unsure_.reset();
  if (round > options_.local.round || options_.local.control.empty()) return;
  out->push_back(Tell{Tell::Level::kNote,
                      absl::StrCat("round ", round.value(), " is offered after round ",
                                   options_.local.round.value(),
                                   ": the run began again, and so does this member\'s control "
                                   "variate")});
  options_.local.control.clear();
}

}  // namespace dure
