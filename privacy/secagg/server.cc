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
  return Server(std::move(params), config_hash, ComputeThresholds);
}

Server::Server(Params params, Digest config_hash, ThresholdRule rule)
    : session_id_(params.session_id),
      config_(std::move(params.config)),
      config_hash_(config_hash),
      rule_(std::move(rule)),
      key_(params.key),
      verifier_(params.verifier),
      minimum_roster_(std::max(config_.minimum_roster(), kMinMembers)) {
  DURE_CHECK(key_ != nullptr && verifier_ != nullptr);
  for (const MemberId& id : params.expected) members_[id];
  // Thresholds grow more slowly than the roster, so beyond the first size that works all do.
  while (minimum_roster_ < config_.invited() &&
         !rule_(minimum_roster_, config_.max_corrupt(), config_.minimum_sum()).ok()) {
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
      return thresholds_->sum_minimum;
    case Phase::kConsent:
      return thresholds_->quorum;
    case Phase::kUnmask:
      return thresholds_->threshold + 1;  // nobody holds a share of its own
    default:
      return 0;
  }
}

bool Server::CanAdvance() const {
  if (const auto* unmasking = std::get_if<Unmasking>(&state_)) {
    for (uint32_t i = 0; i < roster_.size(); ++i) {
      if (u2_->Contains(i) && unmasking->shares.count(ClientIndex(i)) < thresholds_->threshold) {
        return false;
      }
    }
    return true;
  }
  return phase() < Phase::kUnmask && answered() >= needed();
}

void Server::Exclude(const MemberId& id, std::string why) { faults_.emplace(id, std::move(why)); }

absl::Status Server::Abort(std::string why) {
  aborted_ = absl::AbortedError(why);
  state_ = Aborted{};
  return aborted_;
}

absl::Status Server::Advance(Outbox* outbox) {
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
  for (const MemberId& id : Awaited()) {
    auto message = LatestFor(id);
    DURE_CHECK(message.ok());
    outbox->push_back({.to = id, .message = *std::move(message)});
  }
  return absl::OkStatus();
}

absl::Status Server::CloseAdvertise() {
  const uint32_t count = answered();
  if (count < minimum_roster_) {
    return Abort(TooFew(count, members_.size(), "keys", minimum_roster_));
  }
  auto thresholds = rule_(count, config_.max_corrupt(), config_.minimum_sum());
  if (!thresholds.ok()) return Abort(std::string(thresholds.status().message()));
  thresholds_ = *thresholds;
  std::vector<RosterEntry> entries;
  for (auto& [id, member] : members_) {
    if (!member.advertise.has_value() || Excluded(id)) continue;
    member.index = ClientIndex(static_cast<uint32_t>(entries.size()));
    entries.push_back(member.entry);
    roster_.push_back(member.entry.identity);
  }
  t1_ = RosterHash(session_id_, config_hash_, entries);
  signature_ = ToString(key_->Sign(RosterStatement(t1_).bytes()));
  state_ = Sharing{};
  return absl::OkStatus();
}

absl::Status Server::CloseShares() {
  MemberSet dealers(static_cast<uint32_t>(roster_.size()));
  for (const auto& [id, member] : members_) {
    if (member.dealing.has_value() && !Excluded(id)) dealers.Insert(member.index->value());
  }
  if (dealers.count() < thresholds_->sum_minimum) {
    return Abort(TooFew(dealers.count(), roster_.size(), "shares", thresholds_->sum_minimum));
  }
  t2_ = DealersHash(t1_, dealers.bytes());
  signature_ = ToString(key_->Sign(DealersStatement(t2_).bytes()));
  u2_ = std::move(dealers);
  state_ = Masking{};
  return absl::OkStatus();
}

bool Server::IsVoid(const Edge& edge) const {
  const Edge back = {.dealer = edge.holder, .holder = edge.dealer};
  return At(edge.holder).upload->voids.Contains(graph().PositionOfHolder(back));
}

uint32_t Server::Holders(ClientIndex owner, const MemberSet& survivors) const {
  uint32_t holders = 0;
  for (uint32_t v = 0; v < roster_.size(); ++v) {
    const ClientIndex holder(v);
    if (survivors.Contains(v) && holder != owner && !IsVoid({.dealer = owner, .holder = holder})) {
      ++holders;
    }
  }
  return holders;
}

