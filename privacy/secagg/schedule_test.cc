// Exhaustive small scope: four and five members, each leaving before any of the five phases or
// never (docs/secure-aggregation.md section 1.4). What must happen is computed here, from the page
// and not from the engines' own arithmetic.
#include <gtest/gtest.h>

#include <array>

#include "privacy/secagg/session_for_test.h"

namespace dure::secagg {
namespace {

constexpr int kPhases = 5;  // a member leaves before one of them, or before none

struct Settings {
  uint32_t members;
  uint32_t max_corrupt;
  uint32_t minimum_roster;
  uint32_t minimum_sum;
};

// Section 1.3 for the complete graph.
struct Numbers {
  uint32_t quorum;
  uint32_t threshold;
  uint32_t sum_minimum;
};
Numbers NumbersOf(uint32_t n, const Settings& settings) {
  const uint32_t c = settings.max_corrupt;
  const uint32_t quorum = (n + c) / 2 + 1;
  const uint32_t threshold = std::max({c + 1, 2u, quorum - 1});
  return {.quorum = quorum,
          .threshold = threshold,
          .sum_minimum = std::max({settings.minimum_sum, quorum, threshold + 1, c + 2})};
}

using Leaves = std::vector<int>;

// The phase in which a schedule ends without a sum; kPhases if it ends with one.
int Predict(const Settings& settings, const Leaves& leaves) {
  std::array<uint32_t, kPhases> stayed;  // through each phase
  for (int phase = 0; phase < kPhases; ++phase) {
    stayed[phase] = static_cast<uint32_t>(
        std::count_if(leaves.begin(), leaves.end(), [&](int before) { return before > phase; }));
  }
  const uint32_t n = stayed[0];
  if (n < 3 || n < settings.minimum_roster) return 0;
  const Numbers numbers = NumbersOf(n, settings);
  if (settings.max_corrupt >= n || numbers.sum_minimum > n) return 0;
  if (stayed[1] < numbers.sum_minimum) return 1;
  if (stayed[2] < numbers.sum_minimum) return 2;
  if (stayed[3] < numbers.quorum) return 3;
  // Of the own secret of one that answers there are the shares of all others that answer.
  if (stayed[4] < numbers.threshold + 1) return 4;
  return kPhases;
}

// Runs every schedule; how many ended in each way.
std::array<int, kPhases + 1> RunAll(const Settings& settings) {
  CohortForTest cohort(settings.members, 2, 20);
  cohort.config.set_max_corrupt(settings.max_corrupt);
  cohort.config.set_minimum_roster(settings.minimum_roster);
  cohort.config.set_minimum_sum(settings.minimum_sum);
  std::array<int, kPhases + 1> ends = {};
  Leaves leaves(settings.members);
  do {
    cohort.Reseed(0);
    const SessionOutcome outcome =
        RunSession(cohort, [&](uint32_t i) { return static_cast<Phase>(leaves[i]); });
    const int predicted = Predict(settings, leaves);
    ++ends[predicted];
    const auto stayed_through = [&](int phase) {
      std::vector<uint32_t> who;
      for (uint32_t i = 0; i < leaves.size(); ++i) {
        if (leaves[i] > phase) who.push_back(i);
      }
      return who;
    };
    const std::string schedule = ::testing::PrintToString(leaves);
    if (predicted == kPhases) {
      EXPECT_TRUE(outcome.status.ok()) << schedule << outcome.status;
      EXPECT_EQ(outcome.survivors, stayed_through(2)) << schedule;
      EXPECT_EQ(outcome.sum, cohort.SumOf([&](uint32_t i) { return leaves[i] > 2; })) << schedule;
    } else {
      EXPECT_EQ(outcome.status.code(), absl::StatusCode::kAborted) << schedule;
      EXPECT_EQ(static_cast<int>(outcome.ended_in), predicted) << schedule;
    }
    // Shares leave in the last phase and never before.
    EXPECT_EQ(outcome.finished, predicted < 4 ? std::vector<uint32_t>{} : stayed_through(4))
        << schedule;
    if (::testing::Test::HasFailure()) return ends;
  } while ([&] {  // the next schedule, as a number in base six
    for (int& before : leaves) {
      if (++before <= kPhases) return true;
      before = 0;
    }
    return false;
  }());
  return ends;
}

int Count(const std::array<int, kPhases + 1>& ends) {
  int all = 0;
  for (int of_one_kind : ends) all += of_one_kind;
  return all;
}

TEST(ScheduleTest, EveryScheduleOfFourMembersEndsAsTheThresholdsSay) {
  const auto ends = RunAll({.members = 4, .max_corrupt = 1, .minimum_roster = 3, .minimum_sum = 3});
  EXPECT_EQ(Count(ends), 1296);
  // One of four may vanish at any time: 1 schedule without a leaver and 4 members * 5 phases.
  EXPECT_EQ(ends[kPhases], 21);
}

TEST(ScheduleTest, EveryScheduleOfFiveMembersEndsAsTheThresholdsSay) {
  const auto ends = RunAll({.members = 5, .max_corrupt = 1, .minimum_roster = 3, .minimum_sum = 3});
  EXPECT_EQ(Count(ends), 7776);
  // One of five may vanish. If it does before phase 1, the other four are a roster of their own, of
  // which another may vanish: before phase 1 too (10 pairs), or later (5 * 4 * 4).
  EXPECT_EQ(ends[kPhases], 1 + 5 * 5 + 10 + 5 * 4 * 4);
  for (int phase = 0; phase < kPhases; ++phase) EXPECT_GT(ends[phase], 0) << phase;
}

TEST(ScheduleTest, EveryScheduleOfFourMembersThatMustAllCount) {
  const auto ends = RunAll({.members = 4, .max_corrupt = 1, .minimum_roster = 4, .minimum_sum = 4});
  EXPECT_EQ(Count(ends), 1296);
  // Nobody may be gone before phase 4; one may then miss both last phases or the last one.
  EXPECT_EQ(ends[kPhases], 1 + 4 * 2);
}

TEST(ScheduleTest, EveryScheduleOfFourMembersOfWhomTwoMayBeCorrupt) {
  const auto ends = RunAll({.members = 4, .max_corrupt = 2, .minimum_roster = 3, .minimum_sum = 3});
  EXPECT_EQ(Count(ends), 1296);
  // Q = 4: nobody may be gone before phase 4. One may then miss nothing either, as t = 3.
  EXPECT_EQ(ends[kPhases], 1);
}

}  // namespace
}  // namespace dure::secagg
