#include "client/member_session.h"

#include "base/status_macros.h"

namespace dure {

using secagg::PlainClient;
using secagg::UpMessage;

absl::StatusOr<std::optional<UpMessage>> MemberSession::StartFromOffer(const secagg::Offer& offer) {
  if (auto* plain = std::get_if<PlainClient>(&session_)) {
    DURE_RETURN_IF_ERROR(plain->StartFromOffer(offer));
    return std::nullopt;
  }
  DURE_ASSIGN_OR_RETURN(UpMessage advertise,
                        std::get<secagg::Client>(session_).StartFromOffer(offer));
  return advertise;
}

absl::StatusOr<std::optional<UpMessage>> MemberSession::Receive(
    const secagg::DownMessage& message) {
  if (auto* client = std::get_if<secagg::Client>(&session_)) return client->Receive(message);
  return absl::FailedPreconditionError("a message of secure aggregation, which is off here");
}

absl::StatusOr<std::optional<UpMessage>> MemberSession::SetInput(RingVector input) {
  if (auto* client = std::get_if<secagg::Client>(&session_)) {
    return client->SetInput(std::move(input));
  }
  DURE_ASSIGN_OR_RETURN(UpMessage message, std::get<PlainClient>(session_).SetInput(input));
  return message;
}

bool MemberSession::PrepareMasks(uint64_t words) {
  auto* client = std::get_if<secagg::Client>(&session_);
  return client != nullptr && client->PrepareMasks(words);
}

void MemberSession::End(absl::Status why) {
  std::visit([&](auto& session) { session.End(std::move(why)); }, session_);
}

const absl::Status& MemberSession::ended() const {
  return std::visit([](const auto& session) -> const absl::Status& { return session.ended(); },
                    session_);
}

const secagg::SessionId& MemberSession::session_id() const {
  return std::visit(
      [](const auto& session) -> const auto& { return session.session_id(); }, session_);
}

Digest MemberSession::binding() const {
  if (const auto* client = std::get_if<secagg::Client>(&session_)) return *client->t1();
  return std::get<PlainClient>(session_).config_hash();
}

std::span<const secagg::Evidence> MemberSession::evidence() const {
  if (const auto* client = std::get_if<secagg::Client>(&session_)) return client->evidence();
  return {};
}

Digest MemberSession::survivors() const { return *std::get<secagg::Client>(session_).t3(); }

}  // namespace dure
