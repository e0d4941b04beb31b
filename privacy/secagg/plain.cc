#include "privacy/secagg/plain.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "privacy/secagg/config.h"
#include "privacy/secagg/limits.h"
#include "privacy/secagg/transcript.h"

namespace dure::secagg {

absl::Status ValidatePlainConfig(const RoundConfig& config) {
  if (config.graph_rule() != kGraphRuleNone) {
    return absl::InvalidArgumentError(
        absl::StrCat("round config: a graph rule other than \"", kGraphRuleNone, "\""));
  }
  DURE_RETURN_IF_ERROR(ValidateConfigFields(config));
  if (config.minimum_sum() >= 1) return absl::OkStatus();
  return absl::InvalidArgumentError("round config: minimum_sum 0, at least 1 is needed");
}

absl::StatusOr<PlainServer> PlainServer::Create(Server::Params params) {
  DURE_RETURN_IF_ERROR(ValidatePlainConfig(params.config));
  DURE_RETURN_IF_ERROR(CheckCohort(params));
  return PlainServer(params);
}

PlainServer::PlainServer(const Server::Params& params)
    : session_id_(params.session_id), config_(params.config) {
  DURE_CHECK(params.key != nullptr);
  offer_ = MakeOffer(session_id_, config_, ConfigHash(config_), *params.key);
  for (const MemberId& id : params.expected) members_[id] = {};
}

absl::StatusOr<std::optional<AcceptedInput>> PlainServer::Receive(const MemberId& sender,
                                                                  UpMessage message,
                                                                  const StagedInput* staged) {
  auto found = members_.find(sender);
  if (found == members_.end()) return absl::NotFoundError("the sender is not of this session");
  if (message.session_id() != ToString(session_id_)) {
    return absl::InvalidArgumentError("a message for another session");
  }
  if (!message.has_plain_input()) {
    return absl::InvalidArgumentError("a message of secure aggregation, which is off here");
  }
  DURE_RETURN_IF_ERROR(staged == nullptr ? CheckSizes(message, config_)
                                         : CheckSizes(message, config_, staged->bytes->size()));
  Member& member = found->second;
  std::string& packed = *message.mutable_plain_input()->mutable_packed();
  const Digest hash = staged != nullptr ? staged->sha256 : Sha256(AsBytes(packed));
  if (member.input == hash) return std::nullopt;  // said again
  if (member.input.has_value()) {
    faults_[sender] = "sent two different inputs";
    return absl::PermissionDeniedError("a second, different input");
  }
  if (finished_) return absl::FailedPreconditionError("the inputs have been added up already");
  const int bits = static_cast<int>(config_.bits());
  const uint8_t last_byte =
      staged != nullptr ? staged->last_byte : static_cast<uint8_t>(packed.back());
  DURE_RETURN_IF_ERROR(
      CheckPackedSize(PackedBytes(config_.dim(), bits), last_byte, config_.dim(), bits));
  member.input = hash;
  return AcceptedInput{.member = sender,
                       .index = ClientIndex(inputs_++),
                       .packed = std::move(packed),
                       .staged = staged == nullptr ? nullptr : staged->bytes};
}

std::optional<uint64_t> PlainServer::ExpectedInput(const MemberId& id) const {
  const auto found = members_.find(id);
  if (finished_ || found == members_.end() || found->second.input.has_value()) return std::nullopt;
  return PackedBytes(config_.dim(), static_cast<int>(config_.bits()));
}

void PlainServer::Drop(const MemberId& member) {
  if (auto found = members_.find(member); found != members_.end()) found->second.lost = true;
}

std::vector<MemberId> PlainServer::Awaited() const {
  std::vector<MemberId> awaited;
  if (finished_) return awaited;
  for (const auto& [id, member] : members_) {
    if (!member.lost && !member.input) awaited.push_back(id);
  }
  return awaited;
}

std::vector<MemberId> PlainServer::dealt() const {
  std::vector<MemberId> dealt;
  for (const auto& [id, member] : members_) {
    if (member.input) dealt.push_back(id);
  }
  return dealt;
}

absl::Status PlainServer::Advance(Send) {
  if (finished_) return absl::FailedPreconditionError("the session has ended: finished");
  finished_ = true;
  if (inputs_ >= config_.minimum_sum()) return absl::OkStatus();
  return absl::AbortedError(absl::StrCat(inputs_, " of ", members_.size(),
                                         " members sent inputs; at least ", config_.minimum_sum(),
                                         " are needed"));
}

absl::Status PlainClient::StartFromOffer(const Offer& offer) {
  if (started_) return absl::FailedPreconditionError("the session has begun already");
  DURE_RETURN_IF_ERROR(CheckSizes(offer));
  DURE_RETURN_IF_ERROR(ValidatePlainConfig(offer.config()));
  config_ = offer.config();
  config_hash_ = ConfigHash(config_);
  session_id_ = *DigestFromBytes(offer.session_id());
  if (!VerifySignature(coordinator_, OfferStatement(session_id_, config_hash_).bytes(),
                       AsBytes(offer.signature()))) {
    return absl::UnauthenticatedError("the offer is not signed by the pinned coordinator");
  }
  started_ = true;
  return absl::OkStatus();
}

absl::StatusOr<UpMessage> PlainClient::SetInput(const RingVector& input) {
  if (!started_) return absl::FailedPreconditionError("an input before the offer");
  DURE_RETURN_IF_ERROR(ended_);
  const int bits = static_cast<int>(config_.bits());
  if (!RingFits(input, bits) || RingSize(input) != config_.dim()) {
    return absl::InvalidArgumentError(absl::StrCat("an input of ", RingSize(input),
                                                   " elements, the session has ", config_.dim(),
                                                   " of ", bits, " bits"));
  }
  UpMessage message;
  message.set_session_id(ToString(session_id_));
  message.mutable_plain_input()->set_packed(Pack(input, bits));
  ended_ = absl::FailedPreconditionError("the input of this session has been sent");
  return message;
}

}  // namespace dure::secagg
