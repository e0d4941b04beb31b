// Runs with groups and a robust rule: what most members say arrives in the model, and what a few
// poison does not. And one above 128 members.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/support/world.h"

namespace dure {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using testing::Model;
using testing::World;

// Without noise: every member's update is one half in the first coordinate.
std::string Toml(uint32_t cohort, uint32_t minimum, const std::string& secure_aggregation) {
  return absl::StrCat(R"([federation]
name = "groups"
purpose = "Tests"
license = "Apache-2.0"
address = "localhost:7443"
[model]
architecture = "logistic_regression"
[model.input]
shape = [4]
classes = 2
[rounds]
count = 2
cohort = )",
                      cohort, "\nminimum = ", minimum, R"(
max_attempts = 20
deadline = "10s"
[local]
mode = "epochs"
[server]
optimizer = "fedavg"
learning_rate = 1.0
[privacy]
unit = "none"
[secure_aggregation]
)",
                      secure_aggregation, "\n[evaluation]\nevery = 2\n");
}

std::string Groups(const std::string& rule) {
  return absl::StrCat("max_corrupt = 0.05\nmax_dropout = 0.1\nrobust = \"", rule,
                      "\"\ngroup_size = 5");
}

void ExpectFinished(World& world) {
  ASSERT_TRUE(world.ended_.has_value());
  EXPECT_TRUE(world.ended_->ok()) << *world.ended_;
  EXPECT_EQ(world.state_.round, RoundNumber(2));
}

