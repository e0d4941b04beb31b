#include "coordinator/service/standing.h"

#include <algorithm>
#include <variant>

namespace dure {
namespace {

bool Same(const Standing& a, const Standing& b) {
  return a.state() == b.state() && a.here() == b.here() && a.needed() == b.needed();
}

Standing Make(Standing::State state, size_t here = 0, size_t needed = 0) {
  Standing standing;
  standing.set_state(state);
  standing.set_here(static_cast<uint32_t>(here));
  standing.set_needed(static_cast<uint32_t>(needed));
  return standing;
}

}  // namespace

void StandingNews::Heard(const run::Input& input) {
  if (const auto* arrived = std::get_if<run::Arrived>(&input)) {
    if (arrived->role == MEMBER) members_[arrived->member] = {.name = arrived->name};
  } else if (const auto* left = std::get_if<run::Left>(&input)) {
    members_.erase(left->member);
  } else if (const auto* said = std::get_if<run::Said>(&input)) {
    auto member = members_.find(said->member);
    if (member != members_.end() && said->message.has_availability()) {
      member->second.available = said->message.availability().available();
    }
  }
}

void StandingNews::Sent(const run::SendTo& sent) {
  if (sent.message->has_offer()) {
    const std::string& session_id = sent.message->offer().offer().session_id();
    if (session_id != session_id_) cohort_.clear();
    session_id_ = session_id;
    cohort_.insert(sent.member);
  } else if (sent.message->has_attempt_ended()) {
    // It is over for all of them, also for those that cannot be told now.
    if (sent.message->attempt_ended().session_id() == session_id_) cohort_.clear();
  }
  // What it was told before, it does not go by any more.
  auto member = members_.find(sent.member);
  if (member != members_.end() &&
      (sent.message->has_offer() || sent.message->has_attempt_ended())) {
    member->second.told = Standing();
  }
}

Standing StandingNews::StandingOf(const secagg::MemberId& member, const Waiting& waiting,
                                  const RunStatus& status,
                                  const std::set<std::string>& awaited) const {
  if (!cohort_.empty()) {
    if (!cohort_.contains(member)) {
      return waiting.available ? Make(Standing::NOT_SELECTED) : Standing();
    }
    if (awaited.empty() || awaited.contains(waiting.name)) return Standing();
    const size_t missing = std::min(awaited.size(), cohort_.size());
    return Make(Standing::OTHERS_AWAITED, cohort_.size() - missing, cohort_.size());
  }
  if (status.state() == "paused") return Make(Standing::PAUSED);
  if (status.state() != "waiting") return Standing();
  const size_t here = static_cast<size_t>(std::count_if(
      members_.begin(), members_.end(), [](const auto& entry) { return entry.second.available; }));
  return here < needed_ ? Make(Standing::TOO_FEW_MEMBERS, here, needed_) : Standing();
}

std::vector<StandingNews::News> StandingNews::Due(const RunStatus& status, absl::Time now) {
  const std::set<std::string> awaited(status.awaited().begin(), status.awaited().end());
  std::vector<News> news;
  for (auto& [id, waiting] : members_) {
    Standing standing = StandingOf(id, waiting, status, awaited);
    if (Same(standing, waiting.told) || now - waiting.told_at < kInterval) continue;
    waiting.told = standing;
    waiting.told_at = now;
    news.push_back({id, std::move(standing)});
  }
  return news;
}

}  // namespace dure
