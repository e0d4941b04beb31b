// NODE/private/local-state: what a member keeps from round to round (client/local_state.h). Written
// in one piece, so that a crash leaves the state before or after. Not thread-safe: the node's lock
// keeps a second client away.
#ifndef DURE_CLIENT_SERVICE_LOCAL_STATE_FILE_H_
#define DURE_CLIENT_SERVICE_LOCAL_STATE_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/local_state.h"
#include "federation/model_parts.h"
#include "proto/federation.pb.h"

namespace dure {

std::string LocalStatePath(const std::string& node_folder);

// Nothing, and the file is removed, if it is of another model than that of `spec`, or if `spec` has
// nothing to keep; nothing too if there is none. DataLoss, with the remedy, if it is damaged.
absl::StatusOr<LocalState> ReadLocalState(const std::string& node_folder,
                                          const FederationSpec& spec, const ModelParts& parts);

absl::Status WriteLocalState(const std::string& node_folder, const FederationSpec& spec,
                             const LocalState& state);

}  // namespace dure

#endif  // DURE_CLIENT_SERVICE_LOCAL_STATE_FILE_H_
