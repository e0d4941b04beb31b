// What the coordinator sends: steps 2, 4, 6 and 8 of the table in docs/secure-aggregation.md
// section 1.2, made anew from the session's state whenever they are asked for.
#include "privacy/secagg/server.h"

namespace dure::secagg {

absl::StatusOr<DownMessage> Server::LatestFor(const MemberId& id) const {
  auto found = members_.find(id);
  if (found == members_.end() || !Expects(found->second) || phase() == Phase::kAdvertise) {
    return absl::NotFoundError("no message for this member in this phase");
  }
  const Member& member = found->second;
  DownMessage message;
  message.set_session_id(ToString(session_id_));
  switch (phase()) {
    case Phase::kShares:
      *message.mutable_roster() = RosterMessage();
      break;
    case Phase::kMaskedInput:
      *message.mutable_dealt() = DealtMessage(member);
      break;
    case Phase::kConsent:
      *message.mutable_survivors() = SurvivorsMessage(member);
      break;
    default:
      *message.mutable_quorum() = QuorumMessage();
  }
  return message;
}

Roster Server::RosterMessage() const {
  Roster message;
  for (uint32_t i = 0; i < roster_.size(); ++i) {
    *message.add_entries() = *At(ClientIndex(i)).advertise;
  }
  message.set_signature(signature_);
  return message;
}

Dealt Server::DealtMessage(const Member& member) const {
  Dealt message;
  message.set_bitmap(u2_->ToString());
  message.set_signature(signature_);
  for (const ClientIndex dealer : graph().Neighbours(*member.index)) {
    const Edge edge = {.dealer = dealer, .holder = *member.index};
    if (!u2_->Contains(dealer.value())) continue;
    *message.add_dealers() =
        At(edge.dealer).dealing->For(edge.dealer, graph().PositionOfHolder(edge));
  }
  return message;
}

Survivors Server::SurvivorsMessage(const Member& member) const {
  Survivors message;
  message.set_bitmap(u3_->ToString());
  message.set_signature(signature_);
  for (const ClientIndex v : graph().Neighbours(*member.index)) {
    if (!u3_->Contains(v.value())) continue;
    const Upload& of = *At(v).upload;
    Survivors::Upload& upload = *message.add_uploads();
    upload.set_member(v.value());
    upload.set_packed_hash(ToString(of.packed_hash));
    upload.set_void_bitmap(of.voids.ToString());
    upload.set_signature(of.signature);
  }
  return message;
}

Quorum Server::QuorumMessage() const {
  Quorum message;
  // More signatures than a quorum prove nothing more.
  for (uint32_t v = 0; v < roster_.size(); ++v) {
    if (static_cast<uint32_t>(message.signers_size()) == rules_->quorum) break;
    const Member& member = At(ClientIndex(v));
    if (!member.consent.has_value()) continue;
    Quorum::Signer& signer = *message.add_signers();
    signer.set_member(v);
    signer.set_signature(*member.consent);
  }
  return message;
}

}  // namespace dure::secagg
