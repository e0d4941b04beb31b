// What goes wrong in a SeededWorld, and how it heals.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/world/seeded_world.h"

namespace dure::world {
namespace {

// A connection over which nothing comes for so long is given up (transport/keepalive.h).
constexpr absl::Duration kKeepalive = absl::Seconds(20);
// What still goes wrong when the faults have healed: the attempt under way, and others with members
// that were late.
constexpr uint32_t kMostFailuresAfterwards = 4;

}  // namespace

// Before a write, or after it and before what follows from it.
bool SeededWorld::CrashesHere(std::string_view where) {
  if (!faulty_) return false;
  const uint32_t time = times_[std::string(where)]++;
  const bool now = where == scenario_.faults.crash_where && time == scenario_.faults.crash_time;
  if (!now && !Happens(scenario_.faults.crash_at_write)) return false;
  Count(absl::StrCat("crashes ", std::string(where)));
  return true;
}

// Once a second.
void SeededWorld::Misfortunes() {
  if (!faulty_ || ended_) return;
  const Faults& faults = scenario_.faults;
  if (Happens(faults.partition)) Partition();
  for (Node& node : nodes_) {
    if (!node.engine || !Happens(faults.member_dies)) continue;
    Count("members that died");
    KillMember(node);
  }
  if (coordinator_ && Happens(faults.coordinator_dies)) {
    Count("coordinators that died");
    KillCoordinator();
  }
  if (coordinator_ && Happens(faults.coordinator_stops)) StopAndStart();
  if (coordinator_ && !paused_ && Happens(faults.paused)) Pause();
  After(absl::Seconds(1), [this] { Misfortunes(); });
}

// Some are cut off for a while: what was sent arrives afterwards, unless that is too late.
void SeededWorld::Partition() {
  Count("partitions");
  const absl::Duration lasts =
      dice_.Between(absl::Milliseconds(100), dice_.Of({absl::Seconds(5), absl::Seconds(40)}));
  for (Node& node : nodes_) {
    if (dice_.Chance(0.5)) continue;
    Trace(absl::StrCat(node.person->name, " is cut off for ", absl::FormatDuration(lasts)));
    node.held_until = std::max(node.held_until, now_ + lasts);
    Post(node.held_until, [this, &node] { Release(node); });
    if (lasts <= kKeepalive) continue;
    After(kKeepalive, [this, &node, number = node.link.number] {
      if (node.link.number == number && now_ < node.held_until) Break(node);
    });
  }
}

void SeededWorld::Release(Node& node) {
  if (now_ < node.held_until) return;
  for (const Action& arrive : std::exchange(node.held, {})) arrive();
}

// By a person.
void SeededWorld::StopAndStart() {
  Count("coordinators that were stopped");
  Trace("the coordinator is stopped");
  StepCoordinator(run::Stop{});
  KillCoordinator();
}

void SeededWorld::Pause() {
  Count("pauses");
  paused_ = true;
  Trace("the run is paused");
  StepCoordinator(run::SetPaused{true});
  After(dice_.Between(absl::Seconds(1), absl::Seconds(15)), [this] {
    Trace("the run is resumed");
    paused_ = false;
    StepCoordinator(run::SetPaused{false});
  });
}

// From here on nothing breaks, and nobody lies. Who ended is started again.
void SeededWorld::Heal() {
  Trace("the faults heal");
  faulty_ = false;
  healed_ = now_;
  most_attempts_ = state_.attempts.value() + scenario_.spec.rounds().count() -
                   state_.round.value() + kMostFailuresAfterwards;
  for (Node& node : nodes_) {
    node.held_until = now_;
    Release(node);
    // Whoever sat on the path is gone, and the streams with him.
    if (scenario_.hostile) Break(node);
    // Shares were seen of it that it never dealt: `dure client --charge-missing`.
    if (!node.honest) node.charge_missing = true;
    if (node.honest && !node.gone && !(node.done && !ended_)) continue;
    node.done = node.done && ended_;
    node.gone = true;
    KillMember(node);
    After(absl::Seconds(1), [this, &node] { StartMember(node); });
  }
  // A member whose words were altered on their way counts as a liar, in the memory of a process.
  if (interfered_) KillCoordinator();
}

}  // namespace dure::world
