// A member's side of one attempt, with secure aggregation or without: one offer, one input, and
// what the protocol asks in between. Not thread-safe.
#ifndef DURE_CLIENT_MEMBER_SESSION_H_
#define DURE_CLIENT_MEMBER_SESSION_H_

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ring.h"
#include "privacy/secagg/client.h"
#include "privacy/secagg/plain.h"

namespace dure {

class MemberSession {
 public:
  explicit MemberSession(secagg::Client client) : session_(std::move(client)) {}
  explicit MemberSession(secagg::PlainClient client) : session_(std::move(client)) {}

  // Each returns the message to send, if there is one now. Errors as those of secagg::Client and
  // secagg::PlainClient.
  absl::StatusOr<std::optional<secagg::UpMessage>> StartFromOffer(const secagg::Offer& offer);
  absl::StatusOr<std::optional<secagg::UpMessage>> Receive(const secagg::DownMessage& message);
  absl::StatusOr<std::optional<secagg::UpMessage>> SetInput(RingVector input);

  // secagg::Client::PrepareMasks; without secure aggregation there is nothing to prepare.
  bool PrepareMasks(uint64_t words);

  void End(absl::Status why);
  const absl::Status& ended() const;

  const secagg::SessionId& session_id() const;
  // What the session is bound to: T1; without secure aggregation, where there is no roster, the
  // hash of the config. Set once a message that must be charged is due.
  Digest binding() const;
  // The set of survivors that was agreed to. Precondition: a Consent is due.
  Digest survivors() const;

  // How the coordinator has contradicted itself in this session: Receive() goes on looking after
  // the session's end.
  std::span<const secagg::Evidence> evidence() const;

 private:
  std::variant<secagg::Client, secagg::PlainClient> session_;
};

}  // namespace dure

#endif  // DURE_CLIENT_MEMBER_SESSION_H_
