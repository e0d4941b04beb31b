// The end of a membership on this machine: the client that runs is stopped, the coordinator told,
// the keys are overwritten and removed, and, if that is wanted, everything else that dure has put
// into the node's folder. What the ledgers of the data say stays: what was learned of the records
// is not unlearned by leaving. Blocking; not thread-safe for one folder.
#ifndef DURE_CLIENT_SERVICE_LEAVING_H_
#define DURE_CLIENT_SERVICE_LEAVING_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/file.h"
#include "client/service/node.h"

namespace dure {

// Ends the client that runs in the folder, if one does, and keeps others from starting while the
// lock lives. DeadlineExceeded if it does not end within `timeout`.
absl::StatusOr<FileLock> StopClient(const std::string& node_folder, absl::Duration timeout);

// Tells the coordinator that this member leaves for good, for its organiser to read. Errors as
// those of a session: leaving goes on without.
absl::Status SayFarewell(const Node& node, absl::Duration timeout);

struct ForgetPlan {
  std::vector<std::string> files;  // that are removed, those with secrets first
  std::vector<std::string> kept;   // what else is in the folder
};
// What forgetting the membership removes: the keys, the certificate and what depends on them; with
// `purge` all that dure keeps there. Files of others are never among them.
ForgetPlan PlanForgetting(const std::string& node_folder, bool purge);
// Overwrites what is secret, removes the files and the folders that are empty then. The first error
// is given when all has been tried.
absl::Status Forget(const std::string& node_folder, const ForgetPlan& plan);

}  // namespace dure

#endif  // DURE_CLIENT_SERVICE_LEAVING_H_