absl::Status Server::CheckHolders(const MemberSet& survivors) {
  std::vector<std::string> short_of_holders;
  for (uint32_t j = 0; j < roster_.size(); ++j) {
    const ClientIndex dealer(j);
    if (u2_->Contains(j) && Holders(dealer, survivors) < thresholds_->threshold) {
      short_of_holders.push_back(DisplayName(roster_[j]));
    }
  }
  if (short_of_holders.empty()) return absl::OkStatus();
  for (uint32_t j = 0; j < roster_.size(); ++j) {
    if (!u2_->Contains(j)) continue;
    const ClientIndex dealer(j);
    const uint32_t others = survivors.count() - (survivors.Contains(j) ? 1 : 0);
    const uint32_t complaints = others - Holders(dealer, survivors);
    if (complaints > config_.max_corrupt()) {
      Exclude(roster_[j].client_id,
              absl::StrCat("its shares were unusable for ", complaints, " members, more than the ",
                           config_.max_corrupt(), " that may be lying"));
    }
  }
  return Abort(absl::StrCat("fewer than ", thresholds_->threshold,
                            " survivors hold a usable share of ",
                            absl::StrJoin(short_of_holders, ", ")));
}

absl::Status Server::CloseMaskedInput() {
  MemberSet survivors(static_cast<uint32_t>(roster_.size()));
  // Excluded or not: what is in the caller's sum stays there.
  for (const auto& [id, member] : members_) {
    if (member.upload.has_value()) survivors.Insert(member.index->value());
  }
  if (survivors.count() < thresholds_->sum_minimum) {
    return Abort(
        TooFew(survivors.count(), u2_->count(), "masked inputs", thresholds_->sum_minimum));
  }
  DURE_RETURN_IF_ERROR(CheckHolders(survivors));
  t3_ = SurvivorsHash(t2_, survivors.bytes());
  signature_ = ToString(key_->Sign(SurvivorsStatement(t3_).bytes()));
  u3_ = std::move(survivors);
  state_ = Consenting{};
  return absl::OkStatus();
}

absl::Status Server::CloseConsent() {
  if (answered() < thresholds_->quorum) {
    return Abort(TooFew(answered(), u3_->count(), "consent", thresholds_->quorum));
  }
  state_ = Unmasking{UnmaskingShares(static_cast<uint32_t>(roster_.size()))};
  return absl::OkStatus();
}

absl::Status Server::CloseUnmask() {
  auto& shares = std::get<Unmasking>(state_).shares;
  for (uint32_t i = 0; i < roster_.size(); ++i) {
    const uint32_t count = shares.count(ClientIndex(i));
    if (u2_->Contains(i) && count < thresholds_->threshold) {
      return Abort(absl::StrCat(answered(), " of ", u3_->count(),
                                " members sent unmasking shares, ", count, " of them for ",
                                DisplayName(roster_[i]), "; at least ", thresholds_->threshold,
                                " are needed"));
    }
  }
  state_ = Finished{std::move(shares)};
  return absl::OkStatus();
}

absl::Status Server::RemoveMasks(RingVector* sum) {
  auto* finished = std::get_if<Finished>(&state_);
  DURE_CHECK(finished != nullptr && RingSize(*sum) == config_.dim() &&
             RingFits(*sum, static_cast<int>(config_.bits())));
  std::vector<RosterEntry> entries;
  std::vector<Digest> seed_commitments(roster_.size());
  for (uint32_t i = 0; i < roster_.size(); ++i) {
    const Member& member = At(ClientIndex(i));
    entries.push_back(member.entry);
    if (member.dealing.has_value()) {
      seed_commitments[i] = *DigestFromBytes(member.dealing->message.commit_seed());
    }
  }
  const std::optional<ClientIndex> culprit = RemoveMasksFrom({.t1 = t1_,
                                                              .roster = entries,
                                                              .seed_commitments = seed_commitments,
                                                              .dealers = *u2_,
                                                              .survivors = *u3_,
                                                              .threshold = thresholds_->threshold},
                                                             finished->shares, sum);
  finished->shares = UnmaskingShares(0);
  if (!culprit.has_value()) return absl::OkStatus();
  const MemberIdentity& dealer = roster_[culprit->value()];
  Exclude(dealer.client_id, "its shares do not rebuild what it committed to");
  return Abort(absl::StrCat("the shares that ", DisplayName(dealer),
                            " dealt do not rebuild what it committed to"));
}

}  // namespace dure::secagg
