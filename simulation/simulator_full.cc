// Simulator: an attempt of the real protocol. Every message of coordinator/round.h and
// client/member_session.h is made, checked and answered, one after the other.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "simulation/simulator.h"

namespace dure::simulation {

// The members of one attempt, and how far each of them is.
struct Simulator::FullAttempt {
  struct Progress {
    std::optional<RingVector> input;  // not given to its session yet
    bool leaves = false;              // once its keys are shared
    bool gone = false;
  };

  ProtocolMembers members;
  std::vector<Progress> progress;
  size_t missing = 0;  // inputs that have not been sent
  bool late = false;   // somebody is: the deadline will pass
  absl::Time end;      // when the last input, or the deadline, comes
};

// All inputs but the last one are there at the beginning; the last one comes when the attempt is
// planned to end. So an attempt takes as long as without messages.
absl::Status Simulator::RunFull(const OfferedAttempt& offered, const std::vector<Part>& parts) {
  FullAttempt full{
      .members = ProtocolMembers(options_.seed, attempt_->clients, offered.config.attempt(),
                                 offered.terms, key_.public_key()),
      .progress = std::vector<FullAttempt::Progress>(parts.size()),
      .end = EndOf(parts)};
  DURE_ASSIGN_OR_RETURN(CohortInputs made, Train(offered, parts, {}, 1));
  for (size_t i = 0, kept = 0; i < parts.size(); ++i) {
    FullAttempt::Progress& progress = full.progress[i];
    if (parts[i].asked) progress.input = std::move(made.kept[kept++]);
    progress.leaves = !progress.input && !parts[i].late;
    full.missing += progress.input.has_value();
    full.late |= parts[i].late;
  }
  std::deque<Message> offers;
  std::swap(offers, messages_);
  for (size_t i = 0; i < parts.size(); ++i) {
    Step(run::Arrived{full.members[i].id, absl::StrCat("client ", parts[i].client), MEMBER});
  }
  messages_ = std::move(offers);  // in the place of their welcome
  // What follows the end of the attempt is of the next one.
  attempt_over_ = false;
  while (!attempt_over_ && !over_) {
    if (messages_.empty()) {
      now_ = std::max(now_, engine_->next_deadline());
      Step(run::Tick{});
      continue;
    }
    const Message message = std::move(messages_.front());
    messages_.pop_front();
    const size_t place = full.members.PlaceOf(message.first);
    if (full.progress[place].gone) continue;
    DURE_RETURN_IF_ERROR(Answer(offered, parts[place], place, *message.second, &full));
  }
  messages_.clear();
  return absl::OkStatus();
}

// What a member does with a message.
absl::Status Simulator::Answer(const OfferedAttempt& offered, const Part& part, size_t place,
                               const ServerMessage& message, FullAttempt* full) {
  ProtocolMembers::Member& member = full->members[place];
  FullAttempt::Progress& progress = full->progress[place];
  const auto leave = [&] {
    if (full->missing == 0 && !full->late) now_ = full->end;
    progress.gone = true;
    Step(run::Left{.member = member.id, .lost = false});
  };
  std::optional<secagg::UpMessage> up;
  if (message.has_offer()) {
    const bool plain = !offered.terms.secure_aggregation;
    if (!part.answers || (plain && progress.leaves)) return leave(), absl::OkStatus();
    DURE_ASSIGN_OR_RETURN(up, member.session.StartFromOffer(message.offer().offer()));
    if (progress.input) {
      DURE_ASSIGN_OR_RETURN(std::optional<secagg::UpMessage> input,
                            member.session.SetInput(*std::move(progress.input)));
      if (input) up = std::move(input);  // without secure aggregation
    }
  } else if (message.has_secagg()) {
    DURE_ASSIGN_OR_RETURN(up, member.session.Receive(message.secagg()));
  }
  if (!up) return absl::OkStatus();
  const bool shares = up->has_shares(), input = up->has_masked_input() || up->has_plain_input();
  if (input && --full->missing == 0 && !full->late) now_ = full->end;
  ClientMessage said;
  *said.mutable_secagg() = *std::move(up);
  Step(run::Said{member.id, std::move(said)});
  const bool helps = part.fate.vanishes != Vanishes::kAfterUpload;
  if (!attempt_over_ && ((shares && progress.leaves) || (input && !helps))) leave();
  return absl::OkStatus();
}

}  // namespace dure::simulation
