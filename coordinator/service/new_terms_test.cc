#include "coordinator/service/new_terms.h"

#include <functional>

#include "federation/spec.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/demo_spec.h"

namespace dure {
namespace {

using ::testing::HasSubstr;

FederationSpec Demo() { return ParseFederation(testing::DemoToml(), "demo.toml").value(); }

TEST(NewTermsTest, WhatCostsNothingMayChangeDuringARun) {
  for (const std::function<void(FederationSpec&)>& change :
       std::vector<std::function<void(FederationSpec&)>>{
           [](FederationSpec& spec) { spec.mutable_rounds()->set_count(400); },
           [](FederationSpec& spec) { spec.mutable_rounds()->set_max_attempts(500); },
           [](FederationSpec& spec) { spec.mutable_privacy()->set_max_epsilon(6); },
           [](FederationSpec& spec) { spec.mutable_server()->set_learning_rate(0.02); },
           [](FederationSpec& spec) { spec.mutable_evaluation()->set_every(5); }}) {
    FederationSpec after = Demo();
    change(after);
    EXPECT_TRUE(CheckNewTerms(Demo(), after).ok()) << CheckNewTerms(Demo(), after);
  }
}

TEST(NewTermsTest, WhatMustStayIsNamed) {
  struct Case {
    std::function<void(FederationSpec&)> change;
    std::string named;
  };
  for (const Case& c : std::vector<Case>{
           {[](FederationSpec& spec) { spec.mutable_model()->set_seed(2); }, "[model]"},
           {[](FederationSpec& spec) {
              spec.mutable_server()->set_optimizer(ServerSection::FEDAVG);
            },
            "server.optimizer"},
           {[](FederationSpec& spec) { spec.mutable_privacy()->set_delta(1e-6); }, "privacy.delta"},
           {[](FederationSpec& spec) { spec.mutable_privacy()->set_noise_multiplier(0.5); },
            "cost of an attempt"},
           {[](FederationSpec& spec) { spec.mutable_local()->set_sampling_rate(0.02); },
            "cost of an attempt"},
           {[](FederationSpec& spec) { spec.mutable_secure_aggregation()->set_enabled(false); },
            "secure_aggregation.enabled"}}) {
    FederationSpec after = Demo();
    c.change(after);
    const absl::Status status = CheckNewTerms(Demo(), after);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << c.named;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.named));
  }
}

}  // namespace
}  // namespace dure
