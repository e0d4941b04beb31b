#include "privacy/secagg/server.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "privacy/secagg/config.h"

namespace dure::secagg {
namespace {

constexpr std::string_view kPhaseNames[] = {
    "keys", "shares", "masked inputs", "consent", "unmasking shares", "finished", "aborted"};

// "3 of 10 members sent shares; at least 8 are needed".
std::string TooFew(uint32_t answered, size_t of, std::string_view what, uint32_t needed) {
  return absl::StrCat(answered, " of ", of, " members sent ", std::string(what), "; at least ",
                      needed, " are needed");
}

}  // namespace

std::string_view PhaseName(Phase phase) { return kPhaseNames[static_cast<size_t>(phase)]; }

absl::Status CheckCohort(const Server::Params& params) {
  const std::set<MemberId> distinct(params.expected.begin(), params.expected.end());
  if (distinct.size() == params.expected.size() && distinct.size() == params.config.invited()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("a cohort of ", params.expected.size(), " members, ", distinct.size(),
                   " of them distinct, for a config that invites ", params.config.invited()));
}

Offer MakeOffer(const SessionId& session_id, const RoundConfig& config, const Digest& config_hash,
                const SigningKey& key) {
  Offer offer;
  offer.set_session_id(ToString(session_id));
  *offer.mutable_config() = config;
  offer.set_signature(ToString(key.Sign(OfferStatement(session_id, config_hash).bytes())));
  return offer;
}

absl::StatusOr<Server> Server::Create(Params params) {
  DURE_RETURN_IF_ERROR(ValidateConfig(params.config));
  DURE_RETURN_IF_ERROR(CheckCohort(params));
  const Digest config_hash = ConfigHash(params.config);
  return Server(std::move(params), config_hash, RulesOf);
}

Server::Server(Params params, Digest config_hash, SessionRule rule)
    : session_id_(params.session_id),
      config_(std::move(params.config)),
      config_hash_(config_hash),
      rule_(std::move(rule)),
      key_(params.key),
      verifier_(params.verifier),
      minimum_roster_(std::max(config_.minimum_roster(), kMinMembers)) {
  DURE_CHECK(key_ != nullptr && verifier_ != nullptr);
  for (const MemberId& id : params.expected) members_[id];
  while (minimum_roster_ < config_.invited() && !rule_(config_, minimum_roster_).ok()) {
    ++minimum_roster_;
  }
  offer_ = MakeOffer(session_id_, config_, config_hash_, *key_);
}

Phase Server::phase() const {
  static_assert(std::variant_size_v<State> == std::size(kPhaseNames));
  return static_cast<Phase>(state_.index());
}

void Server::Drop(const MemberId& member) {
  if (auto found = members_.find(member); found != members_.end()) found->second.lost = true;
}

bool Server::Expects(const Member& member) const {
  if (phase() == Phase::kAdvertise) return true;
  if (!member.index.has_value()) return false;
  switch (phase()) {
    case Phase::kShares:
      return true;
    case Phase::kMaskedInput:
      return u2_->Contains(member.index->value());
    case Phase::kConsent:
      return u3_->Contains(member.index->value());
    case Phase::kUnmask:
      return member.consent.has_value();
    default:
      return false;
  }
}

bool Server::HasAnswered(const Member& member) const {
  switch (phase()) {
    case Phase::kAdvertise:
      return member.advertise.has_value();
    case Phase::kShares:
      return member.dealing.has_value();
    case Phase::kMaskedInput:
      return member.upload.has_value();
    case Phase::kConsent:
      return member.consent.has_value();
    case Phase::kUnmask:
      return member.unmasked;
    default:
      return false;
  }
}

std::vector<MemberId> Server::Awaited() const {
  std::vector<MemberId> awaited;
  for (const auto& [id, member] : members_) {
    if (Expects(member) && !HasAnswered(member) && !member.lost && !Excluded(id)) {
      awaited.push_back(id);
    }
  }
  return awaited;
}

uint32_t Server::answered() const {
  // What an excluded member sent is void, except an input that is in the caller's sum already and
  // what concerns that sum.
  const bool void_if_excluded = phase() <= Phase::kShares;
  uint32_t count = 0;
  for (const auto& [id, member] : members_) {
    if (Expects(member) && HasAnswered(member) && !(void_if_excluded && Excluded(id))) ++count;
  }
  return count;
}

uint32_t Server::needed() const {
  switch (phase()) {
    case Phase::kAdvertise:
      return minimum_roster_;
    case Phase::kShares:
    case Phase::kMaskedInput:
      return rules_->survivors_minimum;
    case Phase::kConsent:
      return rules_->quorum;
    case Phase::kUnmask:
      return rules_->smaller.threshold + 1;  // nobody holds a share of its own
    default:
      return 0;
  }
}

bool Server::CanAdvance() const {
  if (phase() != Phase::kUnmask) return phase() < Phase::kUnmask && answered() >= needed();
  for (uint32_t group = 0; group < groups(); ++group) {
    if (group_lives_[group] && CheckShareCounts(group).ok()) return true;
  }
  return false;
}

uint32_t Server::ThresholdOf(ClientIndex member) const {
  return rules_->OfGroup(graph_->GroupSize(graph_->GroupOf(member))).threshold;
}

uint32_t Server::CountIn(const MemberSet& members, uint32_t group) const {
  if (groups() == 1) return members.count();
  uint32_t count = 0;
  for (uint32_t i = 0; i < members.size(); ++i) {
    count += members.Contains(i) && graph_->GroupOf(ClientIndex(i)) == group ? 1 : 0;
  }
  return count;
}

absl::Status Server::KeepGroups(std::string_view what, uint32_t of,
                                const std::function<absl::Status(uint32_t)>& check,
                                MemberSet* members) {
  absl::Status first;
  for (uint32_t group = 0; group < groups(); ++group) {
    if (!group_lives_[group]) continue;
    const uint32_t count = CountIn(*members, group);
    const uint32_t needed = rules_->OfGroup(graph_->GroupSize(group)).sum_minimum;
    absl::Status status =
        count < needed ? absl::AbortedError(TooFew(
                             count, groups() == 1 ? of : graph_->GroupSize(group), what, needed))
                       : check(group);
    if (status.ok()) continue;
    group_lives_[group] = false;
    if (first.ok()) first = std::move(status);
  }
  MemberSet kept(members->size());
  for (uint32_t i = 0; i < members->size(); ++i) {
    if (members->Contains(i) && GroupLives(ClientIndex(i))) kept.Insert(i);
  }
  *members = std::move(kept);
  if (members->count() >= rules_->survivors_minimum) return absl::OkStatus();
  if (groups() == 1) return Abort(std::string(first.message()));
  const auto lost = std::count(group_lives_.begin(), group_lives_.end(), false);
  return Abort(absl::StrCat(
      TooFew(members->count(), of, what, rules_->survivors_minimum),
      lost == 0 ? ""
                : absl::StrCat("; ", lost, " of ", groups(), " groups cannot go on, the first ",
                               "because ", first.message())));
}

void Server::Exclude(const MemberId& id, std::string why) { faults_.emplace(id, std::move(why)); }

absl::Status Server::Abort(std::string why) {
  aborted_ = absl::AbortedError(why);
  state_ = Aborted{};
  return aborted_;
}

absl::Status Server::Advance(Send send) {
  switch (phase()) {
    case Phase::kAdvertise:
      DURE_RETURN_IF_ERROR(CloseAdvertise());
      break;
    case Phase::kShares:
      DURE_RETURN_IF_ERROR(CloseShares());
      break;
    case Phase::kMaskedInput:
      DURE_RETURN_IF_ERROR(CloseMaskedInput());
      break;
    case Phase::kConsent:
      DURE_RETURN_IF_ERROR(CloseConsent());
      break;
    case Phase::kUnmask:
      return CloseUnmask();
    case Phase::kFinished:
    case Phase::kAborted:
      return absl::FailedPreconditionError(
          absl::StrCat("the session has ended: ", std::string(PhaseName(phase()))));
  }
  const bool same_for_all = phase() == Phase::kShares || phase() == Phase::kUnmask;
  std::shared_ptr<const DownMessage> shared;
  for (const MemberId& id : Awaited()) {
    if (shared == nullptr || !same_for_all) {
      auto message = LatestFor(id);
      DURE_CHECK(message.ok());
      shared = std::make_shared<const DownMessage>(*std::move(message));
    }
    send({.to = id, .message = shared});
  }
  return absl::OkStatus();
}

absl::Status Server::CloseAdvertise() {
  const uint32_t count = answered();
  if (count < minimum_roster_) {
    return Abort(TooFew(count, members_.size(), "keys", minimum_roster_));
  }
  auto rules = rule_(config_, count);
  if (!rules.ok()) return Abort(std::string(rules.status().message()));
  rules_ = *rules;
  std::vector<RosterEntry> entries;
  for (auto& [id, member] : members_) {
    if (!member.advertise.has_value() || Excluded(id)) continue;
    member.index = ClientIndex(static_cast<uint32_t>(entries.size()));
    entries.push_back(member.entry);
    roster_.push_back(member.entry.identity);
  }
  t1_ = RosterHash(session_id_, config_hash_, entries);
  graph_ = rules_->MakeGraph(t1_);
  group_lives_.assign(groups(), true);
  signature_ = ToString(key_->Sign(RosterStatement(t1_).bytes()));
  state_ = Sharing{};
  return absl::OkStatus();
}

absl::Status Server::CloseShares() {
  MemberSet dealers(static_cast<uint32_t>(roster_.size()));
  for (const auto& [id, member] : members_) {
    if (member.dealing.has_value() && !Excluded(id)) dealers.Insert(member.index->value());
  }
  DURE_RETURN_IF_ERROR(KeepGroups(
      "shares", static_cast<uint32_t>(roster_.size()), [](uint32_t) { return absl::OkStatus(); },
      &dealers));
  t2_ = DealersHash(t1_, dealers.bytes());
  signature_ = ToString(key_->Sign(DealersStatement(t2_).bytes()));
  u2_ = std::move(dealers);
  state_ = Masking{};
  return absl::OkStatus();
}

bool Server::IsVoid(const Edge& edge) const {
  const MemberSet& voids = At(edge.holder).upload->voids;
  if (voids.count() == 0) return false;
  return voids.Contains(graph().PositionOfHolder({.dealer = edge.holder, .holder = edge.dealer}));
}

uint32_t Server::Holders(ClientIndex owner, const MemberSet& survivors) const {
  uint32_t holders = 0;
  for (const ClientIndex holder : graph().Neighbours(owner)) {
    if (survivors.Contains(holder.value()) && !IsVoid({.dealer = owner, .holder = holder})) {
      ++holders;
    }
  }
  return holders;
}

absl::Status Server::CheckHolders(const MemberSet& survivors, uint32_t group) {
  std::vector<std::string> short_of_holders;
  std::vector<ClientIndex> dealers;
  for (uint32_t j = 0; j < roster_.size(); ++j) {
    const ClientIndex dealer(j);
    if (!u2_->Contains(j) || graph().GroupOf(dealer) != group) continue;
    dealers.push_back(dealer);
    if (Holders(dealer, survivors) < ThresholdOf(dealer)) {
      short_of_holders.push_back(DisplayName(roster_[j]));
    }
  }
  if (short_of_holders.empty()) return absl::OkStatus();
  const uint32_t may_lie = rules_->CorruptIn(graph_->GroupSize(group));
  for (const ClientIndex dealer : dealers) {
    uint32_t others = 0;
    for (const ClientIndex holder : graph().Neighbours(dealer)) {
      others += survivors.Contains(holder.value()) ? 1 : 0;
    }
    const uint32_t complaints = others - Holders(dealer, survivors);
    if (complaints > may_lie) {
      Exclude(roster_[dealer.value()].client_id,
              absl::StrCat("its shares were unusable for ", complaints, " members, more than the ",
                           may_lie, " that may be lying"));
    }
  }
  return absl::AbortedError(absl::StrCat("fewer than ", ThresholdOf(dealers[0]),
                                         " survivors hold a usable share of ",
                                         absl::StrJoin(short_of_holders, ", ")));
}

absl::Status Server::CloseMaskedInput() {
  MemberSet survivors(static_cast<uint32_t>(roster_.size()));
  // Excluded or not: what is in the caller's sum stays there.
  for (const auto& [id, member] : members_) {
    if (member.upload.has_value()) survivors.Insert(member.index->value());
  }
  const MemberSet uploaded = survivors;
  DURE_RETURN_IF_ERROR(KeepGroups(
      "masked inputs", u2_->count(), [&](uint32_t group) { return CheckHolders(uploaded, group); },
      &survivors));
  t3_ = SurvivorsHash(t2_, survivors.bytes());
  signature_ = ToString(key_->Sign(SurvivorsStatement(t3_).bytes()));
  u3_ = std::move(survivors);
  state_ = Consenting{};
  return absl::OkStatus();
}

absl::Status Server::CloseConsent() {
  if (answered() < rules_->quorum) {
    return Abort(TooFew(answered(), u3_->count(), "consent", rules_->quorum));
  }
  state_ = Unmasking{UnmaskingShares(static_cast<uint32_t>(roster_.size()))};
  return absl::OkStatus();
}

absl::Status Server::CheckShareCounts(uint32_t group) const {
  const UnmaskingShares& shares = std::get<Unmasking>(state_).shares;
  for (uint32_t i = 0; i < roster_.size(); ++i) {
    const ClientIndex owner(i);
    if (!u2_->Contains(i) || graph().GroupOf(owner) != group) continue;
    const uint32_t count = shares.count(owner);
    if (count < ThresholdOf(owner)) {
      return absl::AbortedError(absl::StrCat(answered(), " of ", u3_->count(),
                                             " members sent unmasking shares, ", count,
                                             " of them for ", DisplayName(roster_[i]),
                                             "; at least ", ThresholdOf(owner), " are needed"));
    }
  }
  return absl::OkStatus();
}

absl::Status Server::CloseUnmask() {
  absl::Status first;
  bool any = false;
  for (uint32_t group = 0; group < groups(); ++group) {
    if (!group_lives_[group]) continue;
    const absl::Status status = CheckShareCounts(group);
    if (status.ok()) {
      any = true;
      continue;
    }
    group_lives_[group] = false;
    first.Update(status);
  }
  if (!any) return Abort(std::string(first.message()));
  state_ = Finished{std::move(std::get<Unmasking>(state_).shares)};
  return absl::OkStatus();
}

absl::StatusOr<std::vector<uint32_t>> Server::RemoveMasks(std::span<RingVector> sums) {
  auto* finished = std::get_if<Finished>(&state_);
  DURE_CHECK(finished != nullptr && sums.size() == groups());
  std::vector<RosterEntry> entries;
  std::vector<Digest> seed_commitments(roster_.size());
  for (uint32_t i = 0; i < roster_.size(); ++i) {
    const Member& member = At(ClientIndex(i));
    entries.push_back(member.entry);
    if (member.dealing.has_value()) {
      seed_commitments[i] = *DigestFromBytes(member.dealing->message.commit_seed());
    }
  }
  std::vector<uint32_t> opened;
  std::string why;
  for (uint32_t group = 0; group < groups(); ++group) {
    if (!group_lives_[group]) continue;
    DURE_CHECK(RingSize(sums[group]) == config_.dim() &&
               RingFits(sums[group], static_cast<int>(config_.bits())));
    const std::optional<ClientIndex> culprit =
        RemoveMasksFrom({.t1 = t1_,
                         .graph = *graph_,
                         .group = group,
                         .roster = entries,
                         .seed_commitments = seed_commitments,
                         .dealers = *u2_,
                         .survivors = *u3_,
                         .threshold = rules_->OfGroup(graph_->GroupSize(group)).threshold},
                        finished->shares, &sums[group]);
    if (!culprit.has_value()) {
      opened.push_back(group);
      continue;
    }
    group_lives_[group] = false;
    const MemberIdentity& dealer = roster_[culprit->value()];
    Exclude(dealer.client_id, "its shares do not rebuild what it committed to");
    why = absl::StrCat("the shares that ", DisplayName(dealer),
                       " dealt do not rebuild what it committed to");
  }
  finished->shares = UnmaskingShares(0);
  if (opened.empty()) return Abort(std::move(why));
  return opened;
}

absl::Status Server::RemoveMasks(RingVector* sum) {
  DURE_CHECK(groups() == 1);
  return RemoveMasks(std::span<RingVector>(sum, 1)).status();
}

}  // namespace dure::secagg
