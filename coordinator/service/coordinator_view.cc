// What a running coordinator says of its members.
#include <limits>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/service/coordinator_service.h"
#include "coordinator/service/membership.h"

namespace dure {

// The list comes from the database, beside the strand; only who is here is asked of it.
absl::StatusOr<MembersReply> CoordinatorService::Members() {
  absl::StatusOr<MembersReply> reply = ListMembers(*store_);
  if (reply.ok()) strand_->PostAndWait([&] { FillPresence(&*reply); });
  return reply;
}

void CoordinatorService::FillPresence(MembersReply* reply) const {
  std::map<std::string, std::string> doings;
  for (const auto& [id, peer] : peer_of_) doings[ToHex(id)] = "is agreeing to the terms";
  for (auto& [id, doing] : engine_->Doings()) {
    auto found = doings.find(ToHex(id));
    if (found != doings.end()) found->second = std::move(doing);
  }
  for (MembersReply::Member& member : *reply->mutable_members()) {
    const auto found = doings.find(member.client_id());
    if (found == doings.end()) continue;
    member.set_connected(true);
    member.set_doing(found->second);
  }
}

// Looked at with each beat: to a second is enough for people.
void CoordinatorService::NotePhase(absl::Time now) {
  const RunStatus status =
      engine_->Status(RoundNumber(std::numeric_limits<uint32_t>::max()), /*max_rounds=*/0);
  std::string phase = absl::StrCat(status.state(), " ", status.attempt(), " ", status.phase());
  if (phase == phase_) return;
  phase_ = std::move(phase);
  phase_since_ = now;
}

}  // namespace dure
