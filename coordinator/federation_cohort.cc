// Who takes part in an attempt: whom FederationEngine waits for, whom it leaves out, whom it draws.
#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/paragraph.h"
#include "coordinator/federation_engine.h"
#include "google/protobuf/util/time_util.h"

namespace dure {
namespace {

// How long an attempt waits for members that are missing: before the first attempt of a run, when
// some have not come yet, the federation's deadline; before the first of a coordinator that goes on
// with a run, while they dial again, kResumePatience; later, when some have just been lost,
// kReturnPatience.
constexpr absl::Duration kResumePatience = absl::Seconds(10);
constexpr absl::Duration kReturnPatience = absl::Seconds(3);

}  // namespace

absl::Duration FederationEngine::deadline() const {
  return absl::Milliseconds(
      google::protobuf::util::TimeUtil::DurationToMilliseconds(options_.spec.rounds().deadline()));
}

// Those who sit an attempt out are asked all the same if the others are too few.
std::vector<secagg::MemberId> FederationEngine::AvailableMembers() const {
  std::vector<secagg::MemberId> members, sitting_out;
  const auto refused = refused_sums_.find(sums_.Due(state_));
  for (const auto& [id, person] : people_) {
    if (person.role != MEMBER || !person.available || left_out_.contains(id) ||
        broke_protocol_.contains(id)) {
      continue;
    }
    if (refused != refused_sums_.end() && refused->second.contains(id)) continue;
    auto tardy = tardy_.find(id);
    if (tardy == tardy_.end()) {
      members.push_back(id);
    } else if (!tardy->second.silent) {
      (tardy->second.until > state_.attempts ? sitting_out : members).push_back(id);
    }
  }
  // Groups may need more than the minimum.
  const RoundsSection& rounds = options_.spec.rounds();
  const auto enough = [&] {
    const size_t size =
        rounds.has_cohort() ? std::min<size_t>(members.size(), rounds.cohort()) : members.size();
    return size >= rounds.minimum() &&
           DeriveTerms(options_.spec, terms_.dim, static_cast<uint32_t>(size), state_.clip_norm)
               .ok();
  };
  if (!sitting_out.empty() && !enough()) {
    members.insert(members.end(), sitting_out.begin(), sitting_out.end());
  }
  return members;
}

std::vector<std::string> FederationEngine::SilentMembers() const {
  std::vector<std::string> names;
  for (const auto& [id, tardy] : tardy_) {
    if (tardy.silent && people_.contains(id)) names.push_back(NameOf(id));
  }
  return names;
}

// How many attempts: 0, 2, 6, 14, ...
uint32_t FederationEngine::SitOut(const secagg::MemberId& member, bool silent) {
  constexpr uint32_t kMostDoublings = 7;
  Tardiness& tardy = tardy_[member];
  tardy.silent = silent;
  ++tardy.times;
  const uint32_t attempts = (1u << std::min(tardy.times, kMostDoublings)) - 2;
  tardy.until = AttemptNumber(state_.attempts.value() + attempts);
  return attempts;
}

void FederationEngine::LeaveOutTheLate(const round::Late& late, Outputs* out) {
  for (const secagg::MemberId& member : late.members) {
    const uint32_t sits_out = SitOut(member, /*silent=*/true);
    out->push_back(run::Note{
        true,
        absl::StrCat(NameOf(member), " did not send ", std::string(late.phase), " within ",
                     absl::FormatDuration(deadline()), ": it is left out until it is heard from",
                     sits_out == 0 ? "" : absl::StrCat(", and for ", sits_out, " attempts"))});
  }
}

// Those who were late or declined before, and answered everything this time.
void FederationEngine::ForgiveThePunctual() {
  for (const secagg::MemberId& member : cohort_) {
    auto tardy = tardy_.find(member);
    if (tardy != tardy_.end() && !tardy->second.silent && tardy->second.until < state_.attempts) {
      tardy_.erase(tardy);
    }
  }
}

bool FederationEngine::EnoughAreHere(absl::Time now, size_t connected) {
  const RoundsSection& rounds = options_.spec.rounds();
  const size_t wanted = rounds.has_cohort() ? rounds.cohort() : rounds.minimum();
  const std::vector<std::string> silent = SilentMembers();
  waiting_for_ =
      absl::StrCat("waiting for members, ", connected, " of ", wanted, " are here",
                   silent.empty() ? "" : "; no answer from ", absl::StrJoin(silent, ", "));
  if (auto refused = refused_sums_.find(sums_.Due(state_));
      refused != refused_sums_.end() && !refused->second.empty()) {
    absl::StrAppend(&waiting_for_, "; ", Counted(refused->second.size(), "member"), " refused the ",
                    std::string(SumsName(refused->first)));
  }
  if (connected < rounds.minimum()) {
    patience_until_.reset();
    return false;
  }
  if (options_.cohorts) return true;  // they are all there are
  if (connected + silent.size() >= settled_for_) return true;
  if (!patience_until_) {
    absl::Duration patience = kGatherPatience;
    if (rounds.has_cohort()) {
      patience = state_.attempts.value() == 0 ? deadline()
                 : session_id_ == Digest{}    ? kResumePatience
                                              : kReturnPatience;
    }
    patience_until_ = now + patience;
  }
  return now >= *patience_until_;
}

size_t FederationEngine::MostInvited() const {
  const RoundsSection& rounds = options_.spec.rounds();
  return rounds.has_cohort() ? rounds.cohort() : secagg::kMaxDenseMembers;
}

// Without replacement, each subset as likely as any other.
std::vector<secagg::MemberId> FederationEngine::DrawCohort(
    std::vector<secagg::MemberId> connected) {
  const size_t size = std::min(connected.size(), MostInvited());
  AesCtrRandom random(*options_.random);
  for (size_t i = 0; i < size; ++i) {
    // 64 bits modulo at most some thousands: the bias is below 2^-50.
    std::swap(connected[i], connected[i + random.NextU64() % (connected.size() - i)]);
  }
  connected.resize(size);
  return connected;
}

}  // namespace dure
