// How the part of a model that travels and the part that stays with a member (model.personal) come
// together for training and are taken apart afterwards. Thread-safe: pure functions.
#ifndef DURE_CLIENT_LOCAL_PART_H_
#define DURE_CLIENT_LOCAL_PART_H_

#include <optional>
#include <span>
#include <vector>

#include "base/strong_id.h"
#include "client/local_state.h"
#include "federation/model_parts.h"
#include "federation/terms/terms.h"
#include "learner/trainer.h"

namespace dure {

// What a member that has no personal values yet begins with: everybody's, from model.seed. Empty if
// nothing stays.
std::vector<float> FirstPersonalValues(const ModelParts& parts, const ModelSection& model);

// The model to train, in the order of the whole. Where nothing stays, what travels; `parts` may be
// absent then. `local` has personal values if there are any.
std::vector<float> WholeModel(const std::optional<ModelParts>& parts, const LocalState& local,
                              std::vector<float> travelling);

// Makes the corrections of `plan`, if it has any, as long as the whole model: what stays is steered
// by nobody.
void CorrectWhole(const std::optional<ModelParts>& parts, LocalPlan* plan);

// An update of the whole model, taken apart.
struct SplitUpdate {
  LocalUpdate travelling;
  // What to keep once the attempt at `round` is released. Absent where a member keeps nothing; its
  // control variate is still to be filled in.
  std::optional<LocalState> next;
};
SplitUpdate TakeApart(const std::optional<ModelParts>& parts, const LocalState& local,
                      RoundNumber round, const RoundTerms& terms, LocalUpdate update);

}  // namespace dure

#endif  // DURE_CLIENT_LOCAL_PART_H_
