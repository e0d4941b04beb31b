#include "federation/terms/round_config.h"

#include <gtest/gtest.h>

#include <functional>

#include "federation/spec.h"
#include "privacy/secagg/config.h"
#include "tests/support/demo_spec.h"

namespace dure {
namespace {

secagg::RoundConfig DemoConfig() {
  absl::StatusOr<FederationSpec> spec = ParseFederation(dure::testing::DemoToml(), "f.toml");
  EXPECT_TRUE(spec.ok()) << spec.status();
  absl::StatusOr<RoundTerms> terms = DeriveTerms(*spec, 26'010, 10);
  EXPECT_TRUE(terms.ok()) << terms.status();
  return MakeRoundConfig(*spec, SpecDigest(*spec), *terms,
                         {.round = 3, .attempt = 4, .model_hash = Sha256(AsBytes("model"))});
}

std::string DifferenceAfter(const std::function<void(secagg::RoundConfig*)>& change) {
  secagg::RoundConfig offered = DemoConfig();
  change(&offered);
  absl::Status status = CompareConfigs(offered, DemoConfig());
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

TEST(RoundConfigTest, TheDemo) {
  const secagg::RoundConfig config = DemoConfig();
  EXPECT_EQ(config.suite(), 1u);
  EXPECT_EQ(config.task().size(), 32u);
  EXPECT_EQ(config.round(), 3u);
  EXPECT_EQ(config.attempt(), 4u);
  EXPECT_EQ(config.model_hash(), ToString(Sha256(AsBytes("model"))));
  EXPECT_EQ(config.dim(), 26'010u);
  EXPECT_EQ(config.invited(), 10u);
  EXPECT_EQ(config.scale(), 16384u);
  EXPECT_EQ(config.clip_norm(), 1.0);
  EXPECT_EQ(config.mechanism(), "record-gradient");
  EXPECT_EQ(config.sigma2_local(), 45'624'361u);
  EXPECT_EQ(config.norm_bound_sq(), 273'746'164u);
  EXPECT_EQ(config.rotation_seed(), "");
  EXPECT_EQ(config.weighting(), "uniform");
  EXPECT_EQ(config.graph_rule(), "complete");
  EXPECT_EQ(config.security_bits(), 128u);
  EXPECT_EQ(config.max_dropout(), 0.1);
  EXPECT_EQ(config.minimum_roster(), 8u);
  EXPECT_EQ(config.minimum_sum(), 8u);
  EXPECT_EQ(config.max_corrupt(), 2u);
  EXPECT_EQ(config.deadline_ms(), 300'000u);
}

TEST(RoundConfigTest, TheProtocolTakesIt) {
  EXPECT_TRUE(secagg::ValidateConfig(DemoConfig()).ok()) << secagg::ValidateConfig(DemoConfig());
}

// A small roster must not open sums with less noise than accounted: with rounds.minimum 3, ten
// members need 7 in a sum, five of them alone would need only 4.
TEST(RoundConfigTest, TheMinimumIsTheOneTheNoiseIsMadeFor) {
  absl::StatusOr<FederationSpec> spec =
      ParseFederation(dure::testing::DemoWith("minimum = 8", "minimum = 3"), "f.toml");
  ASSERT_TRUE(spec.ok()) << spec.status();
  absl::StatusOr<RoundTerms> terms = DeriveTerms(*spec, 26'010, 10);
  ASSERT_TRUE(terms.ok()) << terms.status();
  const secagg::RoundConfig config = MakeRoundConfig(*spec, SpecDigest(*spec), *terms, {});
  EXPECT_EQ(config.minimum_sum(), 7u);
  EXPECT_EQ(config.minimum_roster(), 7u);
}

// The rule and its parameters are keys of the file, which config.task is the digest of: a member
// whose file says another rule refuses the offer.
TEST(RoundConfigTest, ARuleAndItsParametersAreBound) {
  const auto config = [](const std::string& rule) {
    const FederationSpec spec = *ParseFederation(
        dure::testing::DemoWithUnit("mode = \"epochs\"", "unit = \"none\"",
                                    "max_corrupt = 0.05\ngroup_size = 4\nrobust = " + rule),
        "f.toml");
    FederationSpec larger = spec;
    larger.mutable_rounds()->set_cohort(40);
    larger.mutable_rounds()->set_minimum(32);
    return MakeRoundConfig(larger, SpecDigest(larger), *DeriveTerms(larger, 26'010, 40), {});
  };
  const std::string multi_krum = "\"multi_krum\"\nmax_poisoned = ";
  EXPECT_TRUE(CompareConfigs(config(multi_krum + "0.2"), config(multi_krum + "0.2")).ok());
  for (const std::string& other :
       {multi_krum + "0.1", std::string("\"geometric_median\""), std::string("\"median\""),
        std::string("\"norm_bound\""), std::string("\"norm_bound\"\nnorm_bound = 2.0")}) {
    EXPECT_EQ(CompareConfigs(config(other), config(multi_krum + "0.2")).code(),
              absl::StatusCode::kInvalidArgument)
        << other;
  }
}

TEST(RoundConfigTest, EqualConfigsAreEqual) {
  EXPECT_TRUE(CompareConfigs(DemoConfig(), DemoConfig()).ok());
}

TEST(RoundConfigTest, TheFirstDifferenceIsNamedWithBothValues) {
  EXPECT_EQ(DifferenceAfter([](secagg::RoundConfig* c) {
              c->set_sigma2_local(5);
              c->set_deadline_ms(1);
            }),
            "the coordinator offers sigma2_local = 5, but by the approved terms it is 45624361");
  EXPECT_EQ(DifferenceAfter([](secagg::RoundConfig* c) { c->set_mechanism("none\n"); }),
            "the coordinator offers mechanism = \"none\\n\", but by the approved terms it is "
            "\"record-gradient\"");
  EXPECT_EQ(DifferenceAfter([](secagg::RoundConfig* c) { c->set_rotation_seed("\x01\x02"); }),
            "the coordinator offers rotation_seed = 0102, but by the approved terms it is nothing");
  EXPECT_EQ(DifferenceAfter([](secagg::RoundConfig* c) { c->set_max_dropout(0.5); }),
            "the coordinator offers max_dropout = 0.5, but by the approved terms it is "
            "0.10000000000000001");
}

TEST(RoundConfigTest, EveryFieldIsCompared) {
  const google::protobuf::Descriptor& type = *secagg::RoundConfig::descriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const google::protobuf::FieldDescriptor& field = *type.field(i);
    const std::string message = DifferenceAfter([&](secagg::RoundConfig* config) {
      const google::protobuf::Reflection& reflection = *config->GetReflection();
      switch (field.cpp_type()) {
        case google::protobuf::FieldDescriptor::CPPTYPE_UINT32:
          return reflection.SetUInt32(config, &field, 77);
        case google::protobuf::FieldDescriptor::CPPTYPE_UINT64:
          return reflection.SetUInt64(config, &field, 77);
        case google::protobuf::FieldDescriptor::CPPTYPE_DOUBLE:
          return reflection.SetDouble(config, &field, 77);
        default:
          return reflection.SetString(config, &field, std::string(100, 'x'));
      }
    });
    EXPECT_NE(message.find("offers " + field.name() + " = "), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace dure
