// The schema that a federation's terms name (data.schema), in the organiser's folder.
#ifndef DURE_COORDINATOR_SERVICE_FEDERATION_SCHEMA_H_
#define DURE_COORDINATOR_SERVICE_FEDERATION_SCHEMA_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "coordinator/run_state.h"
#include "learner/data/column_sums.h"
#include "proto/federation.pb.h"

namespace dure {

// Nothing if `spec` names none. NotFound; FailedPrecondition if it is not the one that the terms
// mean; InvalidArgument, naming file and line, if it is no schema.
absl::StatusOr<std::optional<Schema>> ReadFederationSchema(const std::string& folder,
                                                           const FederationSpec& spec);

// The schema by which a raw table becomes what the models of `run` were trained on: with its
// standardisation, where statistics gave one. Nothing without data.schema.
absl::StatusOr<std::optional<Schema>> CompletedSchema(const std::string& folder,
                                                      const FederationSpec& spec,
                                                      const RunState& run);

}  // namespace dure

#endif  // DURE_COORDINATOR_SERVICE_FEDERATION_SCHEMA_H_
