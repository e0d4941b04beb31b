#include "coordinator/round.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"

namespace dure {

absl::StatusOr<std::unique_ptr<Round>> Round::Start(absl::Time now, Options options,
                                                    std::vector<round::Output>* out) {
  const int bits = static_cast<int>(options.session.config.bits());
  const uint64_t dim = options.session.config.dim();
  const std::vector<secagg::MemberId> cohort = options.session.expected;
  DURE_ASSIGN_OR_RETURN(secagg::Server server, secagg::Server::Create(std::move(options.session)));
  auto offer = std::make_shared<ServerMessage>();
  *offer->mutable_offer()->mutable_offer() = server.offer();
  offer->mutable_offer()->set_model(std::move(options.model));
  for (const secagg::MemberId& member : cohort) out->push_back(round::SendTo{member, offer});
  auto made =
      std::unique_ptr<Round>(new Round(std::move(server), RingSum(bits, dim), options.deadline));
  made->deadline_ = now + options.deadline;
  return made;
}

void Round::Step(absl::Time now, round::Input input, std::vector<round::Output>* out) {
  if (ended_) return;
  if (auto* received = std::get_if<round::MessageReceived>(&input)) {
    absl::StatusOr<std::optional<secagg::AcceptedInput>> accepted =
        server_.Receive(received->from, std::move(received->message));
    if (!accepted.ok()) {
      out->push_back(round::Rejected{received->from, accepted.status()});
    } else if (accepted->has_value()) {
      // The server has checked length and padding.
      DURE_CHECK(sum_.AddPacked(AsBytes((*accepted)->packed)).ok());
    }
  } else if (const auto* lost = std::get_if<round::MemberLost>(&input)) {
    server_.Drop(lost->member);
  }
  AdvanceWhilePossible(now, out);
}

void Round::AdvanceWhilePossible(absl::Time now, std::vector<round::Output>* out) {
  while (!ended_) {
    if (std::vector<secagg::MemberId> late = server_.Awaited(); !late.empty()) {
      if (now < deadline_) return;
      out->push_back(round::Late{std::move(late), phase()});
    }
    secagg::Outbox outbox;
    // When too few have answered, Advance says so in numbers.
    absl::Status status = server_.Advance(&outbox);
    if (!status.ok()) {
      ended_ = true;
      out->push_back(round::Failed{std::string(status.message())});
      return;
    }
    for (secagg::OutMessage& message : outbox) {
      auto down = std::make_shared<ServerMessage>();
      *down->mutable_secagg() = std::move(message.message);
      out->push_back(round::SendTo{message.to, std::move(down)});
    }
    deadline_ = now + phase_deadline_;
    if (server_.phase() == secagg::Phase::kFinished) Finish(out);
  }
}

void Round::Finish(std::vector<round::Output>* out) {
  ended_ = true;
  if (absl::Status status = server_.RemoveMasks(sum_.mutable_sum()); !status.ok()) {
    out->push_back(round::Failed{std::string(status.message())});
    return;
  }
  out->push_back(round::Closed{std::move(*sum_.mutable_sum()), server_.survivors()->count()});
}

}  // namespace dure
