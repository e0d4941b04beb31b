#include "client/local_part.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <variant>

#include "learner/initial_weights.h"

namespace dure {

std::vector<float> FirstPersonalValues(const ModelParts& parts, const ModelSection& model) {
  if (!parts.has_personal()) return {};
  return parts.Personal(InitialWeights(parts.whole(), model.seed()));
}

std::vector<float> WholeModel(const std::optional<ModelParts>& parts, const LocalState& local,
                              std::vector<float> travelling) {
  if (!parts || !parts->has_personal()) return travelling;
  return parts->Join(travelling, local.personal);
}

void CorrectWhole(const std::optional<ModelParts>& parts, LocalPlan* plan) {
  auto* epochs = std::get_if<EpochsPlan>(plan);
  if (epochs == nullptr || epochs->correction.empty() || !parts) return;
  const std::vector<float> nothing(parts->personal().dim());
  epochs->correction = parts->Join(epochs->correction, nothing);
}

SplitUpdate TakeApart(const std::optional<ModelParts>& parts, const LocalState& local,
                      RoundNumber round, const RoundTerms& terms, LocalUpdate update) {
  auto* floats = std::get_if<std::vector<float>>(&update);
  const bool personal = parts && parts->has_personal();
  if (floats == nullptr || !(personal || terms.control_variates)) return {std::move(update), {}};
  LocalState next{.round = round, .control = {}, .personal = local.personal};
  if (personal) {
    const std::vector<float> change = parts->Personal(*floats);
    for (size_t i = 0; i < change.size(); ++i) {
      next.personal[i] =
          std::clamp(next.personal[i] + change[i], -std::numeric_limits<float>::max(),
                     std::numeric_limits<float>::max());
    }
    update = parts->Travelling(*floats);
  }
  return {std::move(update), std::move(next)};
}

}  // namespace dure
