// Turns what gRPC says about a call that failed into words for people and a code to act on.
#ifndef DURE_TRANSPORT_CONNECT_FAULT_H_
#define DURE_TRANSPORT_CONNECT_FAULT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace dure {

// `status` is the end of a call to the coordinator at `address`; the codes are those of client.h.
// Words of the coordinator's own are kept, without control characters and not longer than 1 KiB.
// `now` is this machine's time, by which TLS judged the other end's certificate. Pure.
absl::Status ExplainCallFault(const absl::Status& status, const std::string& address,
                              absl::Time now);

// Marks the end of a call as that of one to somebody who is not this federation's coordinator: a
// proxy that opens TLS, another server, a clock that is wrong. All of these may pass by themselves.
absl::Status MarkNotCoordinator(absl::Status status);
bool IsNotCoordinator(const absl::Status& status);

}  // namespace dure

#endif  // DURE_TRANSPORT_CONNECT_FAULT_H_
