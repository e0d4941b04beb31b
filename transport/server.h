// The coordinator's end of the wire: one port, TLS with the coordinator's certificate, enrolment
// for those who hold an invitation, and one stream for every member that is here. It knows no
// rounds: what messages mean is its owner's business.
#ifndef DURE_TRANSPORT_SERVER_H_
#define DURE_TRANSPORT_SERVER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/strong_id.h"
#include "crypto/x509.h"
#include "proto/wire.pb.h"
#include "transport/doorkeeper.h"
#include "transport/limits.h"

namespace dure {

// One stream of one member; a member that comes back gets a new one. Never repeats in a server.
using PeerId = StrongInt<struct PeerIdTag, uint64_t>;

struct Peer {
  PeerId id;
  Certificate certificate;  // verified: issued by the CA, valid now, a member or an evaluator
  std::string certificate_der;
  std::string address;  // "192.0.2.7:51324", for people
};

// Answers one request. May be called on any thread, at once or later; only the first call counts.
// If every copy ends without a call, or the server shuts down, the answer is Unavailable.
using DescribeCallback = std::function<void(absl::StatusOr<DescribeReply>)>;
using EnrolCallback = std::function<void(absl::StatusOr<EnrolReply>)>;
using FetchCallback = std::function<void(absl::StatusOr<FetchReply>)>;
using RenewCallback = std::function<void(absl::StatusOr<RenewReply>)>;

// While a copy of it lives, no further message is read from the peer that it came with: flow
// control then holds the peer back. Let it end when the message is dealt with. It may outlive the
// server.
using ReadCredit = std::shared_ptr<void>;

// What happens at a server. Called on gRPC's threads, for different peers at once: an
// implementation only posts to its strand. Every call about one peer comes in order: OnOpen, any
// number of OnMessage, OnClose once. A member has one open stream at most: when it opens another,
// OnClose of the older one comes before OnOpen of the newer one.
class ServerEvents {
 public:
  virtual ~ServerEvents() = default;
  // Requests of anybody who reaches the port, below kMaxEnrolmentBytes, at most
  // kMaxPendingRequests unanswered at a time.
  virtual void OnDescribe(DescribeRequest request, DescribeCallback reply) = 0;
  virtual void OnEnrol(EnrolRequest request, EnrolCallback reply) = 0;
  // With an invitation's secret in `request`, or from the holder of a certificate, which is then
  // verified; one of the two.
  virtual void OnFetch(FetchRequest request, std::optional<Certificate> member,
                       FetchCallback reply) = 0;
  // From the holder of a certificate, which is verified.
  virtual void OnRenew(RenewRequest, Certificate, RenewCallback reply) {
    reply(absl::UnimplementedError("certificates are not renewed here"));
  }
  virtual void OnOpen(Peer peer) = 0;
  virtual void OnMessage(PeerId peer, ClientMessage message, ReadCredit credit) = 0;
  // OK: the member ended its stream in good order. The status of Close() if that closed it.
  // InvalidArgument: the member sent bytes that are no message, and was told so.
  // Unavailable: the connection was lost, the member sent a message above the limit, or the server
  // shut down. ResourceExhausted: what was to be sent passed a limit. Aborted: the member opened a
  // newer one.
  virtual void OnClose(PeerId peer, absl::Status status) = 0;
};

struct ServerOptions {
  // HOST:PORT, "[::1]:7443" for IPv6; port 0 lets the system choose.
  std::string listen = "127.0.0.1:0";
  std::string ca_pem;           // the enrolment CA
  std::string certificate_pem;  // the coordinator's
  std::string key_pem;          // PKCS #8
  // Judges certificates of members. Borrowed; null is the system's clock. Read on gRPC's threads.
  Clock* clock = nullptr;
  size_t max_received_bytes = kMaxUpMessageBytes;  // of one message
  size_t max_message_bytes = kMaxMessageBytes;     // of one that is sent
  size_t max_queued_bytes = kMaxQueuedBytes;
  size_t max_queued_messages = kMaxQueuedMessages;
  size_t max_sessions = kMaxSessions;
  absl::Duration close_grace = kCloseGrace;
  Doorkeeper::Options door;
  size_t max_buffered_bytes = kMaxBufferedBytes;  // of all connections together
};

// Thread-safe. Nothing is called while a lock is held.
class Server {
 public:
  // Begins to listen. `events` is borrowed and must outlive the server; the first events may come
  // before Start returns.
  //   InvalidArgument    bad address or PEM, certificate and key that do not fit together
  //   PermissionDenied   the certificate is not the coordinator's, or of another CA; or the system
  //                      does not allow the port
  //   FailedPrecondition the coordinator's certificate has expired
  //   AlreadyExists      another program listens there
  //   Unavailable        the system refuses to listen for another reason
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options,
                                                       ServerEvents* events);
  // Shuts down with a second's grace if Shutdown was not called. Not from inside an event.
  ~Server();

  int port() const;

  // Sends in order. Does not block: a peer whose queue is full is closed with ResourceExhausted.
  // A message for a peer that is gone is dropped. The second form shares one message between
  // peers without copying it for each.
  void Send(PeerId peer, ServerMessage message);
  void Send(PeerId peer, std::shared_ptr<const ServerMessage> message);

  // Sends what is queued, then ends the stream with `status` as its last word: the member's
  // OnClose gets code and message. OnClose of this side follows. A peer that does not take what is
  // queued within `close_grace` is cut off.
  void Close(PeerId peer, absl::Status status);

  // Refuses new calls, closes every stream as Close does with Unavailable "the coordinator is
  // stopping", and returns when all are closed or, `grace` later, cut. Afterwards there are no
  // further events. Later calls return at once. Not from inside an event.
  void Shutdown(absl::Duration grace);

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace dure

#endif  // DURE_TRANSPORT_SERVER_H_
