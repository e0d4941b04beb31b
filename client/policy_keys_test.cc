#include "client/policy_keys.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dure {
namespace {

using ::testing::HasSubstr;

TEST(PolicyKeysTest, EveryValueIsReadBackAsWritten) {
  Policy policy;
  policy.ca = policy.coordinator_key = "AB" + [] {
    std::string rest;
    for (int i = 0; i < 31; ++i) rest += ":0F";
    return rest;
  }();
  policy.allowed_models = {std::string(64, 'a'), std::string(64, '1')};
  policy.members = std::string(64, 'b');
  policy.max_delta = 1e-9;
  for (const PolicyKey& key : PolicyKeys()) {
    Policy read;
    ASSERT_TRUE(SetPolicyValue(key.name, PolicyValue(policy, key.name), &read).ok()) << key.name;
    EXPECT_EQ(PolicyValue(read, key.name), PolicyValue(policy, key.name)) << key.name;
    Policy copy;
    CopyPolicyValue(key.name, policy, &copy);
    EXPECT_EQ(PolicyValue(copy, key.name), PolicyValue(policy, key.name));
  }
}

TEST(PolicyKeysTest, WhatIsNoValueIsRefusedByName) {
  for (const PolicyKey& key : PolicyKeys()) {
    for (const char* text : {"", " ", "-1", "nan", "NaN", "inf", "-inf", "1e308", "-1e-320", "abc",
                             "0x10", "1,2", "99999999999999999999", "true "}) {
      Policy policy;
      const absl::Status status = SetPolicyValue(key.name, text, &policy);
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << key.name << " = " << text;
      EXPECT_THAT(std::string(status.message()), HasSubstr(key.name + " = "));
      EXPECT_THAT(std::string(status.message()), HasSubstr(key.limits));
      EXPECT_EQ(policy, Policy());
    }
  }
  Policy policy;
  for (auto [key, value] : {std::pair{"min_cohort", "1"},
                            {"min_cohort", "4097"},
                            {"min_cohort", "3.0"},
                            {"max_epsilon", "0"},
                            {"max_epsilon", "1001"},
                            {"max_delta", "0.02"},
                            {"privacy_unit", "RECORD"},
                            {"require_sandbox", "yes"},
                            {"max_rounds", "+5"}}) {
    EXPECT_FALSE(SetPolicyValue(key, value, &policy).ok()) << key << " = " << value;
  }
}

TEST(PolicyKeysTest, WhichOfTwoIsLooser) {
  struct Case {
    const char *key, *strict, *loose;
  };
  for (const Case& c :
       {Case{"min_cohort", "5", "4"},
        {"min_sum", "5", "3"},
        {"assume_corrupt", "2", "1"},
        {"max_per_organisation", "5", "6"},
        {"max_per_organisation", "4096", "none"},
        {"privacy_unit", "record", "none"},
        {"privacy_unit", "client", "record"},
        {"min_noise_multiplier", "1", "0.5"},
        {"max_clip_norm", "1", "2"},
        {"max_epsilon", "1", "2"},
        {"max_delta", "1e-6", "1e-5"},
        {"total_epsilon", "8", "9"},
        {"total_delta", "1e-6", "1e-5"},
        {"max_rounds", "9", "10"},
        {"max_attempts", "9", "10"},
        {"allow_statistics", "false", "true"},
        {"allow_evaluation", "false", "true"},
        {"require_secure_aggregation", "true", "false"},
        {"members", "1111111111111111111111111111111111111111111111111111111111111111", "none"},
        {"require_sandbox", "true", "false"}}) {
    Policy strict, loose;
    ASSERT_TRUE(SetPolicyValue(c.key, c.strict, &strict).ok()) << c.key;
    ASSERT_TRUE(SetPolicyValue(c.key, c.loose, &loose).ok()) << c.key;
    EXPECT_TRUE(IsLooser(c.key, loose, strict)) << c.key;
    EXPECT_FALSE(IsLooser(c.key, strict, loose)) << c.key;
    EXPECT_FALSE(IsLooser(c.key, strict, strict)) << c.key;
  }
  Policy one, two;
  one.allowed_models = {std::string(64, 'a')};
  two.allowed_models = {std::string(64, 'a'), std::string(64, 'b')};
  EXPECT_TRUE(IsLooser("allowed_models", two, one));
  EXPECT_FALSE(IsLooser("allowed_models", one, two));
}

}  // namespace
}  // namespace dure
