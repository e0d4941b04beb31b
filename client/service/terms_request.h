// Asks the coordinator for the federation's terms as they are now, without taking part. Blocking;
// thread-safe.
#ifndef DURE_CLIENT_SERVICE_TERMS_REQUEST_H_
#define DURE_CLIENT_SERVICE_TERMS_REQUEST_H_

#include <optional>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/service/node.h"
#include "proto/federation.pb.h"

namespace dure {

// Not while a client runs on the node: the coordinator keeps one connection of each member.
// Unavailable or DeadlineExceeded if nobody answers within `timeout`; Unauthenticated if it is not
// the pinned coordinator; InvalidArgument if the terms make no sense; else the coordinator's words.
// `clock_ahead`, if it is given: how far this machine's clock is ahead of the coordinator's, if
// that says what time it is.
absl::StatusOr<FederationSpec> AskForTerms(const Node& node, absl::Duration timeout,
                                           std::optional<absl::Duration>* clock_ahead = nullptr);

}  // namespace dure

#endif  // DURE_CLIENT_SERVICE_TERMS_REQUEST_H_
