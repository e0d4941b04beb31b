// A member's end of the wire: blocking calls for whoever holds an invitation or wants a file, and
// the session, one stream to the coordinator. The coordinator proves itself with a certificate of
// the federation's enrolment CA, whatever address it is dialled at; proxies are not used.
//
// Errors of all of them say whose fault it is by their code:
//   Unavailable      nobody answers at the address, in time, or the connection was lost: try later
//   Unauthenticated  one end could not prove who it is, and the message says which: the address is
//                    answered by something else than this federation's coordinator, or the
//                    coordinator refuses this member's certificate
//   InvalidArgument  an address, certificate or key given here that cannot be used; or the
//                    coordinator could not read what this program sent
//   Internal         the coordinator sent bytes that are no message; Unimplemented where gRPC says
//                    so itself
//   any other        the coordinator's own words
#ifndef DURE_TRANSPORT_CLIENT_H_
#define DURE_TRANSPORT_CLIENT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "crypto/random.h"
#include "crypto/x509.h"
#include "proto/wire.pb.h"
#include "transport/limits.h"

namespace dure {

// Asks the coordinator what the invitation is for. Does not use it up. Blocks for at most
// `timeout`. Thread-safe.
absl::StatusOr<DescribeReply> Describe(const Invitation& invitation, absl::Duration timeout);

// Uses the invitation up. `request.secret` is filled in from the invitation. Blocks for at most
// `timeout`. Thread-safe.
absl::StatusOr<EnrolReply> Enrol(const Invitation& invitation, EnrolRequest request,
                                 absl::Duration timeout);

// Who asks for a file, and from whom.
struct FetchSource {
  std::string address;          // HOST:PORT
  std::string ca_certificate;   // DER of the enrolment CA
  std::string secret;           // of an invitation; or:
  std::string certificate_pem;  // this member's
  std::string key_pem;          // PKCS #8
};

// Fetches the file whose SHA-256 has the 32 bytes `sha256`, piece by piece, and gives the pieces to
// `take` in their order; a piece that does not come within `timeout` ends it, as does what `take`
// returns. ResourceExhausted if the file has more than `max_bytes`; Internal if what comes is not
// that file, which is known when its last piece has been taken. Thread-safe.
absl::Status Fetch(const FetchSource& source, std::string_view sha256, uint64_t max_bytes,
                   absl::Duration timeout,
                   const std::function<absl::Status(std::string_view)>& take);

// The same, for as long as it takes: where the coordinator cannot be reached, it waits, dials again
// and goes on at the byte where it stopped, until `go_on`, which is asked before every piece and
// every try, says no (Cancelled). `wait` sleeps.
struct FetchPatience {
  std::function<bool()> go_on;
  std::function<void(absl::Duration)> wait;
};
absl::Status FetchPatiently(const FetchSource& source, std::string_view sha256, uint64_t max_bytes,
                            absl::Duration timeout, const FetchPatience& patience, Random* random,
                            const std::function<absl::Status(std::string_view)>& take);

// Asks, as the member that `source` is, for a newer certificate of the same key. Blocks for at most
// `timeout`. Thread-safe.
absl::StatusOr<RenewReply> Renew(const FetchSource& source, const RenewRequest& request,
                                 absl::Duration timeout);

// How many bytes the coordinator says that file has.
absl::StatusOr<uint64_t> FetchSize(const FetchSource& source, std::string_view sha256,
                                   absl::Duration timeout);

// What happens at a session. Called on gRPC's threads, one call at a time and in this order:
// OnOpen at most once, any number of OnMessage, OnClose once. An implementation only posts to its
// strand.
class SessionEvents {
 public:
  virtual ~SessionEvents() = default;
  // The coordinator accepted this member. Its certificate, verified, with the DER for those who
  // pin it.
  virtual void OnOpen(Certificate coordinator, std::string certificate_der) = 0;
  // The next message is read when every copy of `credit` has ended, and only then is it noticed
  // that the session has: let it end when the message is dealt with. It may outlive the session.
  virtual void OnMessage(ServerMessage message, std::shared_ptr<void> credit) = 0;
  // OK: the coordinator, or Close(), ended the session in good order. Else see above.
  virtual void OnClose(absl::Status status) = 0;
};

struct SessionOptions {
  std::string address;          // HOST:PORT
  std::string ca_pem;           // the enrolment CA
  std::string certificate_pem;  // this member's
  std::string key_pem;          // PKCS #8
  size_t max_message_bytes = kMaxMessageBytes;
  size_t max_queued_bytes = kMaxQueuedBytes;
  size_t max_queued_messages = kMaxQueuedMessages;
  // Longest wait for a connection.
  absl::Duration connect_timeout = kHandshakeTimeout;
};

// One stream to the coordinator. It does not reconnect: open another, with Backoff between.
// Thread-safe. Nothing is called while a lock is held.
class Session {
 public:
  // Begins to connect and returns. `events` is borrowed and must outlive the session.
  // InvalidArgument for an address, certificate or key that cannot be used, or a key that is not
  // the certificate's.
  static absl::StatusOr<std::unique_ptr<Session>> Open(const SessionOptions& options,
                                                       SessionEvents* events);
  // Cuts the stream if it is open, and waits for OnClose. Not from inside an event.
  ~Session();

  // Sends in order. Does not block; may be called before OnOpen. ResourceExhausted: the message is
  // too long or the queue is full, and it was not taken; the session stays open. Unavailable: the
  // session is closed.
  // `sent`, if there is one, is called once, when the message has been given to the connection or
  // will not be: on any thread, from inside calls of this class, so that it may only post.
  absl::Status Send(ClientMessage message, std::function<void()> sent = nullptr);

  // Sends what is queued, then says goodbye; OnClose follows when the coordinator has answered. A
  // coordinator that does not within kCloseGrace is cut off.
  void Close();

 private:
  struct Impl;
  explicit Session(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace dure

#endif  // DURE_TRANSPORT_CLIENT_H_
