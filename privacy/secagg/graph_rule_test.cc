// The rule for sparse graphs against tests/golden/graph_params.csv, at its ends, and its errors.
#include "privacy/secagg/graph_rule.h"

#include <string>

#include "gtest/gtest.h"
#include "tests/support/golden.h"

namespace dure::secagg {
namespace {

// "0" or "a/b" of n, rounded down.
uint64_t FractionOf(const std::string& fraction, uint64_t n) {
  const size_t slash = fraction.find('/');
  if (slash == std::string::npos) return std::stoull(fraction) * n;
  return n * std::stoull(fraction.substr(0, slash)) / std::stoull(fraction.substr(slash + 1));
}

TEST(GraphRuleTest, IntegersAreTheKnownOnes) {
  for (const testing::Row& row : testing::ReadGolden("graph_params.csv")) {
    GraphRuleParams params = {.members = std::stoull(row.at("n"))};
    params.max_corrupt = FractionOf(row.at("corrupt_fraction"), params.members);
    params.dropouts = FractionOf(row.at("dropout_fraction"), params.members);
    params.mode = row.at("mode") == "adaptive" ? GraphMode::kAdaptive : GraphMode::kSemiHonest;
    params.security_bits = std::stoi(row.at("security_bits"));
    params.correctness_bits = std::stoi(row.at("correctness_bits"));
    EXPECT_EQ(std::to_string(params.max_corrupt), row.at("c_max"));
    auto rule = SolveGraphRule(params);
    const std::string what = row.at("n") + " " + row.at("corrupt_fraction") + " " +
                             row.at("dropout_fraction") + " " + row.at("mode");
    if (row.at("kind") == "infeasible") {
      EXPECT_EQ(rule.status().code(), absl::StatusCode::kFailedPrecondition) << what;
      continue;
    }
    ASSERT_TRUE(rule.ok()) << what << ": " << rule.status();
    EXPECT_EQ(rule->complete ? "complete" : "regular", row.at("kind")) << what;
    EXPECT_EQ(std::to_string(rule->neighbours), row.at("degree_k")) << what;
    EXPECT_EQ(std::to_string(rule->threshold), row.at("threshold_t")) << what;
    EXPECT_EQ(std::to_string(rule->quorum), row.at("quorum_q")) << what;
  }
}

TEST(GraphRuleTest, MoreTrustNeverNeedsMoreNeighbours) {
  uint32_t last = 0;
  for (uint64_t corrupt : {0, 10, 50, 100, 150}) {
    auto rule = SolveGraphRule(
        {.members = 5000, .max_corrupt = corrupt, .dropouts = 250, .security_bits = 40});
    ASSERT_TRUE(rule.ok()) << rule.status();
    EXPECT_GE(rule->neighbours, last);
    last = rule->neighbours;
  }
}

TEST(GraphRuleTest, EndsOfTheRange) {
  for (GraphMode mode : {GraphMode::kAdaptive, GraphMode::kSemiHonest}) {
    for (uint64_t n :
         {uint64_t{3}, uint64_t{4}, uint64_t{5}, uint64_t{100'000}, kMaxGraphMembers}) {
      for (uint64_t corrupt : {uint64_t{0}, uint64_t{1}, n - 1}) {
        for (uint64_t dropouts : {uint64_t{0}, uint64_t{1}, n - 1}) {
          auto rule = SolveGraphRule(
              {.members = n, .max_corrupt = corrupt, .dropouts = dropouts, .mode = mode});
          if (!rule.ok()) {
            EXPECT_EQ(rule.status().code(), absl::StatusCode::kFailedPrecondition);
            continue;
          }
          EXPECT_LE(rule->threshold, rule->neighbours);
          EXPECT_LT(rule->neighbours, n);
          EXPECT_LE(rule->quorum, n);
        }
      }
    }
  }
}

TEST(GraphRuleTest, TheMinimumCountsOnTheCompleteGraph) {
  // 32 members, a third corrupt, a fifth dropping out: complete, 26 stay.
  GraphRuleParams params = {.members = 32, .max_corrupt = 10, .dropouts = 6, .security_bits = 80};
  auto rule = SolveGraphRule(params);
  ASSERT_TRUE(rule.ok()) << rule.status();
  EXPECT_TRUE(rule->complete);
  params.minimum_sum = 26;
  EXPECT_TRUE(SolveGraphRule(params).ok());
  params.minimum_sum = 27;
  EXPECT_EQ(SolveGraphRule(params).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(GraphRuleTest, BadParametersAreNamed) {
  auto expect_named = [](const GraphRuleParams& params, const std::string& name) {
    auto rule = SolveGraphRule(params);
    EXPECT_EQ(rule.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(std::string(rule.status().message()).find(name), std::string::npos);
  };
  expect_named({}, "members");
  expect_named({.members = 2}, "members");
  expect_named({.members = kMaxGraphMembers + 1}, "members");
  expect_named({.members = 10, .max_corrupt = 10}, "max_corrupt");
  expect_named({.members = 10, .dropouts = 10}, "dropouts");
  expect_named({.members = 10, .security_bits = 0}, "security_bits");
  expect_named({.members = 10, .correctness_bits = 1001}, "correctness_bits");
  expect_named({.members = 10, .minimum_sum = 11}, "minimum");
}

}  // namespace
}  // namespace dure::secagg
