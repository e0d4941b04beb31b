#include "coordinator/round.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "privacy/secagg/config.h"

namespace dure {

namespace {

// Most bytes of an input in one message (transport/limits.h).
constexpr uint64_t kPieceBytes = 64 << 10;

bool IsFinished(const secagg::Server& server) { return server.phase() == secagg::Phase::kFinished; }
bool IsFinished(const secagg::PlainServer& server) { return server.finished(); }

std::string_view NameOfPhase(const secagg::Server& server) {
  return secagg::PhaseName(server.phase());
}
std::string_view NameOfPhase(const secagg::PlainServer& server) { return server.phase_name(); }

uint32_t Groups(const secagg::Server& server) { return server.groups(); }
uint32_t Groups(const secagg::PlainServer&) { return 1; }

// The groups that were opened, with their sums taken out of `sums`.
absl::StatusOr<std::vector<GroupSum>> Open(secagg::Server& server, std::vector<RingVector> sums) {
  DURE_ASSIGN_OR_RETURN(const std::vector<uint32_t> opened, server.RemoveMasks(sums));
  // What a rule over groups bears is counted in all of them.
  if (2 * opened.size() <= server.groups()) {
    return absl::AbortedError(absl::StrCat("only ", opened.size(), " of ", server.groups(),
                                           " groups gave a sum; more than half are needed"));
  }
  std::vector<GroupSum> result;
  for (const uint32_t group : opened) {
    result.push_back({.sum = std::move(sums[group]),
                      .survivors = server.SurvivorsIn(group),
                      .share = server.ShareOfGroup(group)});
  }
  return result;
}
absl::StatusOr<std::vector<GroupSum>> Open(secagg::PlainServer& server,
                                           std::vector<RingVector> sums) {
  DURE_RETURN_IF_ERROR(server.RemoveMasks(&sums[0]));
  std::vector<GroupSum> result;
  result.push_back({.sum = std::move(sums[0]), .survivors = server.summed()});
  return result;
}

}  // namespace

absl::StatusOr<Round::Session> Round::Create(secagg::Server::Params params) {
  if (params.config.graph_rule() == secagg::kGraphRuleNone) {
    DURE_ASSIGN_OR_RETURN(secagg::PlainServer server,
                          secagg::PlainServer::Create(std::move(params)));
    return Session(std::move(server));
  }
  DURE_ASSIGN_OR_RETURN(secagg::Server server, secagg::Server::Create(std::move(params)));
  return Session(std::move(server));
}

std::string_view Round::phase() const {
  return std::visit([](const auto& server) { return NameOfPhase(server); }, session_);
}

std::vector<secagg::MemberId> Round::awaited() const {
  return std::visit([](const auto& server) { return server.Awaited(); }, session_);
}

std::span<const secagg::Evidence> Round::evidence() const {
  if (const auto* server = std::get_if<secagg::Server>(&session_)) return server->evidence();
  return {};
}

const std::map<secagg::MemberId, std::string>& Round::faults() const {
  return std::visit(
      [](const auto& server) -> const auto& { return server.faults(); }, session_);
}

absl::StatusOr<std::optional<secagg::AcceptedInput>> Round::Receive(
    const secagg::MemberId& from, secagg::UpMessage message, const secagg::StagedInput* staged) {
  return std::visit([&](auto& server) { return server.Receive(from, std::move(message), staged); },
                    session_);
}

bool Round::HasInput(const secagg::MemberId& member) const {
  return std::visit([&](const auto& server) { return server.HasInput(member); }, session_);
}

bool Round::AwaitsFirstAnswer(const secagg::MemberId& member) const {
  const auto* server = std::get_if<secagg::Server>(&session_);
  if (ended_ || (server != nullptr && server->phase() != secagg::Phase::kAdvertise)) return false;
  const std::vector<secagg::MemberId> from = awaited();
  return std::find(from.begin(), from.end(), member) != from.end();
}

std::optional<uint64_t> Round::ExpectedInput(const secagg::MemberId& member) const {
  if (ended_) return std::nullopt;
  return std::visit([&](const auto& server) { return server.ExpectedInput(member); }, session_);
}

absl::StatusOr<std::unique_ptr<Round>> Round::Start(absl::Time now, RoundOptions options,
                                                    std::vector<round::Output>* out) {
  const int bits = static_cast<int>(options.session.config.bits());
  const uint64_t dim = options.session.config.dim();
  const std::vector<secagg::MemberId> cohort = options.session.expected;
  DURE_CHECK(options.minimum_rate > 0);
  DURE_ASSIGN_OR_RETURN(Session session, Create(std::move(options.session)));
  auto offer = std::make_shared<ServerMessage>();
  *offer->mutable_offer()->mutable_offer() =
      std::visit([](const auto& server) { return server.offer(); }, session);
  offer->mutable_offer()->set_model(std::move(options.model));
  offer->mutable_offer()->set_state(std::move(options.state));
  offer->mutable_offer()->set_model_bytes(options.model_bytes);
  offer->mutable_offer()->set_state_bytes(options.state_bytes);
  for (const secagg::MemberId& member : cohort) out->push_back(round::SendTo{member, offer});
  auto made = std::unique_ptr<Round>(new Round(std::move(session), RingSum(bits, dim), options));
  made->offer_ = std::move(offer);
  made->deadline_ = now + options.deadline;
  return made;
}

void Round::Step(absl::Time now, round::Input input, std::vector<round::Output>* out) {
  if (ended_) return;
  if (auto* received = std::get_if<round::MessageReceived>(&input)) {
    absl::StatusOr<std::optional<secagg::AcceptedInput>> accepted =
        Receive(received->from, std::move(received->message),
                received->staged ? &*received->staged : nullptr);
    if (!accepted.ok()) {
      out->push_back(round::Rejected{received->from, accepted.status()});
    } else if (accepted->has_value()) {
      if (absl::Status added = Add(**accepted); !added.ok()) return Fail(added, out);
    }
  } else if (const auto* moved = std::get_if<round::Moved>(&input)) {
    return OnMoved(now, *moved);
  } else if (const auto* lost = std::get_if<round::MemberLost>(&input)) {
    transfers_.erase(lost->member);
    std::visit([&](auto& server) { server.Drop(lost->member); }, session_);
  } else if (const auto* returned = std::get_if<round::MemberReturned>(&input)) {
    Repeat(returned->member, out);
  }
  AdvanceWhilePossible(now, out);
}

void Round::OnMoved(absl::Time now, const round::Moved& moved) {
  auto [transfer, begins] = transfers_.try_emplace(moved.member, Transfer{.moved = now});
  if (!begins && moved.bytes > 0) {
    const absl::Duration passed = now - transfer->second.moved;
    const absl::Duration worth =
        absl::Seconds(static_cast<double>(moved.bytes) / static_cast<double>(minimum_rate_));
    transfer->second.earned += std::min(passed, worth);
  }
  transfer->second.moved = now;
}

// A piece that is on its way has as long as one that has just been sent at the lowest rate.
absl::Time Round::DeadlineOf(const secagg::MemberId& member) const {
  const auto transfer = transfers_.find(member);
  if (transfer == transfers_.end()) return deadline_;
  const absl::Time deadline = deadline_ + transfer->second.earned;
  const absl::Duration piece =
      absl::Seconds(static_cast<double>(kPieceBytes) / static_cast<double>(minimum_rate_));
  return std::max(deadline, std::min(deadline, transfer->second.moved) + piece);
}

absl::Time Round::next_deadline() const {
  absl::Time last = deadline_;
  if (transfers_.empty()) return last;
  for (const secagg::MemberId& member : awaited()) last = std::max(last, DeadlineOf(member));
  return last;
}

void Round::Repeat(const secagg::MemberId& member, std::vector<round::Output>* out) {
  if (const auto* server = std::get_if<secagg::Server>(&session_)) {
    if (absl::StatusOr<secagg::DownMessage> latest = server->LatestFor(member); latest.ok()) {
      auto down = std::make_shared<ServerMessage>();
      *down->mutable_secagg() = *std::move(latest);
      out->push_back(round::SendTo{member, std::move(down)});
      return;
    }
    if (server->phase() != secagg::Phase::kAdvertise) return;
  }
  out->push_back(round::SendTo{member, offer_});
}

bool Round::HasEnoughInputs() const {
  if (target_ == 0) return false;
  if (const auto* server = std::get_if<secagg::Server>(&session_)) {
    return server->phase() == secagg::Phase::kMaskedInput && server->answered() >= target_;
  }
  const auto& plain = std::get<secagg::PlainServer>(session_);
  return !plain.finished() && plain.summed() >= target_;
}

void Round::Fail(const absl::Status& why, std::vector<round::Output>* out) {
  ended_ = true;
  out->push_back(round::Failed{std::string(why.message())});
}

absl::Status Round::Add(const secagg::AcceptedInput& input) {
  if (sums_.empty()) {
    sums_.resize(std::visit([](const auto& server) { return Groups(server); }, session_), nothing_);
  }
  // What came in pieces may be gone from where it was put aside.
  if (input.staged != nullptr) return sums_[input.group].AddPacked(*input.staged);
  // The server has checked length and padding.
  DURE_CHECK(sums_[input.group].AddPacked(AsBytes(input.packed)).ok());
  return absl::OkStatus();
}

void Round::AdvanceWhilePossible(absl::Time now, std::vector<round::Output>* out) {
  while (!ended_) {
    if (std::vector<secagg::MemberId> late = awaited(); !late.empty() && !HasEnoughInputs()) {
      if (now < next_deadline()) return;
      out->push_back(round::Late{std::move(late), phase()});
    }
    // Those who receive the same get the same object.
    std::shared_ptr<const secagg::DownMessage> last;
    std::shared_ptr<ServerMessage> down;
    const auto send = [&](secagg::OutMessage message) {
      if (message.message != last) {
        last = std::move(message.message);
        down = std::make_shared<ServerMessage>();
        *down->mutable_secagg() = *last;
      }
      out->push_back(round::SendTo{message.to, down});
    };
    // When too few have answered, Advance says so in numbers.
    absl::Status status = std::visit([&](auto& server) { return server.Advance(send); }, session_);
    if (!status.ok()) return Fail(status, out);
    deadline_ = now + phase_deadline_;
    transfers_.clear();
    if (std::visit([](const auto& server) { return IsFinished(server); }, session_)) Finish(out);
  }
}

void Round::Finish(std::vector<round::Output>* out) {
  ended_ = true;
  std::vector<RingVector> sums;
  for (RingSum& sum : sums_) sums.push_back(std::move(*sum.mutable_sum()));
  sums_.clear();
  absl::StatusOr<std::vector<GroupSum>> opened =
      std::visit([&](auto& server) { return Open(server, std::move(sums)); }, session_);
  if (!opened.ok()) {
    out->push_back(round::Failed{std::string(opened.status().message())});
    return;
  }
  round::Closed closed{.sums = *std::move(opened)};
  for (const GroupSum& group : closed.sums) closed.survivors += group.survivors;
  out->push_back(std::move(closed));
}

}  // namespace dure
