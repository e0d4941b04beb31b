// Every limit of the wire. Bytes from a peer are decoded only below these.
#ifndef DURE_TRANSPORT_LIMITS_H_
#define DURE_TRANSPORT_LIMITS_H_

#include <cstddef>

#include "absl/time/time.h"

namespace dure {

// Longest message on a session, in either direction, as serialised protobuf.
inline constexpr size_t kMaxMessageBytes = size_t{64} << 20;
// Longest Describe or Enrol request. Anybody who reaches the port may send these.
inline constexpr size_t kMaxEnrolmentBytes = size_t{64} << 10;
// Longest invitation as text.
inline constexpr size_t kMaxTokenBytes = size_t{4} << 10;

// Most bytes of a file in one answer to Fetch. Far enough below what every coordinator may send.
inline constexpr size_t kFetchPieceBytes = size_t{512} << 10;

// What may wait to be sent to one peer. One message longer than the rest is always accepted, so
// that a queue is never too small for a message that the limit above allows.
inline constexpr size_t kMaxQueuedBytes = size_t{128} << 20;
inline constexpr size_t kMaxQueuedMessages = 1024;

// A member asks before it sends a message longer than this. So many may send one at a time, while
// the owner of the server has as many to deal with.
// Whoever has not sent it after kLongMessagePatience may go on, but is no longer counted: a slow
// line holds nobody up for longer.
inline constexpr size_t kLongMessageBytes = size_t{256} << 10;
inline constexpr size_t kLongMessagesAtATime = 2;
inline constexpr absl::Duration kLongMessagePatience = absl::Seconds(2);

// Open sessions and unanswered Describe and Enrol requests of one server.
inline constexpr size_t kMaxSessions = 4096;
inline constexpr size_t kMaxPendingRequests = 64;
// Calls that one connection may have open at once; a member needs one.
inline constexpr int kMaxCallsPerConnection = 4;

// What gRPC may hold in buffers for all connections of a server together. It reads a message whole
// before it looks at its length; above this limit it breaks the streams that hold most instead, so
// that strangers cannot fill the memory. Enough for 16 of the longest messages at once.
inline constexpr size_t kMaxBufferedBytes = size_t{1} << 30;

// Both ends ping after this much silence and give up on the peer when no answer comes in time: a
// peer that vanished is noticed after kKeepaliveInterval + kKeepaliveTimeout, and the entries of
// address translators on the way, kept for 30 seconds or more, do not expire.
inline constexpr absl::Duration kKeepaliveInterval = absl::Seconds(10);
inline constexpr absl::Duration kKeepaliveTimeout = absl::Seconds(10);
// A connection without a call is closed after this time.
inline constexpr absl::Duration kMaxConnectionIdle = absl::Minutes(1);
// Longest TLS handshake, and longest wait of a client for a connection.
inline constexpr absl::Duration kHandshakeTimeout = absl::Seconds(10);
// A closed stream whose peer does not read what is left is cut after this time.
inline constexpr absl::Duration kCloseGrace = absl::Seconds(5);

}  // namespace dure

#endif  // DURE_TRANSPORT_LIMITS_H_
