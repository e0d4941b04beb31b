// HOST:PORT as people write it, and why a server could not listen there. Thread-safe.
#ifndef DURE_TRANSPORT_ADDRESS_H_
#define DURE_TRANSPORT_ADDRESS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace dure {

// A DNS name has at most 253 characters.
inline constexpr size_t kMaxHostBytes = 253;

struct Address {
  std::string host;  // a name or an IPv4 or IPv6 address, without brackets
  uint16_t port;
  // HOST:PORT, with brackets around IPv6.
  std::string ToString() const;
};

// Reads "host:port", "192.0.2.7:port" or "[2001:db8::7]:port". Only the form is checked.
// InvalidArgument with what is wrong.
absl::StatusOr<Address> ParseAddress(std::string_view text);

// Finds out, by trying it, why listening at `address` failed.
//   AlreadyExists     another program listens there
//   InvalidArgument   the host is not an address of this machine
//   PermissionDenied  the system does not allow the port
//   Unavailable       another reason, or none any more
absl::Status ExplainListenFault(const Address& address);

}  // namespace dure

#endif  // DURE_TRANSPORT_ADDRESS_H_
