#include "privacy/secagg/client.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "privacy/secagg/config.h"
#include "privacy/secagg/limits.h"
#include "privacy/secagg/roster.h"

namespace dure::secagg {
namespace {

absl::Status NotAwaited() {
  return absl::FailedPreconditionError("the session does not wait for this message now");
}

absl::Status PolicyRefuses(std::string_view what, uint64_t offered, uint64_t least) {
  return absl::PermissionDeniedError(absl::StrCat("the offer's ", std::string(what), " is ",
                                                  offered, "; this member's policy asks for ",
                                                  least, " or more"));
}

}  // namespace

Client::Client(Params params) : Client(std::move(params), RulesOf) {}

Client::Client(Params params, SessionRule rule)
    : params_(std::move(params)), rule_(std::move(rule)) {
  DURE_CHECK(params_.key != nullptr && params_.verifier != nullptr && params_.random != nullptr);
}

bool Client::finished() const { return std::holds_alternative<Finished>(state_); }

void Client::End(absl::Status why) {
  if (!ended_.ok()) return;
  ended_ = std::move(why);
  state_ = Ended{};
  sum_.reset();
  accepted_.clear();
}

bool Client::IsCoordinators(const Transcript& statement, const std::string& signature) const {
  return VerifySignature(params_.coordinator, statement.bytes(), AsBytes(signature));
}

absl::Status Client::CheckOffer(const Offer& offer, const Digest& config_hash) const {
  const RoundConfig& config = offer.config();
  const ClientPolicy& policy = params_.policy;
  if (!IsCoordinators(OfferStatement(*DigestFromBytes(offer.session_id()), config_hash),
                      offer.signature())) {
    return absl::UnauthenticatedError("the offer is not signed by the pinned coordinator");
  }
  if (config.minimum_roster() < policy.minimum_roster) {
    return PolicyRefuses("minimum_roster", config.minimum_roster(), policy.minimum_roster);
  }
  if (config.minimum_sum() < policy.minimum_sum) {
    return PolicyRefuses("minimum_sum", config.minimum_sum(), policy.minimum_sum);
  }
  if (config.max_corrupt() < policy.max_corrupt) {
    return PolicyRefuses("max_corrupt", config.max_corrupt(), policy.max_corrupt);
  }
  return absl::OkStatus();
}

absl::StatusOr<UpMessage> Client::StartFromOffer(const Offer& offer) {
  if (!std::holds_alternative<Fresh>(state_)) {
    return absl::FailedPreconditionError("the session has begun already");
  }
  DURE_RETURN_IF_ERROR(CheckSizes(offer));
  DURE_RETURN_IF_ERROR(ValidateConfig(offer.config()));
  const Digest config_hash = ConfigHash(offer.config());
  DURE_RETURN_IF_ERROR(CheckOffer(offer, config_hash));
  return Begin(*DigestFromBytes(offer.session_id()), offer.config(), config_hash);
}

UpMessage Client::Begin(const SessionId& session_id, const RoundConfig& config,
                        const Digest& config_hash) {
  session_id_ = session_id;
  config_ = config;
  config_hash_ = config_hash;
  witness_.Begin(params_.coordinator, session_id_, config_, params_.verifier);
  Advertised state{.enc = X25519PrivateKey::Generate(*params_.random),
                   .mask = X25519PrivateKey::Generate(*params_.random)};
  RosterEntry own;
  own.enc_key = state.enc.public_key();
  own.mask_key = state.mask.public_key();
  params_.random->Fill(own.nonce);
  state.sent.set_certificate(params_.certificate);
  state.sent.set_enc_key(ToString(own.enc_key));
  state.sent.set_mask_key(ToString(own.mask_key));
  state.sent.set_nonce(ToString(own.nonce));
  state.sent.set_signature(
      ToString(params_.key->Sign(AdvertiseStatement(session_id_, config_hash_, own).bytes())));
  UpMessage message = NewUpMessage();
  *message.mutable_advertise() = state.sent;
  state_ = std::move(state);
  return message;
}

UpMessage Client::NewUpMessage() const {
  UpMessage message;
  message.set_session_id(ToString(session_id_));
  return message;
}

// For a repetition of what it answers.
Client::Answer Client::Remembered(const Answer& answer) {
  return answer.has_value() ? Answer(WithoutLongInput(*answer)) : Answer();
}

absl::StatusOr<std::optional<UpMessage>> Client::Receive(const DownMessage& message) {
  if (!ended_.ok()) {
    if (message.session_id() == ToString(session_id_)) witness_.Look(message, roster_);
    return absl::FailedPreconditionError(absl::StrCat("the session has ended: ", ended_.message()));
  }
  if (std::holds_alternative<Fresh>(state_)) return NotAwaited();
  if (message.session_id() != ToString(session_id_)) {
    return absl::InvalidArgumentError("the message is of another session");
  }
  if (absl::Status sizes = CheckSizes(message, config_); !sizes.ok()) {
    return witness_.Look(message, roster_) ? Contradicted() : sizes;
  }
  const Digest fingerprint = Sha256(AsBytes(message.SerializeAsString()));
  if (auto before = accepted_.find(message.kind_case()); before != accepted_.end()) {
    if (before->second.fingerprint == fingerprint) return before->second.answer;
    if (witness_.Look(message, roster_)) return Contradicted();
    return absl::InvalidArgumentError("the message differs from the first of its kind");
  }
  absl::StatusOr<Answer> answer = Take(message);
  if (!answer.ok()) {
    // Refused, but signed all the same: what comes later must not contradict it.
    if (witness_.Look(message, roster_)) return Contradicted();
    if (!absl::IsInvalidArgument(answer.status()) && !absl::IsFailedPrecondition(answer.status())) {
      End(answer.status());
    }
    return answer.status();
  }
  if (witness_.Accept(message, HashOf(message.kind_case()), roster_)) return Contradicted();
  accepted_[message.kind_case()] = {.fingerprint = fingerprint, .answer = Remembered(*answer)};
  return answer;
}

absl::StatusOr<Client::Answer> Client::Take(const DownMessage& message) {
  switch (message.kind_case()) {
    case DownMessage::kRoster:
      if (auto* state = std::get_if<Advertised>(&state_))
        return TakeRoster(*state, message.roster());
      break;
    case DownMessage::kDealt:
      if (auto* state = std::get_if<Shared>(&state_)) return TakeDealt(*state, message.dealt());
      break;
    case DownMessage::kSurvivors:
      if (auto* state = std::get_if<Masked>(&state_)) {
        return TakeSurvivors(*state, message.survivors());
      }
      break;
    default:
      if (auto* state = std::get_if<Consented>(&state_))
        return TakeQuorum(*state, message.quorum());
  }
  return NotAwaited();
}

namespace {

// The keys of those with whom this member agrees on nothing; AgreeOnKeys checks the others.
absl::Status CheckOtherKeys(const Graph& graph, ClientIndex self,
                            std::span<const RosterEntry> roster) {
  for (uint32_t j = 0; j < roster.size(); ++j) {
    if (ClientIndex(j) == self || graph.AreNeighbours(self, ClientIndex(j))) continue;
    if (!IsUsableX25519Key(roster[j].enc_key) || !IsUsableX25519Key(roster[j].mask_key)) {
      return LowOrderKey(roster[j].identity);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Client::Answer> Client::TakeRoster(Advertised& state, const Roster& message) {
  DURE_ASSIGN_OR_RETURN(std::vector<RosterEntry> roster, VerifyRoster(message, state.sent));
  auto rules = rule_(config_, static_cast<uint32_t>(roster.size()));
  if (!rules.ok()) return absl::AbortedError(rules.status().message());
  const Digest t1 = RosterHash(session_id_, config_hash_, roster);
  const MemberId own_id = MemberIdOf(params_.key->public_key());
  const auto own = std::find_if(roster.begin(), roster.end(), [&](const RosterEntry& entry) {
    return entry.identity.client_id == own_id;
  });
  const ClientIndex self(static_cast<uint32_t>(own - roster.begin()));
  Graph graph = rules->MakeGraph(t1);
  std::vector<ClientIndex> neighbours = graph.Neighbours(self);
  DURE_RETURN_IF_ERROR(CheckOtherKeys(graph, self, roster));
  DURE_ASSIGN_OR_RETURN(PairKeys keys, AgreeOnKeys({.enc = state.enc, .mask = state.mask}, t1, self,
                                                   neighbours, roster));
  roster_ = std::move(roster);
  rules_ = *rules;
  graph_ = std::move(graph);
  neighbours_ = std::move(neighbours);
  thresholds_ = rules_->OfGroup(graph_->GroupSize(graph_->GroupOf(self)));
  self_ = self;
  t1_ = t1;
  SecretBytes self_seed(size_t{32});
  params_.random->Fill(self_seed.mutable_view());
  Shared next{.opening = std::move(keys.opening)};
  for (uint32_t position = 0; position < neighbours_.size(); ++position) {
    next.masks.push_back(
        {.key = std::move(keys.masks[position]),
         .sign = self_ < neighbours_[position] ? MaskSign::kAdd : MaskSign::kSubtract});
  }
  next.masks.push_back({.key = SelfMaskKey(self_seed.view(), *t1_, self_)});
  UpMessage answer = NewUpMessage();
  *answer.mutable_shares() = MakeShares({.t1 = *t1_,
                                         .graph = *graph_,
                                         .dealer = self_,
                                         .threshold = thresholds_->threshold,
                                         .mask_key = state.mask.raw(),
                                         .self_seed = self_seed,
                                         .signer = *params_.key},
                                        keys.sealing, *params_.random);
  state_ = std::move(next);  // erases both X25519 keys: all that they can give is derived
  return answer;
}

uint32_t Client::CountInMySum(const MemberSet& members) const {
  if (graph_->groups() == 1) return members.count();
  uint32_t count = members.Contains(self_.value()) ? 1 : 0;
  for (const ClientIndex other : neighbours_) count += members.Contains(other.value());
  return count;
}

absl::StatusOr<Client::Answer> Client::TakeDealt(Shared& state, const Dealt& message) {
  DURE_ASSIGN_OR_RETURN(MemberSet dealers, MemberSet::Parse(message.bitmap(), graph_->members()));
  const Digest t2 = DealersHash(*t1_, dealers.bytes());
  if (!IsCoordinators(DealersStatement(t2), message.signature())) {
    return absl::UnauthenticatedError("U2 is not signed by the coordinator for this roster");
  }
  if (!dealers.Contains(self_.value())) return absl::AbortedError("U2 leaves this member out");
  if (const uint32_t count = CountInMySum(dealers); count < thresholds_->sum_minimum) {
    return absl::AbortedError(absl::StrCat("U2 has ", count, " members; at least ",
                                           thresholds_->sum_minimum, " are needed"));
  }
  // Before any key is used: exactly the neighbours in U2, ascending.
  int next = 0;
  for (const ClientIndex j : neighbours_) {
    if (!dealers.Contains(j.value())) continue;
    if (next == message.dealers_size() || message.dealers(next).dealer() != j.value()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "no shares of ", DisplayName(roster_[j.value()].identity), " at their place"));
    }
    ++next;
  }
  if (next != message.dealers_size()) {
    return absl::InvalidArgumentError("shares of a member that is not in U2");
  }
  HeldShares held{.by_dealer = std::vector<std::optional<HeldShare>>(neighbours_.size()),
                  .voids = MemberSet(static_cast<uint32_t>(neighbours_.size()))};
  uint32_t good = 0;
  next = 0;
  for (uint32_t position = 0; position < neighbours_.size(); ++position) {
    const ClientIndex j = neighbours_[position];
    if (!dealers.Contains(j.value())) continue;
    held.by_dealer[position] =
        OpenDealt(message.dealers(next++), *t1_, *graph_, self_,
                  {.index = j, .key = roster_[j.value()].identity.key}, state.opening[position]);
    if (held.by_dealer[position].has_value()) {
      ++good;
    } else {
      held.voids.Insert(position);
    }
  }
  if (good < thresholds_->threshold) {
    return absl::AbortedError(absl::StrCat("usable shares of ", good, " members; at least ",
                                           thresholds_->threshold, " are needed"));
  }
  t2_ = t2;
  u2_ = std::move(dealers);
  KeepMasksOfDealers(state.masks);
  Masking masking{.masks = std::move(state.masks), .held = std::move(held)};
  state_ = std::move(masking);
  return MaskIfReady();
}

absl::StatusOr<std::optional<UpMessage>> Client::SetInput(std::span<const int64_t> input) {
  if (std::holds_alternative<Fresh>(state_)) return NotAwaited();
  return SetInput(RingFromSigned(input, static_cast<int>(config_.bits())));
}

absl::StatusOr<std::optional<UpMessage>> Client::SetInput(RingVector input) {
  SecretRing secret(std::move(input));
  const bool awaited = std::holds_alternative<Advertised>(state_) ||
                       std::holds_alternative<Shared>(state_) ||
                       std::holds_alternative<Masking>(state_);
  if (!awaited || has_input_) {
    return absl::FailedPreconditionError("the session takes no input now, or has one already");
  }
  if (RingSize(*secret.get()) != config_.dim() ||
      !RingFits(*secret.get(), static_cast<int>(config_.bits()))) {
    return absl::InvalidArgumentError(absl::StrCat("input of ", RingSize(*secret.get()),
                                                   " elements; the session's has ", config_.dim(),
                                                   " of ", config_.bits(), " bits"));
  }
  if (sum_.has_value()) {
    AddRing(*secret.get(), sum_->get());
  } else {
    sum_ = std::move(secret);
  }
  has_input_ = true;
  Answer answer = MaskIfReady();
  if (answer.has_value()) accepted_.at(DownMessage::kDealt).answer = Remembered(answer);
  return answer;
}

bool Client::PrepareMasks(uint64_t words) {
  std::vector<KeyedMask>* masks = nullptr;
  if (auto* shared = std::get_if<Shared>(&state_)) masks = &shared->masks;
  if (auto* masking = std::get_if<Masking>(&state_)) masks = &masking->masks;
  if (masks == nullptr || masked_ == config_.dim()) return false;
  if (!sum_.has_value()) {
    sum_.emplace(RingZeros(config_.dim(), static_cast<int>(config_.bits())));
  }
  const uint64_t blocks = words / masks->size() / kMaskRangeMultiple + 1;
  const uint64_t end = std::min(config_.dim(), masked_ + blocks * kMaskRangeMultiple);
  ApplyMasks(*masks, {.begin = masked_, .end = end}, /*threads=*/1, sum_->get());
  masked_ = end;
  return masked_ < config_.dim();
}

// Without the neighbours that are not in U2; where their masks are in the sum already, they are
// taken out again. They are fewer than the others, so that this is never more work than was saved.
void Client::KeepMasksOfDealers(std::vector<KeyedMask>& masks) {
  std::vector<KeyedMask> kept, gone;
  for (uint32_t position = 0; position < neighbours_.size(); ++position) {
    const bool in_u2 = u2_->Contains(neighbours_[position].value());
    (in_u2 ? kept : gone).push_back(std::move(masks[position]));
  }
  kept.push_back(std::move(masks.back()));
  masks = std::move(kept);
  if (masked_ == 0) return;
  for (KeyedMask& mask : gone) mask.sign = Opposite(mask.sign);
  ApplyMasks(gone, {.begin = 0, .end = masked_}, params_.threads, sum_->get());
}

Client::Answer Client::MaskIfReady() {
  auto* state = std::get_if<Masking>(&state_);
  if (state == nullptr || !has_input_) return std::nullopt;
  // Masked in place: what was the input becomes y_i.
  RingVector& y = *sum_->get();
  ApplyMasks(state->masks, {.begin = masked_, .end = config_.dim()}, params_.threads, &y);
  UpMessage answer = NewUpMessage();
  MaskedInput& masked = *answer.mutable_masked_input();
  masked.set_packed(Pack(y, static_cast<int>(config_.bits())));
  sum_.reset();
  masked.set_void_bitmap(state->held.voids.ToString());
  masked.set_signature(ToString(params_.key->Sign(
      MaskedStatement(*t2_, self_, Sha256(AsBytes(masked.packed())), state->held.voids.bytes())
          .bytes())));
  Masked next{.held = std::move(state->held)};
  state_ = std::move(next);  // erases the mask keys
  return answer;
}

absl::StatusOr<Client::Answer> Client::TakeSurvivors(Masked& state, const Survivors& message) {
  DURE_ASSIGN_OR_RETURN(MemberSet survivors, VerifySurvivors(message));
  t3_ = SurvivorsHash(*t2_, survivors.bytes());
  u3_ = std::move(survivors);
  UpMessage answer = NewUpMessage();
  const std::string signature = ToString(params_.key->Sign(ConsentStatement(*t3_).bytes()));
  answer.mutable_consent()->set_signature(signature);
  Consented next{.held = std::move(state.held), .signature = signature};
  state_ = std::move(next);  // no second T3 can be signed
  return answer;
}

absl::StatusOr<Client::Answer> Client::TakeQuorum(Consented& state, const Quorum& message) {
  uint32_t next = 0;
  for (const Quorum::Signer& signer : message.signers()) {
    if (signer.member() < next || signer.member() >= u3_->size() ||
        !u3_->Contains(signer.member())) {
      return absl::InvalidArgumentError("signers must be distinct survivors in ascending order");
    }
    next = signer.member() + 1;
  }
  const uint32_t signers = CountSigners(message, state.signature);
  if (signers < rules_->quorum) {
    return absl::AbortedError(absl::StrCat(signers, " survivors signed this set of survivors; at ",
                                           "least ", rules_->quorum, " are needed"));
  }
  UpMessage answer = NewUpMessage();
  Unmask& unmask = *answer.mutable_unmask();
  for (uint32_t position = 0; position < neighbours_.size(); ++position) {
    const std::optional<HeldShare>& held = state.held.by_dealer[position];
    if (!held.has_value()) continue;  // outside U2, or a void edge
    const uint32_t j = neighbours_[position].value();
    // One of the two, never both: who survived gives up its seed, who dropped its mask key.
    const bool survived = u3_->Contains(j);
    Unmask::Share& share = *(survived ? unmask.add_self_seeds() : unmask.add_mask_keys());
    share.set_member(j);
    share.set_share(ToString((survived ? held->self_seed : held->mask_key).view()));
  }
  state_ = Finished{};
  return answer;
}

}  // namespace dure::secagg
