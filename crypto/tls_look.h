// Looks at who answers on a connection: a TLS handshake without verification, which learns nothing
// secret and sends nothing but a hello. For saying whom one got in the place of whom one expected,
// never for deciding whom to trust. Over OpenSSL. Thread-safe.
#ifndef DURE_CRYPTO_TLS_LOOK_H_
#define DURE_CRYPTO_TLS_LOOK_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace dure {

struct TlsPeer {
  std::string certificate;  // DER, of the peer itself; may be larger than ours ever are
  std::string subject;      // in RFC 2253's form, printable, at most 200 bytes
  std::string issuer;       // the same
  absl::Time not_before = absl::InfinitePast();
  absl::Time not_after = absl::InfiniteFuture();
};

// `socket` is connected, blocking, with the time limits of its owner, and borrowed. Unavailable, in
// plain words, if the handshake does not come about; NotFound if no certificate is shown.
absl::StatusOr<TlsPeer> LookAtTlsPeer(int socket, std::string_view server_name);

}  // namespace dure

#endif  // DURE_CRYPTO_TLS_LOOK_H_
