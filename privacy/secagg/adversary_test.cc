// Hostile coordinators by the thousand: each shows members rosters, sets of dealers and sets of
// survivors that it draws at random, signed with its own key and the keys of members that collude
// with it. Whatever it tries, it must not learn more than one sum of enough honest members
// (docs/secure-aggregation.md sections 1.2 and 2.3).
#include <gtest/gtest.h>

#include <string>

#include "privacy/secagg/hostile_coordinator_for_test.h"

namespace dure::secagg {
namespace {

struct Setting {
  uint32_t members;
  uint32_t max_corrupt;  // what members believe
  uint32_t colluding;    // what is true
  std::string graph_rule = kGraphRuleComplete;
};

struct Tally {
  int runs = 0;
  int consented = 0;  // honest members signed a set of survivors
  int released = 0;   // honest members gave up shares
  int broken = 0;     // more than the one sum was learned
  std::string first;
};

Tally Attack(const Setting& setting, int runs) {
  Tally tally;
  CohortForTest cohort(setting.members, 2, 20);
  cohort.config.set_max_corrupt(setting.max_corrupt);
  cohort.config.set_graph_rule(setting.graph_rule);
  if (setting.graph_rule == kGraphRuleRing) cohort.config.set_max_dropout(0.05);
  for (int seed = 0; seed < runs; ++seed) {
    SeededChoices choices(static_cast<uint64_t>(seed));
    HostileCoordinator coordinator(cohort, setting.colluding, &choices);
    coordinator.Run();
    ++tally.runs;
    if (coordinator.consented() > 0) ++tally.consented;
    if (coordinator.released() > 0) ++tally.released;
    const std::string wrong = coordinator.Judge();
    if (wrong.empty()) continue;
    ++tally.broken;
    if (tally.first.empty()) tally.first = "seed " + std::to_string(seed) + ": " + wrong;
  }
  return tally;
}

TEST(AdversaryTest, NoCoordinatorLearnsMoreThanOneSum) {
  for (const Setting& setting :
       {Setting{5, 1, 1}, Setting{6, 1, 1}, Setting{7, 2, 2}, Setting{8, 1, 1}, Setting{8, 2, 2},
        Setting{6, 1, 0}, Setting{8, 1, 1, "groups-of-4"}}) {
    const Tally tally = Attack(setting, 400);
    EXPECT_EQ(tally.broken, 0) << setting.members << " members, " << setting.colluding
                               << " colluding, " << tally.first;
    // It is worth trying: some of them do reach the end with some members.
    EXPECT_GT(tally.released, tally.runs / 50) << setting.members;
    EXPECT_LT(tally.released, tally.runs);
  }
}

// On the ring no member shares secrets with all others, and there are more ways to cut it.
TEST(AdversaryTest, NoCoordinatorCutsTheRing) {
  const Tally tally = Attack({150, 3, 3, kGraphRuleRing}, 24);
  EXPECT_EQ(tally.broken, 0) << tally.first;
  EXPECT_GT(tally.consented, 0);
}

// With more corrupt members than were allowed for, the same coordinators do learn more: the
// judgement above can tell, and the bound c_max is what stands between.
TEST(AdversaryTest, BeyondTheBoundTheSameAttacksSucceed) {
  EXPECT_GT(Attack({6, 1, 2}, 100).broken, 0);
  EXPECT_GT(Attack({8, 1, 3}, 100).broken, 0);
}

}  // namespace
}  // namespace dure::secagg
