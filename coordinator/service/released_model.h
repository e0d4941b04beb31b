// The newest released model as a file that says itself what it is and what it cost in privacy.
#ifndef DURE_COORDINATOR_SERVICE_RELEASED_MODEL_H_
#define DURE_COORDINATOR_SERVICE_RELEASED_MODEL_H_

#include <string>

#include "absl/status/statusor.h"
#include "federation/model_file.h"

namespace dure {

// Reads the federation in `folder`, beside a coordinator that may be running. FailedPrecondition if
// no round has been released yet; else as Store::OpenForReading and ReadFederationFolder.
absl::StatusOr<ModelFile> ReadReleasedModel(const std::string& folder);

}  // namespace dure

#endif  // DURE_COORDINATOR_SERVICE_RELEASED_MODEL_H_