class RobustTest : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Rules, RobustTest,
                         ::testing::Values("median", "trimmed_mean", "krum", "multi_krum",
                                           "geometric_median", "norm_bound"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(RobustTest, WhatAllSayArrivesExactly) {
  World world(Toml(25, 20, Groups(GetParam())), 25);
  world.ConnectAll();
  world.Run(10);
  ExpectFinished(world);
  EXPECT_EQ(world.state_.history[0].survivors, 25u);
  EXPECT_EQ(Model(world)[0], 1.0f);  // two rounds of one half: a multiple of the grid
  for (size_t i = 1; i < world.dim_; ++i) EXPECT_EQ(Model(world)[i], 0.0f);
}

TEST_P(RobustTest, OneMembersPoisonDoesNot) {
  World world(Toml(25, 20, Groups(GetParam())), 25);
  world.poison_ = [](World::Node& node, LocalUpdate* update) {
    if (node.name != "m3") return;
    for (float& value : std::get<std::vector<float>>(*update)) value = -8;
  };
  world.ConnectAll();
  world.Run(10);
  ExpectFinished(world);
  if (std::string(GetParam()) == "norm_bound") {
    // One of five means, (-1.2, -1.6, ...) of norm 4.95, is shortened to the others' one half.
    const double share = 0.5 / std::sqrt(1.2 * 1.2 + 9 * 1.6 * 1.6) / 5;
    EXPECT_NEAR(Model(world)[0], 2 * (4 * 0.5 / 5 - 1.2 * share), 1e-6);
    for (size_t i = 1; i < world.dim_; ++i) EXPECT_NEAR(Model(world)[i], -2 * 1.6 * share, 1e-6);
    return;
  }
  EXPECT_EQ(Model(world)[0], 1.0f);
  for (size_t i = 1; i < world.dim_; ++i) EXPECT_EQ(Model(world)[i], 0.0f);
}

TEST(GroupsTest, TheRulesParametersArriveFromTheFile) {
  World bounded(Toml(25, 20, Groups("norm_bound") + "\nnorm_bound = 0.125"), 25);
  bounded.ConnectAll();
  bounded.Run(10);
  ExpectFinished(bounded);
  EXPECT_FLOAT_EQ(Model(bounded)[0], 2 * 0.125f);

  const FederationSpec spec =
      *ParseFederation(Toml(50, 40, Groups("multi_krum") + "\nmax_poisoned = 0.3"), "f.toml");
  const RoundTerms terms = *DeriveTerms(spec, 10, 50);
  EXPECT_EQ(terms.groups, 10u);
  EXPECT_EQ(terms.robust_params.max_poisoned, 0.3);
  EXPECT_EQ(terms.poisoned_groups, 3u);
}

TEST(GroupsTest, WithoutGroupsOneMembersPoisonArrives) {
  World world(Toml(25, 20, "max_corrupt = 0.05"), 25);
  world.poison_ = [](World::Node& node, LocalUpdate* update) {
    if (node.name == "m3") std::get<std::vector<float>>(*update)[1] = -8;
  };
  world.ConnectAll();
  world.Run(10);
  ExpectFinished(world);
  EXPECT_NEAR(Model(world)[1], -16.0 / 25, 1e-6);
}

TEST(GroupsTest, MembersThatVanishCostTheirGroupAtMost) {
  World world(Toml(25, 15, Groups("median")), 25);
  world.ConnectAll();
  int delivered = 0;
  while (delivered < 150 && world.DeliverOne()) ++delivered;
  for (int i : {1, 4, 9}) world.Disconnect(world.nodes_[i]);
  world.Run(60);
  ExpectFinished(world);
  EXPECT_EQ(Model(world)[0], 1.0f);
}

// Three groups need fifteen: fourteen are above rounds.minimum and yet too few.
TEST(GroupsTest, WhoSitsAttemptsOutIsAskedWhereTheOthersAreTooFewForTheGroups) {
  World world(absl::StrReplaceAll(Toml(16, 12, Groups("median")), {{"count = 2", "count = 6"}}),
              16);
  for (int i : {0, 1}) world.nodes_[i].trainer_fails = true;
  world.ConnectAll();
  for (int step = 0; world.state_.attempts < AttemptNumber(3); ++step) {
    ASSERT_TRUE(step < 10'000 && (world.DeliverOne() || world.PassTime())) << "it stands still";
  }
  for (int i : {0, 1}) world.nodes_[i].trainer_fails = false;
  world.Run(200);
  ASSERT_TRUE(world.ended_.has_value());
  EXPECT_TRUE(world.ended_->ok()) << *world.ended_;
  EXPECT_EQ(world.state_.round, RoundNumber(6));
}

TEST(GroupsTest, TheTermsSayWhatTheRuleBears) {
  World world(Toml(25, 20, Groups("median")), 25);
  const RoundTerms terms = *DeriveTerms(world.spec_, world.dim_, 25);
  EXPECT_EQ(terms.groups, 5u);
  EXPECT_EQ(terms.poisoned_groups, 2u);
  EXPECT_EQ(terms.max_corrupt, 1u);
  EXPECT_EQ(terms.corrupt_in_sum, 1u);
  EXPECT_EQ(terms.sum_minimum, 4u);
  EXPECT_EQ(terms.may_vanish, 1u);
  EXPECT_EQ(terms.quorum, 14u);
  EXPECT_EQ(terms.graph_rule, "groups-of-5");
}

TEST(GroupsTest, WhatCannotBearPoisonIsRefused) {
  for (const auto& [cohort, size, rule, text] :
       {std::tuple{10u, 5, "median", "bears no poisoned one"},
        {20u, 5, "krum", "bears no poisoned one"},
        {20u, 5, "multi_krum", "of 4 vectors Multi-Krum bears no poisoned one; it needs 5 or more"},
        {10u, 5, "geometric_median", "of 2 vectors the geometric median bears no poisoned one"},
        {10u, 5, "norm_bound", "of 2 vectors the norm bound bears no poisoned one"},
        {25u, 5, "multi_krum\"\nmax_poisoned = 0.45 #",
         "of 5 vectors Multi-Krum bears at most 1 poisoned ones; a share of 0.45 is 2, which needs "
         "7 or more"},
        {8u, 5, "median", "do not make two groups"},
        {40u, 3, "median", "a group of 3 may have 2 of the 2 corrupt members"}}) {
    absl::StatusOr<FederationSpec> spec = ParseFederation(
        Toml(cohort, cohort * 4 / 5,
             absl::StrCat("max_corrupt = 0.05\nrobust = \"", rule, "\"\ngroup_size = ", size)),
        "f.toml");
    ASSERT_TRUE(spec.ok()) << spec.status();
    absl::StatusOr<RoundTerms> terms = DeriveTerms(*spec, 10, cohort);
    EXPECT_EQ(terms.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(terms.status().message()), HasSubstr(text));
  }
}

TEST(SparseWorldTest, ACohortAbove128IsSummedOverTheSparseGraph) {
  World world(Toml(140, 130, "max_corrupt = 0.015\nmax_dropout = 0.01"), 140);
  const RoundTerms terms = *DeriveTerms(world.spec_, world.dim_, 140);
  EXPECT_EQ(terms.graph_rule, "ring");
  EXPECT_LT(terms.neighbours, 139u);
  world.spec_.mutable_rounds()->set_count(1);
  for (World::Node& node : world.nodes_) world.StartMember(node, PolicyOf(world.spec_));
  world.StartCoordinator();
  world.ConnectAll();
  world.Disconnect(world.nodes_[7]);
  world.Run(10);
  ASSERT_TRUE(world.ended_.has_value());
  EXPECT_TRUE(world.ended_->ok()) << *world.ended_;
  EXPECT_EQ(world.state_.history[0].survivors, 139u);
  EXPECT_EQ(Model(world)[0], 0.5f);
}

}  // namespace
}  // namespace dure
