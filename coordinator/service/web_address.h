// Where the web page of a coordinator listens, and which names it answers to. Thread-safe: pure
// functions.
#ifndef DURE_COORDINATOR_SERVICE_WEB_ADDRESS_H_
#define DURE_COORDINATOR_SERVICE_WEB_ADDRESS_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace dure {

struct WebAddress {
  std::string host;  // without brackets
  int port = 0;      // 0: the system chooses
  bool loopback = true;

  // HOST:PORT, with brackets around an IPv6 address.
  std::string ToString() const;
};

// "8080" and ":8080" are ports of 127.0.0.1; anything else is stated in full: HOST:PORT or
// [IPV6]:PORT. InvalidArgument with the remedy.
absl::StatusOr<WebAddress> ParseWebAddress(std::string_view text);

// Whether a request with this Host header may be answered. A page of somebody else's that a browser
// here shows can have its own name resolved to this machine (DNS rebinding), but not choose its
// name: only names and addresses of the loopback and the stated host are taken, and where that is
// every address of the machine, any address as a number and the machine's own name.
bool HostIsAllowed(const WebAddress& address, std::string_view host_header);

}  // namespace dure

#endif  // DURE_COORDINATOR_SERVICE_WEB_ADDRESS_H_
