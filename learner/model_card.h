// The model card of an exported model: README.md beside model.safetensors, with front matter as
// model hubs read it. What it says of privacy follows from what the file says of itself: whom
// epsilon is for, who added the noise, what the coordinator saw. Thread-safe: a pure function.
#ifndef DURE_LEARNER_MODEL_CARD_H_
#define DURE_LEARNER_MODEL_CARD_H_

#include <cstdint>
#include <map>
#include <string>

#include "learner/architecture.h"

namespace dure {

// `metadata` is that of the model file: the keys of learner/released_model.h.
std::string ModelCard(const std::map<std::string, std::string>& metadata,
                      const Architecture& architecture, uint64_t dim);

}  // namespace dure

#endif  // DURE_LEARNER_MODEL_CARD_H_
