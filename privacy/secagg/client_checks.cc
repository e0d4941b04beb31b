// A member's checks of what the coordinator sends: the right-hand column of the table in
// docs/secure-aggregation.md section 1.2 for steps 2, 6 and 8, and equivocation (section 1.5).
#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "privacy/secagg/client.h"
#include "privacy/secagg/roster.h"

namespace dure::secagg {
namespace {

bool SameAdvertise(const Advertise& a, const Advertise& b) {
  return a.certificate() == b.certificate() && a.enc_key() == b.enc_key() &&
         a.mask_key() == b.mask_key() && a.nonce() == b.nonce() && a.signature() == b.signature();
}

}  // namespace

absl::StatusOr<std::vector<RosterEntry>> Client::VerifyRoster(const Roster& message,
                                                              const Advertise& own) const {
  const auto count = static_cast<uint32_t>(message.entries_size());
  if (count < config_.minimum_roster()) {
    return absl::AbortedError(absl::StrCat("the roster has ", count, " members; at least ",
                                           config_.minimum_roster(), " are needed"));
  }
  const MemberId own_id = MemberIdOf(params_.key->public_key());
  bool own_seen = false;
  std::vector<RosterEntry> roster;
  roster.reserve(count);
  for (const Advertise& advertise : message.entries()) {
    auto entry = ReadAdvertise(advertise, *params_.verifier);
    if (!entry.ok()) {
      return absl::UnauthenticatedError(
          absl::StrCat("entry ", roster.size(), " of the roster: ", entry.status().message()));
    }
    if (!roster.empty() && roster.back().identity.client_id >= entry->identity.client_id) {
      return absl::InvalidArgumentError("the roster's client ids are not strictly ascending");
    }
    if (entry->identity.client_id == own_id) {
      own_seen = SameAdvertise(advertise, own);
    } else {
      DURE_RETURN_IF_ERROR(
          VerifyEntry(*entry, {.session_id = session_id_, .config_hash = config_hash_}));
    }
    roster.push_back(*std::move(entry));
  }
  if (!own_seen) {
    return absl::AbortedError("the roster does not have this member's keys as it sent them");
  }
  if (!IsCoordinators(RosterStatement(RosterHash(session_id_, config_hash_, roster)),
                      message.signature())) {
    return absl::UnauthenticatedError("the roster is not signed by the coordinator");
  }
  if (absl::Status distinct = CheckKeysDistinct(roster); !distinct.ok()) {
    return absl::AbortedError(distinct.message());
  }
  DURE_RETURN_IF_ERROR(CheckPolicy(roster));
  return roster;
}

absl::Status Client::CheckPolicy(std::span<const RosterEntry> roster) const {
  const ClientPolicy& policy = params_.policy;
  if (roster.size() < policy.smallest_roster) {
    return absl::PermissionDeniedError(
        absl::StrCat("the roster has ", roster.size(), " members, and this member's policy wants ",
                     policy.smallest_roster, " at least (its limit min_cohort)"));
  }
  std::map<std::string, uint32_t> per_organisation;
  for (const RosterEntry& entry : roster) {
    const MemberIdentity& identity = entry.identity;
    const std::string* organisation = &identity.organisation;
    if (policy.members.has_value()) {
      const auto pinned = policy.members->find(identity.client_id);
      if (pinned == policy.members->end()) {
        return absl::PermissionDeniedError(
            absl::StrCat(DisplayName(identity),
                         " is in the roster but not in this member's list of members (see dure "
                         "policy set members)"));
      }
      if (pinned->second.revoked) {
        return absl::PermissionDeniedError(
            absl::StrCat(DisplayName(identity),
                         " is in the roster but is revoked in this member's list of members"));
      }
      organisation = &pinned->second.organisation;
    }
    if (organisation->empty()) continue;
    if (++per_organisation[*organisation] > policy.max_per_organisation) {
      return absl::PermissionDeniedError(
          absl::StrCat("the roster has more members of ", *organisation, " than the ",
                       policy.max_per_organisation,
                       " that this member's policy allows (its limit max_per_organisation)"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<MemberSet> Client::VerifySurvivors(const Survivors& message) const {
  const uint32_t members = u2_->size();
  DURE_ASSIGN_OR_RETURN(MemberSet survivors, MemberSet::Parse(message.bitmap(), members));
  if (!IsCoordinators(SurvivorsStatement(SurvivorsHash(*t2_, survivors.bytes())),
                      message.signature())) {
    return absl::UnauthenticatedError("U3 is not signed by the coordinator for this U2");
  }
  if (!survivors.IsSubsetOf(*u2_)) {
    return absl::AbortedError("U3 has members that are not in U2");
  }
  if (!survivors.Contains(self_.value())) {
    return absl::AbortedError("U3 leaves this member out");
  }
  if (const uint32_t count = CountInMySum(survivors); count < thresholds_->sum_minimum) {
    return absl::AbortedError(absl::StrCat("U3 has ", count, " members; at least ",
                                           thresholds_->sum_minimum, " are needed"));
  }
  DURE_RETURN_IF_ERROR(CheckSurvivorsHaveNeighbours(survivors));
  int next = 0;
  for (const ClientIndex v : neighbours_) {
    if (!survivors.Contains(v.value())) continue;
    if (next == message.uploads_size() || message.uploads(next).member() != v.value()) {
      return absl::UnauthenticatedError(
          absl::StrCat("no signed upload of ", DisplayName(roster_[v.value()].identity)));
    }
    DURE_RETURN_IF_ERROR(VerifyUpload(message.uploads(next++)));
  }
  if (next != message.uploads_size()) {
    return absl::InvalidArgumentError("the upload of a member that is not in U3");
  }
  return survivors;
}

absl::Status Client::CheckSurvivorsHaveNeighbours(const MemberSet& survivors) const {
  // Of every survivor, not only of this member's neighbours: on the ring it is what keeps the
  // honest survivors connected, so that no part of the sum can be opened by itself.
  for (uint32_t v = 0; v < survivors.size(); ++v) {
    if (!survivors.Contains(v)) continue;
    uint32_t live = 0;
    for (const ClientIndex neighbour : graph_->Neighbours(ClientIndex(v))) {
      live += survivors.Contains(neighbour.value());
    }
    const uint32_t group = graph_->GroupOf(ClientIndex(v));
    const uint32_t threshold = rules_->OfGroup(graph_->GroupSize(group)).threshold;
    if (live < threshold) {
      return absl::AbortedError(absl::StrCat("U3 gives ", DisplayName(roster_[v].identity), " ",
                                             live, " neighbours; at least ", threshold,
                                             " are needed"));
    }
  }
  return absl::OkStatus();
}

absl::Status Client::VerifyUpload(const Survivors::Upload& upload) const {
  // The statement holds T2: a neighbour that was shown another U2 signed something else.
  const RosterEntry& sender = roster_[upload.member()];
  const Transcript statement =
      MaskedStatement(*t2_, ClientIndex(upload.member()), *DigestFromBytes(upload.packed_hash()),
                      AsBytes(upload.void_bitmap()));
  if (VerifySignature(sender.identity.key, statement.bytes(), AsBytes(upload.signature()))) {
    return absl::OkStatus();
  }
  return absl::UnauthenticatedError(absl::StrCat("the upload of ", DisplayName(sender.identity),
                                                 " is not signed for the U2 that this member saw"));
}

uint32_t Client::CountSigners(const Quorum& message, const std::string& own) const {
  const Transcript statement = ConsentStatement(*t3_);
  uint32_t valid = 0;
  for (const Quorum::Signer& signer : message.signers()) {
    if (valid == rules_->quorum) break;
    const bool is_own = ClientIndex(signer.member()) == self_;
    if (is_own ? signer.signature() == own
               : VerifySignature(roster_[signer.member()].identity.key, statement.bytes(),
                                 AsBytes(signer.signature()))) {
      ++valid;
    }
  }
  return valid;
}

Digest Client::HashOf(DownMessage::KindCase kind) const {
  switch (kind) {
    case DownMessage::kRoster:
      return *t1_;
    case DownMessage::kDealt:
      return *t2_;
    case DownMessage::kSurvivors:
      return *t3_;
    default:
      return Digest{};
  }
}

absl::Status Client::Contradicted() {
  absl::Status why =
      absl::AbortedError("the coordinator signed two different messages of one kind");
  End(why);
  return why;
}

}  // namespace dure::secagg
