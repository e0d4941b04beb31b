// A membership that is not complete: this machine's key is made and the certificate asked for, and
// the answer has not come, because the organiser signs on another machine or because somebody
// interrupted it. NODE/private/joining.json keeps what is needed to ask again, token included,
// until the certificate is there. Not thread-safe for one folder.
#ifndef DURE_CLIENT_SERVICE_JOINING_H_
#define DURE_CLIENT_SERVICE_JOINING_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/service/node.h"

namespace dure {

struct Joining {
  std::string token;  // as the organiser gave it
  Membership membership;
};

absl::Status WriteJoining(const std::string& node_folder, const Joining& joining);
// Nothing if the folder has none. DataLoss, naming the file, if it cannot be understood.
absl::StatusOr<std::optional<Joining>> ReadJoining(const std::string& node_folder);
void ForgetJoining(const std::string& node_folder);

// What PrepareNode has written, for the certificate that is to come. Errors as ReadNode.
absl::StatusOr<Node> ReadPreparedNode(const std::string& node_folder, const Joining& joining);

}  // namespace dure

#endif  // DURE_CLIENT_SERVICE_JOINING_H_
