// How a member's trainer is started: by what the node has approved and registered, within what its
// owner gives it of the machine. Thread-safe: pure but for reading the node's files.
#ifndef DURE_CLIENT_SERVICE_TRAINER_OPTIONS_H_
#define DURE_CLIENT_SERVICE_TRAINER_OPTIONS_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "client/service/node.h"
#include "learner/data/schema.h"
#include "learner/trainer_process.h"

namespace dure {

// The federation's schema; nothing where the terms name none.
absl::StatusOr<std::optional<Schema>> FederationSchemaOf(const Node& node);

// Of the trainer of one part of the data, but for which part it is. Data must be registered.
// `threads`: as many as there may be without a limit of the owner's.
absl::StatusOr<TrainerOptions> TrainerOptionsOf(const Node& node, const std::string& program,
                                                int threads);

}  // namespace dure

#endif  // DURE_CLIENT_SERVICE_TRAINER_OPTIONS_H_
