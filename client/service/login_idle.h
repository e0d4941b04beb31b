// Asks logind whether this machine's sessions are idle (org.freedesktop.login1.Manager, properties
// IdleHint and IdleSinceHint). libsystemd is loaded when it is wanted, so that neither the build
// nor a machine without it needs it. Thread-safe.
#ifndef DURE_CLIENT_SERVICE_LOGIN_IDLE_H_
#define DURE_CLIENT_SERVICE_LOGIN_IDLE_H_

#include <optional>

#include "absl/time/time.h"

namespace dure {

// Since when all sessions are idle; `now` if one is not. Nothing if logind cannot be asked, or does
// not answer within a second.
std::optional<absl::Time> LoginIdleSince(absl::Time now);

}  // namespace dure

#endif  // DURE_CLIENT_SERVICE_LOGIN_IDLE_H_
