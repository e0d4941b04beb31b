// What is left of `dure join` when the organiser signs memberships on another machine.
#ifndef DURE_CLI_JOIN_COMMAND_H_
#define DURE_CLI_JOIN_COMMAND_H_

#include <string>

#include "absl/status/status.h"

namespace dure::cli {

// If the membership in `node_folder` waits for the organiser's signature, says so and asks for it
// until it is there; OK at once if it waits for none. May be ended by a signal at any moment.
absl::Status AwaitMembership(const std::string& node_folder);

}  // namespace dure::cli

#endif  // DURE_CLI_JOIN_COMMAND_H_
