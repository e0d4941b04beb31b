// Runs of every unit of privacy, with secure aggregation and without it: what the members' data say
// arrives in the model, with the noise that was agreed and no other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "federation/terms/privacy_account.h"
#include "tests/support/world.h"

namespace dure {
namespace {

using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using testing::Model;
using testing::World;

constexpr uint32_t kMembers = 5;

struct Setting {
  std::string local;
  std::string privacy;
  std::string secure_aggregation;
};

const char kClient[] = "unit = \"client\"\nmax_epsilon = 1000\n";
const char kOff[] = "enabled = false";

std::string Toml(const Setting& setting, uint32_t rounds = 3) {
  std::string toml = testing::SmallFederation(rounds);
  toml.resize(toml.find("[local]"));
  return absl::StrCat(toml, "[local]\n", setting.local,
                      "\n[server]\noptimizer = \"fedavg\"\nlearning_rate = 1.0\n[privacy]\n",
                      setting.privacy, "\n[secure_aggregation]\n", setting.secure_aggregation,
                      "\n");
}

// A run to its end.
std::unique_ptr<World> RunOf(const Setting& setting, uint32_t rounds = 3) {
  auto world = std::make_unique<World>(Toml(setting, rounds), kMembers);
  world->ConnectAll();
  world->Run(10);
  EXPECT_TRUE(world->ended_.value_or(absl::UnknownError("it goes on")).ok());
  EXPECT_EQ(world->state_.round.value(), rounds);
  EXPECT_EQ(world->attempts_failed_, 0u);
  return world;
}

// Six deviations of the noise in a coordinate of the model after `rounds` of plain averaging. A
// small model has a coarse grid, on which the least noise (sigma2 = 16) is more than was asked for.
double NoiseIn(const World& world, uint32_t rounds) {
  const RoundTerms terms = *DeriveTerms(world.spec_, world.dim_, kMembers);
  const double variance = static_cast<double>(terms.sigma2_local) * kMembers +
                          static_cast<double>(terms.sigma2_central) + 0.25 * kMembers;
  double divisor = static_cast<double>(terms.scale) * kMembers;
  if (terms.weighted) {
    divisor *= static_cast<double>(terms.weight_mean) / static_cast<double>(terms.weight_max);
  }
  return 6 * std::sqrt(variance * rounds) / divisor;
}

// Every member's update is one half in one coordinate.
class EveryWayTest : public ::testing::TestWithParam<const char*> {
 protected:
  const std::string secure_aggregation_ = GetParam();
};
INSTANTIATE_TEST_SUITE_P(SecureAggregation, EveryWayTest, ::testing::Values("", kOff),
                         [](const auto& info) {
                           return *info.param == '\0' ? std::string("On") : std::string("Off");
                         });

TEST_P(EveryWayTest, NoneIsExact) {
  const auto world = RunOf({"mode = \"epochs\"", "unit = \"none\"", secure_aggregation_});
  const std::vector<float> model = Model(*world);
  EXPECT_EQ(model[0], 1.5f);  // three rounds of one half: a multiple of the grid
  for (size_t i = 1; i < model.size(); ++i) EXPECT_EQ(model[i], 0.0f);
  EXPECT_EQ(world->state_.history.back().epsilon, std::numeric_limits<double>::infinity());
}

TEST_P(EveryWayTest, NoneWithWeightsIsExact) {
  const auto world = RunOf({"mode = \"epochs\"\nweighting = \"records\"\nweight_max = 800",
                            "unit = \"none\"", secure_aggregation_});
  EXPECT_EQ(Model(*world)[0], 1.5f);
}

TEST_P(EveryWayTest, ClientUpdatesAreClippedAndNoised) {
  const auto world = RunOf({"mode = \"epochs\"",
                            absl::StrCat(kClient, "clip_norm = 0.25\nnoise_multiplier = 0.01"),
                            secure_aggregation_});
  const std::vector<float> model = Model(*world);
  const double noise = NoiseIn(*world, 3);
  EXPECT_NEAR(model[0], 3 * 0.25, noise);
  for (size_t i = 1; i < model.size(); ++i) EXPECT_NEAR(model[i], 0, noise);
  EXPECT_THAT(model, ::testing::Not(::testing::Each(0.0f)));
}

TEST_P(EveryWayTest, RotatedUpdatesComeBack) {
  const auto world =
      RunOf({"mode = \"epochs\"",
             absl::StrCat(kClient, "clip_norm = 1.0\nnoise_multiplier = 0.01\nrotation = true"),
             secure_aggregation_});
  EXPECT_NEAR(Model(*world)[0], 1.5, NoiseIn(*world, 3));
}

// 800 records count of each member's 1,000; the divisor is what was agreed, not what there is.
TEST_P(EveryWayTest, WeightsUnderPrivacyHaveAPublicDivisor) {
  const auto world = RunOf(
      {"mode = \"epochs\"\nweighting = \"records\"\nweight_max = 800\n"
       "weight_mean = 400",
       absl::StrCat(kClient, "clip_norm = 1.0\nnoise_multiplier = 0.01"), secure_aggregation_});
  EXPECT_NEAR(Model(*world)[0], 3 * 0.5 * 800 / 400, NoiseIn(*world, 3));
}

TEST_P(EveryWayTest, LocalStepsAreAveraged) {
  const auto world =
      RunOf({"mode = \"dp_sgd\"\nsampling_rate = 0.1\nsteps = 5",
             "max_epsilon = 1000\ntotal_records = 5000\nmax_records_per_member = 1000",
             secure_aggregation_});
  EXPECT_EQ(Model(*world)[0], 1.5f);  // the noise is the trainer's
}

// What a member whose trainer fails sends tells nothing: noise as from no records.
TEST_P(EveryWayTest, AFailedTrainerSendsWhatNoRecordsWould) {
  World world(Toml({"mode = \"dp_sgd\"\nsampling_rate = 0.1\nsteps = 5",
                    "max_epsilon = 1000\ntotal_records = 5000\nmax_records_per_member = 1000",
                    secure_aggregation_},
                   1),
              kMembers);
  for (World::Node& node : world.nodes_) node.trainer_fails = true;
  world.ConnectAll();
  world.Run(10);
  ASSERT_EQ(world.state_.round.value(), 1u);
  const std::vector<float> model = Model(world);
  double norm_sq = 0;
  for (float value : model) norm_sq += double{value} * value;
  // Five steps at rate 0.05 of noise C z / 32, averaged over five members.
  const double deviation = 0.05 * std::sqrt(5.0) * 1.0 / 32 / std::sqrt(5.0);
  EXPECT_GT(norm_sq, 0);
  EXPECT_LT(norm_sq, 25 * deviation * deviation * static_cast<double>(model.size()));
}

TEST_P(EveryWayTest, WithoutPrivacyAFailedTrainerLeavesTheAttempt) {
  World world(Toml({"mode = \"epochs\"", "unit = \"none\"", secure_aggregation_}, 1), kMembers);
  world.nodes_[0].trainer_fails = true;
  world.ConnectAll();
  world.Run(10);
  ASSERT_EQ(world.state_.round.value(), 1u);
  EXPECT_EQ(Model(world)[0], 0.5f);  // of the other four
  EXPECT_EQ(world.state_.history.back().survivors, 4u);
  EXPECT_THAT(world.notes_, Contains(HasSubstr("m0 takes no part in attempt 1")));
}

TEST_P(EveryWayTest, TrainersThatFailedAreAskedAgain) {
  World world(Toml({"mode = \"epochs\"", "unit = \"none\"", secure_aggregation_}, 1), kMembers);
  for (World::Node& node : world.nodes_) node.trainer_fails = true;
  world.ConnectAll();
  world.Run();
  ASSERT_EQ(world.attempts_failed_, 1u);
  for (World::Node& node : world.nodes_) node.trainer_fails = false;
  world.Run(10);  // nobody dials again
  ASSERT_EQ(world.state_.round.value(), 1u);
  EXPECT_EQ(world.state_.history.back().survivors, kMembers);
}

// Every norm is one half; half of them should be within C, so C settles about there, from far above
// and from far below.
TEST_P(EveryWayTest, AnAdaptiveClipNormConvergesFromBothSides) {
  for (const char* clip_norm : {"5.0", "0.05"}) {
    const auto world = RunOf(
        {"mode = \"epochs\"",
         absl::StrCat(kClient, "clip_norm = ", clip_norm,
                      "\nnoise_multiplier = 0.3\nclipping = \"adaptive\"\nclip_learning_rate = "
                      "0.5\nclip_count_noise = 0.3"),
         secure_aggregation_},
        40);
    EXPECT_GT(world->state_.clip_norm, 0.3) << clip_norm;
    EXPECT_LT(world->state_.clip_norm, 0.8) << clip_norm;
  }
}

TEST(UnitsWorldTest, ACoordinatorThatRestartsKeepsTheClipNorm) {
  World world(Toml({"mode = \"epochs\"",
                    absl::StrCat(kClient,
                                 "clip_norm = 5.0\nnoise_multiplier = 0.3\n"
                                 "clipping = \"adaptive\"\nclip_count_noise = 0.3"),
                    ""},
                   6),
              kMembers);
  world.ConnectAll();
  world.RunUntilReleased(3);
  const double clip_norm = world.state_.clip_norm;
  EXPECT_LT(clip_norm, 5.0);
  world.StartCoordinator();
  double offered = 0;
  world.tamper_ = [&](World::Node&, ServerMessage* message) {
    if (message->has_offer() && offered == 0) {
      offered = message->offer().offer().config().clip_norm();
    }
  };
  world.ConnectAll();
  world.Run(10);
  EXPECT_EQ(offered, clip_norm);
  EXPECT_EQ(world.state_.round.value(), 6u);
}

// Without secure aggregation every input travels as it is: the coordinator's noise is all there is.
TEST(UnitsWorldTest, CentralNoiseIsAddedOnce) {
  Setting setting = {"mode = \"epochs\"",
                     absl::StrCat(kClient, "clip_norm = 0.25\nnoise_multiplier = 1"), kOff};
  World world(Toml(setting, 1), kMembers);
  std::vector<std::string> inputs;
  world.watch_ = [&](World::Node&, const ClientMessage& message) {
    if (message.secagg().has_plain_input()) {
      inputs.push_back(message.secagg().plain_input().packed());
    }
  };
  world.ConnectAll();
  world.Run(10);
  ASSERT_EQ(world.state_.round.value(), 1u);
  ASSERT_EQ(inputs.size(), kMembers);
  absl::StatusOr<RoundTerms> terms = DeriveTerms(world.spec_, world.dim_, kMembers);
  ASSERT_TRUE(terms.ok()) << terms.status();
  EXPECT_EQ(terms->sigma2_local, 0u);
  EXPECT_GE(static_cast<double>(terms->sigma2_central), static_cast<double>(terms->norm_bound_sq));
  // Nobody's own noise: each input is one clipped number, but for what rounding does to zeros.
  for (const std::string& input : inputs) {
    const auto values = *Unpack(AsBytes(input), terms->coordinates, static_cast<int>(terms->bits));
    const std::vector<int64_t> integers = RingToSigned(values, static_cast<int>(terms->bits));
    EXPECT_EQ(integers[0], static_cast<int64_t>(0.25 * static_cast<double>(terms->scale)));
    for (size_t i = 1; i < integers.size(); ++i) EXPECT_EQ(integers[i], 0);
  }
  const std::vector<float> model = Model(world);
  EXPECT_THAT(std::vector<float>(model.begin() + 1, model.end()),
              ::testing::Not(::testing::Each(0.0f)));
}

TEST(UnitsWorldTest, ASecondInputThatDiffersIsAFault) {
  World world(Toml({"mode = \"epochs\"", "unit = \"none\"", kOff}, 1), kMembers);
  bool sent = false;
  world.watch_ = [&](World::Node& node, const ClientMessage& message) {
    if (node.name != "m0" || sent || !message.secagg().has_plain_input()) return;
    sent = true;
    ClientMessage second = message;
    std::string& packed = *second.mutable_secagg()->mutable_plain_input()->mutable_packed();
    packed[0] = static_cast<char>(packed[0] ^ 1);
    // Before the first: the first one that arrives counts.
    world.messages_.push_back([&world, &node, second] {
      world.StepCoordinator(run::Said{node.id, second});
    });
  };
  world.ConnectAll();
  world.Run(10);
  ASSERT_EQ(world.state_.round.value(), 1u);
  EXPECT_THAT(world.notes_, Contains(HasSubstr("m0 is left out: sent two different inputs")));
}

TEST(UnitsWorldTest, MembersMayVanishWithoutSecureAggregationToo) {
  World world(Toml({"mode = \"epochs\"", "unit = \"none\"", kOff}, 2), kMembers);
  world.ConnectAll();
  world.nodes_[2].silent = true;
  world.Run(10);
  EXPECT_EQ(world.state_.round.value(), 2u);
  EXPECT_EQ(world.state_.history.front().survivors, 4u);
  EXPECT_EQ(Model(world)[0], 1.0f);
}

// A member checks the plain offer like any other.
TEST(UnitsWorldTest, APlainOfferInPlaceOfSecureAggregationIsRefused) {
  World world(testing::SmallFederation(1), kMembers);
  world.tamper_ = [&](World::Node&, ServerMessage* message) {
    if (message->has_offer()) {
      message->mutable_offer()->mutable_offer()->mutable_config()->set_graph_rule("none");
    }
  };
  bool left_without_masks = false;
  world.watch_ = [&](World::Node&, const ClientMessage& message) {
    left_without_masks |= message.secagg().has_plain_input();
  };
  world.ConnectAll();
  world.Run(3);
  EXPECT_EQ(world.state_.round.value(), 0u);
  EXPECT_FALSE(left_without_masks);
  EXPECT_THAT(world.notes_, Contains(HasSubstr("graph_rule")));
}

}  // namespace
}  // namespace dure
