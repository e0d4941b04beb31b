// Every limit of the wire. Bytes from a peer are decoded only below these.
#ifndef DURE_TRANSPORT_LIMITS_H_
#define DURE_TRANSPORT_LIMITS_H_

#include <cstddef>

#include "absl/time/time.h"

namespace dure {

// Longest message on a session, in either direction, as serialised protobuf.
inline constexpr size_t kMaxMessageBytes = size_t{16} << 20;
// Longest message that a coordinator takes from a member: keys, shares, or an input that travels
// inside its message.
inline constexpr size_t kMaxUpMessageBytes = size_t{1} << 20;
// Longest Describe or Enrol request. Anybody who reaches the port may send these.
inline constexpr size_t kMaxEnrolmentBytes = size_t{64} << 10;
// Longest invitation as text.
inline constexpr size_t kMaxTokenBytes = size_t{4} << 10;

// Most bytes of a file in one answer to Fetch, and how many a client asks for at first: as many as
// come in half a second, so that the coordinator sees a slow line move.
inline constexpr size_t kFetchPieceBytes = size_t{512} << 10;
inline constexpr size_t kFirstFetchPieceBytes = size_t{64} << 10;
inline constexpr size_t kLeastFetchPieceBytes = size_t{16} << 10;

// The pieces of a member's long input (privacy/secagg/limits.h), and how many of them are given to
// the connection at a time.
inline constexpr size_t kInputPieceBytes = size_t{64} << 10;
inline constexpr size_t kInputPiecesAtATime = 4;

// What may wait to be sent to one peer. One message longer than the rest is always accepted, so
// that a queue is never too small for a message that the limit above allows.
inline constexpr size_t kMaxQueuedBytes = size_t{32} << 20;
inline constexpr size_t kMaxQueuedMessages = 1024;

// Connections of which no call has yet shown whose they are: in all, from one address, and for how
// long. Enough for hundreds of members that come back at one moment.
inline constexpr size_t kMaxStrangers = 512;
inline constexpr size_t kMaxStrangersOfAddress = 64;
inline constexpr absl::Duration kStrangerPatience = absl::Seconds(20);

// Open sessions and unanswered Describe and Enrol requests of one server.
inline constexpr size_t kMaxSessions = 100'000;
inline constexpr size_t kMaxPendingRequests = 64;
// Calls that one connection may have open at once; a member needs one.
inline constexpr int kMaxCallsPerConnection = 4;

// What gRPC may hold in buffers for all connections of a server together. It reads a message whole
// before it looks at its length; above this limit it breaks the streams that hold most instead, so
// that strangers cannot fill the memory. Enough for 16 of the longest messages at once.
inline constexpr size_t kMaxBufferedBytes = size_t{256} << 20;

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
