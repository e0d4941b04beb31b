// The systemd user unit of a member's client: what it may reach is as little as a client needs.
#ifndef DURE_CLI_CLIENT_UNIT_H_
#define DURE_CLI_CLIENT_UNIT_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "client/service/node.h"

namespace dure::cli {

struct ClientUnit {
  std::string name;  // "dure-client.service"
  std::string path;  // where it belongs
  std::string text;
  std::vector<std::string> notes;  // what this machine does not allow, in words
};

struct ClientUnitOptions {
  std::string trainer;         // "": dure-trainer
  std::string default_folder;  // of nodes: its unit has the plain name
};

// ~/.config/systemd/user/dure-client.service, or dure-client-FOLDER.service for another folder than
// the default one. FailedPrecondition without a home folder.
absl::StatusOr<std::string> ClientUnitPath(const std::string& node_folder,
                                           const std::string& default_folder);
absl::StatusOr<ClientUnit> MakeClientUnit(const Node& node, const ClientUnitOptions& options);

// A word of a command line in a unit (systemd.service(5), COMMAND LINES).
std::string QuotedForUnit(std::string_view word);

}  // namespace dure::cli

#endif  // DURE_CLI_CLIENT_UNIT_H_
