#include "client/policy.h"

#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dure {
namespace {

using ::testing::HasSubstr;

RoundTerms Terms() {
  RoundTerms terms;
  terms.noise_multiplier = 1;
  terms.sum_minimum = 8;
  return terms;
}

Policy Limits() { return {.max_epsilon = 2, .min_noise_multiplier = 1, .min_sum = 8}; }

TEST(PolicyTest, TermsAtTheLimitsAreAccepted) {
  EXPECT_TRUE(CheckPolicy(Limits(), Terms(), 2).ok());
}

TEST(PolicyTest, EachLimitIsNamedWhenItIsPassed) {
  RoundTerms terms = Terms();
  terms.noise_multiplier = 0.9;
  absl::Status status = CheckPolicy(Limits(), terms, 1);
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(status.message()), HasSubstr("min_noise_multiplier = 1"));
  terms = Terms();
  terms.sum_minimum = 7;
  EXPECT_THAT(std::string(CheckPolicy(Limits(), terms, 1).message()), HasSubstr("min_sum = 8"));
  EXPECT_THAT(std::string(CheckPolicy(Limits(), Terms(), 2.01).message()),
              HasSubstr("max_epsilon = 2"));
}

TEST(PolicyTest, WhatIsNoNumberIsRefused) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(CheckPolicy(Limits(), Terms(), nan).ok());
  RoundTerms terms = Terms();
  terms.noise_multiplier = nan;
  EXPECT_FALSE(CheckPolicy(Limits(), terms, 1).ok());
}

TEST(PolicyTest, RecordsMayBeAsManyAsTheFederationAllows) {
  FederationSpec spec;
  spec.mutable_privacy()->set_max_records_per_member(100);
  EXPECT_TRUE(CheckRecordCount(spec, 100, "f").ok());
  EXPECT_THAT(std::string(CheckRecordCount(spec, 101, "f").message()),
              HasSubstr("f holds 101 records, and the federation's max_records_per_member is 100"));
  EXPECT_EQ(CheckRecordCount(spec, 0, "f").code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace dure
