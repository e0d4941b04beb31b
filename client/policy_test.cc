#include "client/policy.h"

#include <limits>

#include "federation/spec.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/demo_spec.h"

namespace dure {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class PolicyTest : public ::testing::Test {
 protected:
  // What the limits say to the demo federation after `change`.
  absl::Status Check(const Spending& spending = {.epsilon = 1, .total_epsilon = 1}) {
    auto terms = DeriveTerms(spec_, 26010, spec_.rounds().cohort());
    EXPECT_TRUE(terms.ok()) << terms.status();
    return CheckPolicy(policy_, spec_, *terms, spending);
  }
  void Refuses(const std::string& text) {
    const absl::Status status = Check();
    EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(text));
    policy_ = PolicyOf(spec_);
  }

  FederationSpec spec_ = ParseFederation(testing::DemoToml(), "demo.toml").value();
  Policy policy_ = PolicyOf(spec_);
};

TEST_F(PolicyTest, ApprovedTermsAreAccepted) {
  EXPECT_TRUE(Check({.epsilon = 4, .total_epsilon = 8}).ok()) << Check();
}

TEST_F(PolicyTest, EachLimitIsNamedWithWhatWasOffered) {
  policy_.min_cohort = 11;
  Refuses("a round of 10 members is below this member's limit min_cohort = 11");
  policy_.min_sum = 9;
  Refuses("a sum of 8 members is below this member's limit min_sum = 9");
  policy_.assume_corrupt = 3;
  Refuses("withstands 2 corrupt members is below this member's limit assume_corrupt = 3");
  policy_.privacy_unit = PrivacySection::CLIENT;
  Refuses("privacy.unit = \"record\" is not allowed by this member's limit privacy_unit = client");
  policy_.min_noise_multiplier = 1.1;
  Refuses("noise multiplier 1 is below this member's limit min_noise_multiplier = 1.1");
  policy_.max_clip_norm = 0.5;
  Refuses("clip norm 1 is above this member's limit max_clip_norm = 0.5");
  policy_.max_delta = 1e-6;
  Refuses("delta 1e-05 is above this member's limit max_delta = 1e-06");
  policy_.max_rounds = 299;
  Refuses("300 rounds are above this member's limit max_rounds = 299");
  policy_.max_attempts = 300;
  Refuses("above this member's limit max_attempts = 300");
  policy_.allowed_models = {std::string(64, '0')};
  Refuses("is not among this member's limit allowed_models");
  EXPECT_TRUE(Check().ok());
}

TEST_F(PolicyTest, BudgetsAreChecked) {
  absl::Status status = Check({.epsilon = 4.001, .total_epsilon = 4.001});
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("above this member's limit max_epsilon = 4"));
  // Nothing about other federations is told.
  status = Check({.epsilon = 1, .total_epsilon = 8.001});
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(),
            "this member's budget for its data is spent (its limit total_epsilon)");
}

TEST_F(PolicyTest, WithoutSecureAggregationOrProtectionNobodyJoinsByAccident) {
  const Policy safe = policy_;
  spec_.mutable_secure_aggregation()->set_enabled(false);
  spec_.mutable_secure_aggregation()->clear_max_corrupt();
  spec_.mutable_secure_aggregation()->clear_max_dropout();
  Refuses("its limit require_secure_aggregation = true");
  EXPECT_FALSE(PolicyOf(spec_).require_secure_aggregation);
  EXPECT_TRUE(Check().ok()) << Check();
  policy_ = safe;
  EXPECT_FALSE(Check().ok());
}

TEST_F(PolicyTest, TheTotalIsNeverBelowWhatTheTermsMaySpend) {
  spec_.mutable_privacy()->set_max_epsilon(20);
  EXPECT_EQ(PolicyOf(spec_).total_epsilon, 20);
  spec_.mutable_privacy()->set_max_epsilon(2);
  EXPECT_EQ(PolicyOf(spec_).total_epsilon, 8);
}

TEST_F(PolicyTest, WhatIsNoNumberIsRefused) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(Check({.epsilon = nan}).ok());
  EXPECT_FALSE(Check({.epsilon = 1, .total_epsilon = nan}).ok());
  auto terms = DeriveTerms(spec_, 26010, 10);
  ASSERT_TRUE(terms.ok());
  terms->noise_multiplier = nan;
  EXPECT_FALSE(CheckPolicy(policy_, spec_, *terms, {}).ok());
}

TEST_F(PolicyTest, ModelsAreToldApartByTheirWholeSection) {
  const std::string digest = ModelDigest(spec_.model());
  EXPECT_EQ(digest.size(), 64u);
  spec_.mutable_model()->set_seed(2);
  EXPECT_NE(ModelDigest(spec_.model()), digest);
}

TEST(RecordCountTest, RecordsMayBeAsManyAsTheFederationAllows) {
  FederationSpec spec;
  EXPECT_TRUE(CheckRecordCount(spec, 100, "f").ok());
  spec.mutable_privacy()->set_max_records_per_member(100);
  EXPECT_TRUE(CheckRecordCount(spec, 100, "f").ok());
  EXPECT_THAT(std::string(CheckRecordCount(spec, 101, "f").message()),
              HasSubstr("f holds 101 records, and the federation's max_records_per_member is 100"));
  EXPECT_EQ(CheckRecordCount(spec, 0, "f").code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace dure
