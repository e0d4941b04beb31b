#include "client/member_control.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace dure {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatEq;

RoundTerms None() { return {.unit = PrivacySection::NONE, .mode = LocalSection::EPOCHS}; }

// By hand, c = (1, 0), c_i = (0.5, -1), four steps of 0.25 that moved the model by (0.5, -2):
// c_i+ = c_i - c - (0.5, -2) / 1 = (-1, 1), a change of (-1.5, 2).
TEST(MemberControlTest, IsOptionTwoOfThePaper) {
  MemberControl control({1, 0}, {0.5f, -1});
  EXPECT_THAT(control.Correction(), ElementsAre(0.5f, 1));
  const float change[] = {0.5f, -2};
  EXPECT_THAT(control.Joined(change, 4, 0.25, None()), ElementsAre(0.5f, -2, -1.5f, 2));
  EXPECT_THAT(control.own(), ElementsAre(-1, 1));
}

TEST(MemberControlTest, BeginsAtZero) {
  MemberControl control({1, 0}, {});
  EXPECT_THAT(control.Correction(), ElementsAre(1, 0));
  EXPECT_THAT(control.own(), ElementsAre(0, 0));
}

TEST(MemberControlTest, WhatTheGridCutsOffIsNotKept) {
  MemberControl control({0, 0}, {});
  const float change[] = {-20, 1};
  EXPECT_THAT(control.Joined(change, 1, 1, None()), ElementsAre(-20, 1, 20, -1));
  EXPECT_THAT(control.own(), ElementsAre(8, -1));
}

// (3, 0) and half of (-6, 0) have a norm of 3 sqrt 2, which is cut to sqrt 2: a third of each.
TEST(MemberControlTest, WhatIsClippedIsKeptAsItWasClipped) {
  MemberControl control({0, 0}, {});
  RoundTerms terms = None();
  terms.unit = PrivacySection::CLIENT;
  terms.clip_norm = 1.4142135623730951;
  terms.control_scale = 0.5;
  const float change[] = {3, 0};
  EXPECT_THAT(control.Joined(change, 1, 0.5, terms), ElementsAre(3, 0, -3, 0));
  EXPECT_THAT(control.own(), ElementsAre(FloatEq(-2), 0));
}

TEST(MemberControlTest, WithoutAStepOrAFiniteNumberNothingChanges) {
  MemberControl control({1, 2}, {3, 4});
  const float change[] = {0, 0};
  EXPECT_THAT(control.Joined(change, 0, 1, None()), ElementsAre(0, 0, 0, 0));
  EXPECT_THAT(control.Joined(change, 4, 0, None()), ElementsAre(0, 0, 0, 0));
  const float endless[] = {std::numeric_limits<float>::infinity(), 0};
  control.Joined(endless, 1, 1, None());
  EXPECT_THAT(control.own(), ElementsAre(3, 4));
}

}  // namespace
}  // namespace dure
