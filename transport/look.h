// Why a coordinator cannot be reached, found out step by step and said in plain words: the name,
// the connection, who shows which certificate there. For messages and `dure preflight` only;
// sessions verify for themselves. Blocking. Thread-safe.
#ifndef DURE_TRANSPORT_LOOK_H_
#define DURE_TRANSPORT_LOOK_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/file.h"

namespace dure {

struct AddressLook {
  // Unavailable: the name is not known, or nobody takes the connection, with the cause and a
  // remedy; InvalidArgument: no HOST:PORT.
  absl::Status reached;
  std::string where;  // "192.0.2.7:7000", the last that was tried
  // Of what answers, if `reached` is OK: Unauthenticated, with the fingerprint of the CA that was
  // expected and the issuer that was met, if TLS is opened on the way or somebody else is there;
  // FailedPrecondition if it is the coordinator's certificate, but not of this time;
  // Unavailable if it speaks no TLS.
  absl::Status tls;
};

// `ca_der` is the enrolment CA's certificate; `now` is what certificates are judged by; each step
// takes at most `timeout`, but for the system's own look-up of names.
AddressLook LookAtAddress(const std::string& address, std::string_view ca_der, absl::Time now,
                          absl::Duration timeout);

}  // namespace dure

#endif  // DURE_TRANSPORT_LOOK_H_
