// Whole sessions between the two engines: members that leave at every phase, and what the sum then
// is (docs/secure-aggregation.md section 1.4).
#include <gtest/gtest.h>

#include "privacy/secagg/session_for_test.h"

namespace dure::secagg {
namespace {

std::vector<int64_t> SumOf(const CohortForTest& cohort, const std::vector<uint32_t>& who) {
  return cohort.SumOf(
      [&](uint32_t i) { return std::find(who.begin(), who.end(), i) != who.end(); });
}

TEST(SessionTest, TheSumOfEverybodyIsExact) {
  for (uint32_t members : {3u, 4u, 5u, 10u}) {
    for (uint32_t bits : {20u, 32u, 40u, 64u}) {
      CohortForTest cohort(members, 33, bits);
      SessionOutcome outcome = RunSession(cohort, [](uint32_t) { return Phase::kFinished; });
      ASSERT_TRUE(outcome.status.ok()) << outcome.status;
      EXPECT_EQ(outcome.survivors.size(), members);
      EXPECT_EQ(outcome.sum, cohort.SumOf([](uint32_t) { return true; }));
    }
  }
}

TEST(SessionTest, OneMemberMayLeaveBeforeAnyPhase) {
  for (uint32_t members : {5u, 7u, 10u}) {
    for (uint32_t leaver : {0u, members / 2, members - 1}) {
      for (int phase = 0; phase < static_cast<int>(Phase::kFinished); ++phase) {
        CohortForTest cohort(members, 7, 24);
        SessionOutcome outcome = RunSession(cohort, [&](uint32_t i) {
          return i == leaver ? static_cast<Phase>(phase) : Phase::kFinished;
        });
        ASSERT_TRUE(outcome.status.ok()) << outcome.status << ", " << members << " members, "
                                         << leaver << " leaves before phase " << phase;
        const bool counts = phase > static_cast<int>(Phase::kMaskedInput);
        EXPECT_EQ(outcome.survivors.size(), members - (counts ? 0 : 1));
        EXPECT_EQ(outcome.sum, SumOf(cohort, outcome.survivors));
      }
    }
  }
}

TEST(SessionTest, MembersMayLeaveAtDifferentPhases) {
  // Ten members and c_max 1: the quorum is 6, so four may be gone by the end.
  CohortForTest cohort(10, 50, 27);
  SessionOutcome outcome = RunSession(cohort, [](uint32_t i) {
    switch (i) {
      case 1:
        return Phase::kShares;
      case 4:
        return Phase::kMaskedInput;
      case 6:
        return Phase::kConsent;
      case 9:
        return Phase::kUnmask;
      default:
        return Phase::kFinished;
    }
  });
  ASSERT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_EQ(outcome.survivors, (std::vector<uint32_t>{0, 2, 3, 5, 6, 7, 8, 9}));
  EXPECT_EQ(outcome.sum, SumOf(cohort, outcome.survivors));
}

TEST(SessionTest, RandomDropoutsGiveTheExactSumOrACleanEnd) {
  AesCtrRandom random = SeededRandom(99);
  int opened = 0;
  int ended = 0;
  for (int trial = 0; trial < 40; ++trial) {
    CohortForTest cohort(5 + static_cast<uint32_t>(random.NextU64() % 6), 5, 31);
    std::vector<Phase> leaves;
    for (size_t i = 0; i < cohort.members.size(); ++i) {
      leaves.push_back(random.NextU64() % 3 != 0 ? Phase::kFinished
                                                 : static_cast<Phase>(random.NextU64() % 5));
    }
    SessionOutcome outcome = RunSession(cohort, [&](uint32_t i) { return leaves[i]; });
    if (outcome.status.ok()) {
      ++opened;
      EXPECT_EQ(outcome.sum, SumOf(cohort, outcome.survivors));
    } else {
      ++ended;
    }
  }
  EXPECT_GT(opened, 5);
  EXPECT_GT(ended, 5);
}

TEST(SessionTest, TooFewMembersEndItAtAnyPhaseWithTheNumbers) {
  for (int phase = 0; phase < static_cast<int>(Phase::kFinished); ++phase) {
    CohortForTest cohort(6, 5, 31);
    cohort.config.set_minimum_sum(5);
    cohort.config.set_minimum_roster(5);
    SessionOutcome outcome = RunSession(
        cohort, [&](uint32_t i) { return i < 4 ? static_cast<Phase>(phase) : Phase::kFinished; });
    EXPECT_EQ(outcome.status.code(), absl::StatusCode::kAborted);
    EXPECT_NE(outcome.status.message().find("2 of 6"), std::string::npos) << outcome.status;
  }
}

TEST(SessionTest, EveryCertificateIsVerifiedOnceByEachEngine) {
  CohortForTest cohort(5, 5, 31);
  ASSERT_TRUE(RunSession(cohort, [](uint32_t) { return Phase::kFinished; }).status.ok());
  EXPECT_EQ(cohort.verifier.asked, 5 + 5 * 5);
}

TEST(SessionTest, ALargerCohortWorks) {
  CohortForTest cohort(40, 3, 20);
  cohort.config.set_max_corrupt(8);
  SessionOutcome outcome =
      RunSession(cohort, [](uint32_t i) { return i < 3 ? Phase::kMaskedInput : Phase::kFinished; });
  ASSERT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_EQ(outcome.survivors.size(), 37u);
  EXPECT_EQ(outcome.sum, SumOf(cohort, outcome.survivors));
}

}  // namespace
}  // namespace dure::secagg
