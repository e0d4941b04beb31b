// A federation file that changes after members have agreed to it. Not thread-safe for one store.
#ifndef DURE_COORDINATOR_SERVICE_NEW_TERMS_H_
#define DURE_COORDINATOR_SERVICE_NEW_TERMS_H_

#include "absl/status/status.h"
#include "base/strong_id.h"
#include "coordinator/service/federation_folder.h"
#include "coordinator/service/store.h"
#include "proto/federation.pb.h"

namespace dure {

// FailedPrecondition, naming what must stay, if a run that has begun cannot go on under `after`:
// the model and the kind of optimiser, whose state is kept, and whatever an attempt costs, so that
// what has been charged and what will be are in one account.
absl::Status CheckNewTerms(const FederationSpec& before, const FederationSpec& after);

// Binds the store to the terms of `federation`, after `attempts` attempts under those before.
absl::Status AdoptTerms(const FederationFolder& federation, AttemptNumber attempts, Store& store);

}  // namespace dure

#endif  // DURE_COORDINATOR_SERVICE_NEW_TERMS_H_
