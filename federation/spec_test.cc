#include "federation/spec.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/demo_spec.h"

namespace dure {
namespace {

using ::dure::testing::DemoToml;

FederationSpec Demo() {
  absl::StatusOr<FederationSpec> spec = ParseFederation(DemoToml(), "f.toml");
  EXPECT_TRUE(spec.ok()) << spec.status();
  return spec.value_or(FederationSpec());
}

TEST(FillDefaultsTest, FillsEveryKeyThatHasOne) {
  FederationSpec spec;
  FillDefaults(&spec);
  EXPECT_EQ(spec.federation().license(), "Apache-2.0");
  EXPECT_EQ(spec.model().seed(), 1u);
  EXPECT_EQ(spec.rounds().count(), 100u);
  EXPECT_EQ(spec.rounds().max_attempts(), 113u);
  EXPECT_EQ(spec.rounds().deadline().seconds(), 300);
  EXPECT_EQ(spec.local().mode(), LocalSection::GRADIENT);
  EXPECT_EQ(spec.server().optimizer(), ServerSection::FEDADAM);
  EXPECT_EQ(spec.server().learning_rate(), 0.01);
  EXPECT_EQ(spec.server().beta1(), 0.9);
  EXPECT_EQ(spec.server().beta2(), 0.99);
  EXPECT_EQ(spec.server().tau(), 0.001);
  EXPECT_EQ(spec.privacy().unit(), PrivacySection::RECORD);
  EXPECT_EQ(spec.privacy().clip_norm(), 1.0);
  EXPECT_EQ(spec.privacy().noise_multiplier(), 1.0);
  EXPECT_EQ(spec.privacy().delta(), 1e-5);
  EXPECT_EQ(spec.secure_aggregation().max_corrupt(), 0.2);
  EXPECT_EQ(spec.secure_aggregation().max_dropout(), 0.1);
  EXPECT_EQ(spec.evaluation().every(), 10u);
}

TEST(FillDefaultsTest, LeavesWhatHasNone) {
  FederationSpec spec;
  FillDefaults(&spec);
  EXPECT_FALSE(spec.federation().has_name());
  EXPECT_FALSE(spec.rounds().has_cohort());
  EXPECT_FALSE(spec.rounds().has_minimum());
  EXPECT_FALSE(spec.local().has_sampling_rate());
  EXPECT_FALSE(spec.privacy().has_max_epsilon());
}

TEST(FillDefaultsTest, MinimumIsFourFifthsOfTheCohort) {
  const struct {
    uint32_t cohort, minimum;
  } cases[] = {{3, 3}, {4, 4}, {5, 4}, {10, 8}, {11, 9}, {128, 103}};
  for (const auto& c : cases) {
    FederationSpec spec;
    spec.mutable_rounds()->set_cohort(c.cohort);
    FillDefaults(&spec);
    EXPECT_EQ(spec.rounds().minimum(), c.minimum) << c.cohort;
  }
}

TEST(FillDefaultsTest, KeysThatTheOptimizerDoesNotUseStayUnset) {
  FederationSpec spec;
  spec.mutable_server()->set_optimizer(ServerSection::FEDAVGM);
  FillDefaults(&spec);
  EXPECT_TRUE(spec.server().has_beta1());
  EXPECT_FALSE(spec.server().has_beta2());
  EXPECT_FALSE(spec.server().has_tau());
}

TEST(FillDefaultsTest, KeepsWhatIsSetAndChangesNothingTwice) {
  FederationSpec spec = Demo();
  FederationSpec again = spec;
  FillDefaults(&again);
  EXPECT_EQ(again.DebugString(), spec.DebugString());
}

// docs/formats/spec-digest.md: the value of its example. If this changes, members must approve
// every running federation anew.
TEST(SpecDigestTest, KnownAnswer) {
  EXPECT_EQ(ToHex(SpecDigest(Demo())),
            "9152e3e9b31d0f6b53c3cd126ab69c2b284fdacb34d8bd4c5bf998432858c664");
}

TEST(SpecDigestTest, IsTheTranscriptOfPathsAndValues) {
  FederationSpec spec;
  spec.mutable_federation()->set_name("a");
  spec.mutable_model()->set_architecture(ModelSection::MLP);
  spec.mutable_model()->mutable_input()->add_shape(3);
  spec.mutable_model()->mutable_input()->add_shape(4);
  spec.mutable_model()->set_seed(7);
  spec.mutable_rounds()->mutable_deadline()->set_seconds(1);
  spec.mutable_rounds()->mutable_deadline()->set_nanos(500'000'000);
  spec.mutable_local()->set_sampling_rate(0.5);
  Transcript transcript("spec");
  transcript.Add("federation.name").Add("a");
  transcript.Add("model.architecture").Add("mlp");
  transcript.Add("model.input.shape[0]").AddU64(3);
  transcript.Add("model.input.shape[1]").AddU64(4);
  transcript.Add("model.seed").AddU64(7);
  transcript.Add("rounds.deadline").AddU64(1500);
  transcript.Add("local.sampling_rate").AddF64(0.5);
  EXPECT_EQ(SpecDigest(spec), transcript.Hash());
}

TEST(SpecDigestTest, ChangesWithEveryKey) {
  const Digest demo = SpecDigest(Demo());
  FederationSpec spec = Demo();
  spec.mutable_federation()->set_purpose("Classify clothing photograph");
  EXPECT_NE(SpecDigest(spec), demo);
  spec = Demo();
  spec.mutable_model()->mutable_input()->set_shape(2, 29);
  EXPECT_NE(SpecDigest(spec), demo);
  spec = Demo();
  spec.mutable_rounds()->clear_cohort();
  EXPECT_NE(SpecDigest(spec), demo);
  spec = Demo();
  spec.mutable_privacy()->set_noise_multiplier(std::nextafter(1.0, 0.0));
  EXPECT_NE(SpecDigest(spec), demo);
  spec = Demo();
  spec.mutable_evaluation()->set_every(21);
  EXPECT_NE(SpecDigest(spec), demo);
}

TEST(SpecDigestTest, ZeroHasNoSign) {
  FederationSpec a = Demo(), b = Demo();
  a.mutable_secure_aggregation()->set_max_corrupt(0.0);
  b.mutable_secure_aggregation()->set_max_corrupt(-0.0);
  EXPECT_EQ(SpecDigest(a), SpecDigest(b));
}

}  // namespace
}  // namespace dure
