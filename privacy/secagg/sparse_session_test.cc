// Rules and whole sessions above 128 members, and in groups (docs/secure-aggregation.md section
// 1.3).
#include <gtest/gtest.h>

#include "privacy/secagg/graph_rule.h"
#include "privacy/secagg/session_for_test.h"
#include "tests/support/golden.h"

namespace dure::secagg {
namespace {

std::vector<int64_t> SumOf(const CohortForTest& cohort, const std::vector<uint32_t>& who) {
  return cohort.SumOf(
      [&](uint32_t i) { return std::find(who.begin(), who.end(), i) != who.end(); });
}

CohortForTest SparseCohort(uint32_t members, uint32_t max_corrupt) {
  CohortForTest cohort(members, 3, 24);
  cohort.config.set_graph_rule("ring");
  cohort.config.set_security_bits(40);
  cohort.config.set_max_dropout(0.05);
  cohort.config.set_max_corrupt(max_corrupt);
  return cohort;
}

CohortForTest GroupedCohort(uint32_t members, uint32_t group_size) {
  CohortForTest cohort(members, 3, 24);
  cohort.config.set_graph_rule("groups-of-" + std::to_string(group_size));
  cohort.config.set_minimum_roster(members * 4 / 5);
  return cohort;
}

// Leaves before a phase, if it is one of `who`.
std::function<Phase(uint32_t)> Leaving(std::vector<uint32_t> who, Phase before) {
  return [who = std::move(who), before](uint32_t i) {
    return std::find(who.begin(), who.end(), i) != who.end() ? before : Phase::kFinished;
  };
}

TEST(SessionRulesTest, AreTheKnownOnesAbove128Members) {
  int regular = 0, complete = 0, infeasible = 0;
  for (const testing::Row& row : testing::ReadGolden("graph_params.csv")) {
    const auto n = static_cast<uint32_t>(std::stoul(row.at("n")));
    const auto c_max = static_cast<uint32_t>(std::stoul(row.at("c_max")));
    if (row.at("mode") != "adaptive" || n <= kMaxDenseMembers || n > kMaxMembers || c_max == 0) {
      continue;
    }
    const std::string& fraction = row.at("dropout_fraction");
    const size_t slash = fraction.find('/');
    auto rules = ComputeSessionRules(
        {.rule = {.kind = GraphRuleName::Kind::kRing},
         .members = n,
         .max_corrupt = c_max,
         .max_dropout = std::stod(fraction) /
                        (slash == std::string::npos ? 1 : std::stod(fraction.substr(slash + 1))),
         .security_bits = static_cast<uint32_t>(std::stoul(row.at("security_bits")))});
    if (row.at("kind") == "infeasible") {
      EXPECT_EQ(rules.status().code(), absl::StatusCode::kFailedPrecondition);
      ++infeasible;
      continue;
    }
    ASSERT_TRUE(rules.ok()) << rules.status();
    EXPECT_EQ(rules->sparse, row.at("kind") == "regular");
    EXPECT_EQ(rules->smaller.neighbours, std::stoul(row.at("degree_k")));
    EXPECT_EQ(rules->smaller.threshold, std::stoul(row.at("threshold_t")));
    EXPECT_EQ(rules->quorum, std::stoul(row.at("quorum_q")));
    ++(rules->sparse ? regular : complete);
  }
  EXPECT_GT(regular, 20);
  EXPECT_GT(complete, 0);
  EXPECT_GT(infeasible, 0);
}

TEST(SessionRulesTest, RingIsCompleteUpTo128Members) {
  const RuleParams params = {.rule = {.kind = GraphRuleName::Kind::kRing},
                             .members = 128,
                             .max_corrupt = 25,
                             .minimum_sum = 3};
  auto rules = ComputeSessionRules(params);
  ASSERT_TRUE(rules.ok()) << rules.status();
  EXPECT_FALSE(rules->sparse);
  EXPECT_EQ(rules->smaller, *ComputeThresholds(128, 25, 3));
}

TEST(SessionRulesTest, WhatCannotWorkIsRefusedWithTheNumbers) {
  const GraphRuleName ring = {.kind = GraphRuleName::Kind::kRing};
  const GraphRuleName fives = {.kind = GraphRuleName::Kind::kGroups, .group_size = 5};
  const std::pair<RuleParams, std::string> refused[] = {
      {{.rule = ring,
        .members = 1000,
        .max_corrupt = 400,
        .max_dropout = 0.1,
        .security_bits = 128},
       "no graph of up to 254 neighbours for 1000 members, 400 corrupt"},
      {{.rule = ring, .members = 5000, .max_corrupt = 5, .security_bits = 128}, "limit is 4096"},
      {{.rule = ring, .members = 500, .max_corrupt = 0, .security_bits = 128}, "at least 1"},
      {{.rule = ring, .members = 500, .max_corrupt = 5, .security_bits = 0}, "at least 1"},
      {{.rule = {}, .members = 129, .max_corrupt = 5}, "limit is 128"},
      {{.rule = fives, .members = 9, .max_corrupt = 1, .security_bits = 128}, "two groups of 5"},
      {{.rule = fives, .members = 20, .max_corrupt = 4, .security_bits = 128},
       "a group of 5 may have 4 of the 4 corrupt members"}};
  for (const auto& [params, text] : refused) {
    auto rules = ComputeSessionRules(params);
    EXPECT_EQ(rules.status().code(), absl::StatusCode::kFailedPrecondition) << text;
    EXPECT_NE(rules.status().message().find(text), absl::string_view::npos) << rules.status();
  }
}

TEST(SessionRulesTest, AGroupHasTheThresholdsOfASessionOfItsOwn) {
  auto rules = ComputeSessionRules({.rule = {.kind = GraphRuleName::Kind::kGroups, .group_size = 5},
                                    .members = 22,
                                    .max_corrupt = 1,
                                    .minimum_sum = 3,
                                    .minimum_roster = 18,
                                    .security_bits = 128});
  ASSERT_TRUE(rules.ok()) << rules.status();
  EXPECT_EQ(rules->groups, 4u);
  EXPECT_EQ(rules->smaller, *ComputeThresholds(5, 1, 3));
  EXPECT_EQ(rules->larger, *ComputeThresholds(6, 1, 3));
  EXPECT_EQ(rules->quorum, 12u);
  EXPECT_EQ(rules->survivors_minimum, 18u);
  EXPECT_EQ(rules->HonestMinimum(), 3u);
}

TEST(SessionRulesTest, ALargeCohortSpreadsItsCorruptMembersOverTheGroups) {
  // Exact, by the hypergeometric distribution in rational arithmetic: 1000 members, 50 corrupt,
  // groups of 50: P[Hyp(1000, 50, 50) > 23] <= 2^-40 / 20 < P[... > 22].
  EXPECT_LT(MostCorruptInGroup({.members = 1000,
                                .max_corrupt = 50,
                                .group_size = 50,
                                .groups = 20,
                                .security_bits = 40}),
            25u);
  EXPECT_EQ(MostCorruptInGroup({.members = 20, .max_corrupt = 2, .group_size = 5, .groups = 4}),
            2u);
  // Certain: every draw of one from four of whom four are marked.
  EXPECT_EQ(MostCorruptInGroup({.members = 4, .max_corrupt = 4, .group_size = 1, .groups = 4}), 1u);
}

TEST(SparseSessionTest, TheSumIsExactWithMembersLeavingAtEveryPhase) {
  CohortForTest cohort = SparseCohort(150, 3);
  auto rules = RulesOf(cohort.config, 150);
  ASSERT_TRUE(rules.ok()) << rules.status();
  ASSERT_TRUE(rules->sparse);
  SessionOutcome outcome = RunSession(cohort, [](uint32_t i) {
    return i % 30 == 7 ? static_cast<Phase>(i / 30) : Phase::kFinished;
  });
  ASSERT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_EQ(outcome.survivors.size(), 150u - 3);
  EXPECT_EQ(outcome.sum, SumOf(cohort, outcome.survivors));
}

TEST(GroupedSessionTest, EachGroupsSumIsItsMembers) {
  CohortForTest cohort = GroupedCohort(17, 5);
  SessionOutcome outcome = RunSession(cohort, Leaving({}, Phase::kFinished));
  ASSERT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_EQ(outcome.opened, (std::vector<uint32_t>{0, 1, 2}));
  EXPECT_EQ(outcome.sum, cohort.SumOf([](uint32_t) { return true; }));
}

TEST(GroupedSessionTest, OneMemberMayLeaveEachGroupAtAnyPhase) {
  for (int phase = 0; phase < static_cast<int>(Phase::kFinished); ++phase) {
    CohortForTest cohort = GroupedCohort(16, 5);
    SessionOutcome outcome = RunSession(cohort, Leaving({3}, static_cast<Phase>(phase)));
    ASSERT_TRUE(outcome.status.ok()) << outcome.status << " phase " << phase;
    EXPECT_EQ(outcome.sum, SumOf(cohort, outcome.survivors));
    EXPECT_EQ(outcome.survivors.size(), phase <= static_cast<int>(Phase::kMaskedInput) ? 15u : 16u);
  }
}

// Which group a member of the cohort is in can be seen only in the session itself, so a whole group
// is made to leave by what the server says.
TEST(GroupedSessionTest, AGroupThatCannotGoOnIsLeftOutAndTheOthersAreOpened) {
  for (const Phase phase : {Phase::kShares, Phase::kMaskedInput, Phase::kUnmask}) {
    CohortForTest cohort = GroupedCohort(20, 5);
    cohort.config.set_minimum_roster(14);
    SessionRunForTest run(cohort);
    std::vector<RingVector> sums(4, RingZeros(3, 24));
    std::vector<DownMessage> messages;
    std::vector<UpMessage> answers = run.Start();
    std::optional<Graph> graph;
    while (run.server.phase() < Phase::kFinished) {
      if (!graph && run.server.rules()) graph = run.server.rules()->MakeGraph(run.server.t1());
      for (uint32_t i = 0; i < 20; ++i) {
        const bool leaves = graph && run.server.phase() >= phase &&
                            graph->GroupOf(ClientIndex(i)) == 2 && i % 2 == 0;
        // Everybody in group 2 but those with odd numbers leaves; three are too few of five.
        if (leaves || answers[i].kind_case() == UpMessage::KIND_NOT_SET) {
          run.server.Drop(run.id(i));
          continue;
        }
        auto accepted = run.server.Receive(run.id(i), answers[i]);
        if (!accepted.ok()) {
          EXPECT_TRUE(absl::IsFailedPrecondition(accepted.status())) << accepted.status();
          continue;
        }
        if (accepted->has_value()) {
          ASSERT_TRUE(
              UnpackAndAdd(AsBytes((*accepted)->packed), 24, &sums[(*accepted)->group]).ok());
        }
      }
      messages = run.Advance();
      answers.assign(20, {});
      for (uint32_t i = 0; i < 20; ++i) {
        if (messages[i].kind_case() == DownMessage::KIND_NOT_SET) continue;
        auto answer = run.client(i).Receive(messages[i]);
        ASSERT_TRUE(answer.ok()) << answer.status();
        if (answer->has_value()) answers[i] = **answer;
      }
    }
    uint32_t leavers = 0;
    for (uint32_t i = 0; i < 20; i += 2) leavers += graph->GroupOf(ClientIndex(i)) == 2;
    auto opened = run.server.RemoveMasks(sums);
    ASSERT_TRUE(opened.ok()) << opened.status();
    if (leavers >= 2) {
      EXPECT_EQ(*opened, (std::vector<uint32_t>{0, 1, 3}));
    }
    for (const uint32_t group : *opened) {
      EXPECT_EQ(RingToSigned(sums[group], 24), cohort.SumOf([&](uint32_t i) {
        return run.server.survivors()->Contains(i) && graph->GroupOf(ClientIndex(i)) == group;
      }));
    }
  }
}

TEST(GroupedSessionTest, TooFewInAllEndItWithTheNumbers) {
  CohortForTest cohort = GroupedCohort(15, 5);  // at least 12
  SessionOutcome outcome = RunSession(cohort, Leaving({0, 1, 2, 3, 4, 5, 6}, Phase::kMaskedInput));
  EXPECT_EQ(outcome.status.code(), absl::StatusCode::kAborted);
  EXPECT_NE(outcome.status.message().find("at least 12 are needed"), absl::string_view::npos)
      << outcome.status;
}

}  // namespace
}  // namespace dure::secagg
