#include "client/service/policy_file.h"

#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "client/policy_keys.h"
#include "crypto/random.h"
#include "crypto/x509.h"
#include "federation/spec.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/demo_spec.h"

namespace dure {
namespace {

using ::testing::HasSubstr;

class PolicyFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = ::testing::TempDir() + "/dure_policy_" +
            ::testing::UnitTest::GetInstance()->current_test_info()->name() + ".json";
    std::filesystem::remove(path_);
    const absl::Time now = absl::FromUnixSeconds(1'800'000'000);
    const Validity year{now, now + absl::Hours(24 * 365)};
    SigningKey key = SigningKey::Generate(random_);
    ca_ = MakeEnrolmentCa(key, "fashion", year, random_).value();
    CertificateIssuer issuer = CertificateIssuer::Create(ca_, &key).value();
    coordinator_ = issuer.IssueCoordinator(key.public_key(), year, random_).value();
  }
  void TearDown() override { std::filesystem::remove(path_); }

  Pinned pinned() const { return {.ca = ca_, .coordinator = coordinator_}; }
  LimitsFile Defaults() const { return DefaultLimits(spec_, pinned(), "2026-11-22"); }
  absl::StatusOr<LimitsFile> Read(const std::string& text) {
    std::ofstream(path_) << text;
    return ReadLimits(path_, Defaults());
  }
  void IsDamaged(const std::string& text, const std::string& fragment) {
    const absl::Status status = Read(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(path_ + " is damaged"));
    EXPECT_THAT(std::string(status.message()), HasSubstr(fragment));
  }

  SystemRandom random_;
  std::string ca_, coordinator_, path_;
  FederationSpec spec_ = ParseFederation(testing::DemoToml(), "demo.toml").value();
};

TEST_F(PolicyFileTest, EveryLimitIsReadBackWithItsOrigin) {
  LimitsFile limits = Defaults();
  ASSERT_TRUE(SetPolicyValue("max_per_organisation", "3", &limits.policy).ok());
  MarkSetHere("max_per_organisation", absl::FromUnixSeconds(1'800'000'000), &limits.origins);
  ASSERT_TRUE(WriteLimits(path_, limits).ok());
  auto read = ReadLimits(path_, DefaultLimits(spec_, pinned(), ""));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->policy, limits.policy);
  EXPECT_EQ(read->origins.of, limits.origins.of);
  EXPECT_EQ(read->origins.approved, "2026-11-22");
  EXPECT_TRUE(IsSetHere(read->origins, "max_per_organisation"));
  EXPECT_EQ(read->origins.of["max_per_organisation"], "set here 2027-01-15");
  EXPECT_EQ(read->origins.of["max_epsilon"], "terms approved 2026-11-22");
  EXPECT_EQ(read->origins.of["total_epsilon"], "default");
  EXPECT_EQ(read->origins.of["ca"], "pinned 2026-11-22");
}

TEST_F(PolicyFileTest, ThreeNumbersOfAnOlderDureAreCompleted) {
  auto read = Read(R"({"max_epsilon": 2.5, "min_noise_multiplier": 1.0, "min_sum": 8})");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->policy.max_epsilon, 2.5);
  EXPECT_EQ(read->policy.max_rounds, 300u);
  EXPECT_EQ(read->policy.ca, CertificateFingerprint(ca_));
  EXPECT_TRUE(IsSetHere(read->origins, "max_epsilon"));
  EXPECT_EQ(read->origins.of["min_sum"], "terms approved 2026-11-22");
  IsDamaged(R"({"max_epsilon": 2.5, "min_sum": 8})", "\"min_noise_multiplier\" is missing");
}

TEST_F(PolicyFileTest, WhatCannotBeUnderstoodIsNamed) {
  IsDamaged("nonsense", "not a JSON object");
  IsDamaged("[]", "not a JSON object");
  IsDamaged(R"({"limits": 3})", "no object");
  IsDamaged(R"({"limits": {"max_epsilonn": {"value": 1}}})", "did you mean \"max_epsilon\"?");
  IsDamaged(R"({"limits": {"max_epsilon": 1}})", "\"max_epsilon\" has no \"value\"");
  for (const char* value : {"-1", "0", "null", "\"nan\"", "1e999", "true", "[1]", "{}", "1001"}) {
    IsDamaged(absl::StrCat(R"({"limits": {"max_epsilon": {"value": )", value, "}}}"),
              value == std::string("1e999") ? "damaged" : "max_epsilon = ");
  }
}

TEST_F(PolicyFileTest, ALimitThatTheFileLacksIsTheDefault) {
  auto read = Read(R"({"limits": {"min_cohort": {"value": 9, "origin": "set here 2026-11-22"}}})");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->policy.min_cohort, 9u);
  EXPECT_EQ(read->policy.min_sum, 8u);
}

TEST_F(PolicyFileTest, NewTermsMoveWhatNobodyHasSetAndTakeNoProtection) {
  LimitsFile limits = Defaults();
  ASSERT_TRUE(SetPolicyValue("max_rounds", "300", &limits.policy).ok());
  MarkSetHere("max_rounds", absl::Now(), &limits.origins);
  spec_.mutable_rounds()->set_count(400);
  spec_.mutable_rounds()->set_max_attempts(500);
  spec_.mutable_privacy()->set_max_epsilon(10);
  spec_.mutable_secure_aggregation()->set_enabled(false);
  LimitsFile next = LimitsUnderNewTerms(limits, spec_, pinned(), "2026-12-24");
  EXPECT_EQ(next.policy.max_rounds, 300u);
  EXPECT_TRUE(IsSetHere(next.origins, "max_rounds"));
  EXPECT_EQ(next.policy.max_attempts, 500u);
  EXPECT_EQ(next.policy.max_epsilon, 10);
  EXPECT_EQ(next.policy.total_epsilon, 10);
  EXPECT_EQ(next.origins.of["max_epsilon"], "terms approved 2026-12-24");
  EXPECT_TRUE(next.policy.require_secure_aggregation);
}

TEST_F(PolicyFileTest, WithoutProtectionTheOtherLimitsStaySafe) {
  spec_.mutable_privacy()->set_unit(PrivacySection::NONE);
  LimitsFile limits = Defaults();
  EXPECT_EQ(limits.policy.privacy_unit, PrivacySection::NONE);
  EXPECT_EQ(limits.origins.of["privacy_unit"], "terms approved 2026-11-22");
  EXPECT_EQ(limits.policy.max_epsilon, 8);
  EXPECT_EQ(limits.origins.of["max_epsilon"], "default");
}

}  // namespace
}  // namespace dure
