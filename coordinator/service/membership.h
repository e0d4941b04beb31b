// Who may join and who has: what a running coordinator answers to `dure invite` and `dure members`,
// and what those do themselves while none runs. Not thread-safe for one store.
#ifndef DURE_COORDINATOR_SERVICE_MEMBERSHIP_H_
#define DURE_COORDINATOR_SERVICE_MEMBERSHIP_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/service/federation_folder.h"
#include "coordinator/service/store.h"
#include "crypto/random.h"
#include "proto/control.pb.h"

namespace dure {

inline constexpr absl::Duration kShortestInvitation = absl::Minutes(1);
inline constexpr absl::Duration kLongestInvitation = absl::Hours(24 * 30);

// The parts of HOST:PORT.
std::string HostOf(const std::string& address);
std::string PortOf(const std::string& address);
// `address` with `port` in place of port 0, which stands for one that the system chooses.
std::string WithPort(const std::string& address, int port);

struct InviteContext {
  std::string address;  // that members dial
  absl::Time now;
};

// Makes a single-use token. InvalidArgument for a name, organisation or time that does not fit;
// FailedPrecondition if the address has no port yet; AlreadyExists if the name is taken.
absl::StatusOr<InviteReply> Invite(const FederationFolder& federation, Store& store,
                                   const InviteContext& context, const InviteRequest& request,
                                   Random& random);

// Everybody who ever joined, by name; `connected` is left false.
absl::StatusOr<MembersReply> ListMembers(Store& store);

}  // namespace dure

#endif  // DURE_COORDINATOR_SERVICE_MEMBERSHIP_H_
