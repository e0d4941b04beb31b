// A released model, the newest or the one that measured best, as a file that says itself what it is
// and what it cost in privacy.
#ifndef DURE_COORDINATOR_SERVICE_RELEASED_MODEL_H_
#define DURE_COORDINATOR_SERVICE_RELEASED_MODEL_H_

#include <string>

#include "absl/status/statusor.h"
#include "federation/model_file.h"

namespace dure {

enum class ReleasedRound { kNewest, kBest };

// Reads the federation in `folder`, beside a coordinator that may be running. FailedPrecondition if
// no round has been released yet, or, of the best, if none has been measured or its model was not
// kept; else as Store::OpenForReading and ReadFederationFolder.
absl::StatusOr<ModelFile> ReadReleasedModel(const std::string& folder,
                                            ReleasedRound which = ReleasedRound::kNewest);

}  // namespace dure

#endif  // DURE_COORDINATOR_SERVICE_RELEASED_MODEL_H_
