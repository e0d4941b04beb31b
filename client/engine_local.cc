// MemberEngine: what stays with this member. Its control variate and its own values of the layers
// that do not travel change when a round is released in whose sum its input was, and not before.
#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/engine.h"
#include "federation/binary16.h"
#include "learner/initial_weights.h"

namespace dure {

using member::Tell;

// Its own layers begin as everybody's: from model.seed.
void MemberEngine::BeginLocalState() {
  if (options_.role != MEMBER || !options_.parts || !options_.parts->has_personal() ||
      !options_.local.personal.empty()) {
    return;
  }
  options_.local.personal = options_.parts->Personal(
      InitialWeights(options_.parts->whole(), options_.spec.model().seed()));
}

std::vector<float> MemberEngine::WholeModel(std::span<const float> travelling) const {
  if (!options_.parts || !options_.parts->has_personal()) {
    return {travelling.begin(), travelling.end()};
  }
  return options_.parts->Join(travelling, options_.local.personal);
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
  member::StartTraining training{.training = attempt_->training,
                                 .params = WholeModel(params),
                                 .plan = attempt_->contribution.MakePlan(bulk_random_),
                                 .standards = std::move(standards)};
  auto* epochs = std::get_if<EpochsPlan>(&training.plan);
  if (epochs != nullptr && !epochs->correction.empty() && options_.parts) {
    // What stays here is steered by nobody.
    const std::vector<float> nothing(options_.parts->personal().dim());
    epochs->correction = options_.parts->Join(epochs->correction, nothing);
  }
  out->push_back(std::move(training));
}

// Takes out of an update what stays here, and prepares what to keep if the attempt succeeds.
LocalUpdate MemberEngine::TravellingPart(LocalUpdate update) {
  auto* floats = std::get_if<std::vector<float>>(&update);
  const bool personal = options_.parts && options_.parts->has_personal();
  if (floats == nullptr || !(personal || attempt_->terms.control_variates)) return update;
  LocalState next{.round = attempt_->round, .personal = options_.local.personal};
  if (personal) {
    const std::vector<float> change = options_.parts->Personal(*floats);
    for (size_t i = 0; i < change.size(); ++i) {
      next.personal[i] =
          std::clamp(next.personal[i] + change[i], -std::numeric_limits<float>::max(),
                     std::numeric_limits<float>::max());
    }
    update = options_.parts->Travelling(*floats);
  }
  attempt_->next = std::move(next);
  return update;
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
