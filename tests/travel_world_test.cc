// What travels, through the real engines: layers that stay with members, models in binary16,
// updates in few bits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "federation/binary16.h"
#include "learner/initial_weights.h"
#include "tests/support/world.h"

namespace dure {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using testing::Model;
using testing::World;

constexpr uint32_t kMembers = 5;

struct Setting {
  std::string model;
  std::string privacy = "unit = \"none\"\n";
  std::string communication;
  uint32_t rounds = 4;
};

std::string Toml(const Setting& setting) {
  std::string toml = testing::SmallFederation(setting.rounds);
  toml.resize(toml.find("[local]"));
  const std::string input = "[model.input]";
  toml.insert(toml.find(input), setting.model);
  return absl::StrCat(toml, "[local]\nmode = \"epochs\"\n",
                      "[server]\noptimizer = \"fedavg\"\nlearning_rate = 1.0\n[privacy]\n",
                      setting.privacy, "[communication]\n", setting.communication,
                      "[evaluation]\nevery = 2\n");
}

uint32_t IndexOf(const World::Node& node) { return static_cast<uint32_t>(node.name[1] - '0'); }

constexpr char kBiasStays[] = "personal = [\"*.bias\"]\n";

// Every coordinate of the whole model moves by the same; the bias, its last two, by the member's
// own.
LocalUpdate Move(World::Node& node, const std::vector<float>& params, const LocalPlan&) {
  std::vector<float> change(params.size(), 0.25f);
  change[8] = 1.0f + static_cast<float>(IndexOf(node));
  change[9] = -change[8];
  return change;
}

std::vector<float> InitialBias(const World& world) {
  return world.parts_->Personal(InitialWeights(world.parts_->whole(), world.spec_.model().seed()));
}

TEST(PersonalLayersTest, StayWithTheirMembersAndNeverTravel) {
  World world(Toml({.model = kBiasStays}), kMembers);
  world.train_ = Move;
  size_t offered = 0;
  world.tamper_ = [&](World::Node&, ServerMessage* message) {
    if (message->has_offer()) offered = message->offer().model().size();
  };
  world.ConnectAll();
  world.Run(50);
  ASSERT_TRUE(world.ended_ && world.ended_->ok());
  EXPECT_EQ(offered, 8 * sizeof(float));
  // The mean of what travelled.
  const std::vector<float> model = Model(world);
  ASSERT_EQ(model.size(), 8u);
  EXPECT_THAT(model, Each(1.0f));
  const std::vector<float> begun = InitialBias(world);
  for (uint32_t i = 0; i < kMembers; ++i) {
    const World::Node& node = world.nodes_[i];
    const float step = 1.0f + static_cast<float>(i);
    EXPECT_FLOAT_EQ(node.local.personal[0], begun[0] + 4 * step);
    EXPECT_FLOAT_EQ(node.local.personal[1], begun[1] - 4 * step);
    // The last training began where the one before ended, in its own layers too.
    const std::vector<float>& last = node.models.rbegin()->second;
    EXPECT_THAT(std::vector<float>(last.begin(), last.begin() + 8), Each(0.75f));
    EXPECT_FLOAT_EQ(last[8], begun[0] + 3 * step);
  }
  // The released model has them as they were at the beginning: zeros, in this world.
  const std::vector<float>& measured = world.nodes_[kMembers].measured;
  ASSERT_EQ(measured.size(), 10u);
  EXPECT_EQ(measured[7], 1.0f);
  EXPECT_EQ(measured[8], 0.0f);
  EXPECT_EQ(measured[9], 0.0f);
}

TEST(PersonalLayersTest, SurviveCrashesAndAttemptsThatFail) {
  World world(Toml({.model = kBiasStays}), kMembers);
  world.train_ = Move;
  const float begun = InitialBias(world)[0];
  for (uint32_t round = 1; round <= 4; ++round) {
    world.ConnectAll();
    if (round == 2) {
      // Two leave with their inputs sent: the attempt fails.
      int inputs = 0;
      world.watch_ = [&](World::Node&, const ClientMessage& message) {
        inputs += message.secagg().has_masked_input();
      };
      while (inputs < 2) ASSERT_TRUE(world.DeliverOne() || world.PassTime());
      world.Disconnect(world.nodes_[3]);
      world.Disconnect(world.nodes_[4]);
      while (world.attempts_failed_ == 0) ASSERT_TRUE(world.DeliverOne() || world.PassTime());
      world.Connect(world.nodes_[3]);
      world.Connect(world.nodes_[4]);
    }
    world.RunUntilReleased(round);
    for (uint32_t i = 0; i < kMembers; ++i) {
      while (world.nodes_[i].local.round.value() < round) ASSERT_TRUE(world.DeliverOne());
    }
    for (uint32_t i = 0; i < kMembers; ++i) {
      EXPECT_FLOAT_EQ(world.nodes_[i].local.personal[0],
                      begun + static_cast<float>(round * (i + 1)))
          << "member " << i << " after round " << round;
    }
    for (World::Node& node : world.nodes_) {
      node.connected = false;
      world.StartMember(node, PolicyOf(world.spec_));
    }
    world.StartCoordinator();
  }
}

// What stays is steered by nobody, and has no variate.
TEST(PersonalLayersTest, GoWithControlVariates) {
  Setting setting{.model = kBiasStays};
  std::string toml = Toml(setting);
  const std::string mode = "mode = \"epochs\"\n";
  toml.insert(toml.find(mode) + mode.size(), "control_variates = true\npopulation = 5\n");
  World world(toml, kMembers);
  world.train_ = [](World::Node& node, const std::vector<float>& params, const LocalPlan& plan) {
    const std::vector<float>& correction = std::get<EpochsPlan>(plan).correction;
    EXPECT_EQ(correction.size(), 10u);
    EXPECT_EQ(correction[8], 0.0f);
    EXPECT_EQ(correction[9], 0.0f);
    return Move(node, params, plan);
  };
  world.ConnectAll();
  world.Run(50);
  ASSERT_TRUE(world.ended_ && world.ended_->ok());
  EXPECT_EQ(world.nodes_[0].local.control.size(), 8u);
  EXPECT_EQ(world.nodes_[0].local.personal.size(), 2u);
}

TEST(Binary16DownloadTest, MembersTrainFromTheRoundedModelAndTheCoordinatorKeepsTheWhole) {
  World world(Toml({.communication = "download = \"fp16\"\n"}), kMembers);
  world.train_ = [](World::Node&, const std::vector<float>& params, const LocalPlan&) {
    std::vector<float> change(params.size(), 0.1f);
    return LocalUpdate(change);
  };
  size_t offered = 0;
  world.tamper_ = [&](World::Node&, ServerMessage* message) {
    if (message->has_offer()) offered = message->offer().model().size();
  };
  world.ConnectAll();
  for (uint32_t round = 1; round < 4; ++round) {
    world.RunUntilReleased(round);
    const std::vector<float> released = Model(world);
    EXPECT_NEAR(released[0], 0.1 * round, 1e-6);
    while (world.nodes_[0].models.size() <= round) ASSERT_TRUE(world.DeliverOne());
    const float rounded = FromBinary16(ToBinary16(released[0]));
    EXPECT_NE(rounded, released[0]);
    EXPECT_THAT(world.nodes_[0].models.rbegin()->second, Each(rounded));
  }
  EXPECT_EQ(offered, 20u);
  world.Run(20);
  EXPECT_TRUE(world.ended_ && world.ended_->ok());
  // Evaluators measure the model as it is released.
  EXPECT_EQ(world.nodes_[kMembers].measured, Model(world));
}

TEST(Binary16DownloadTest, AnotherRoundingIsRefused) {
  World world(Toml({.communication = "download = \"fp16\"\n"}), kMembers);
  world.tamper_ = [](World::Node& node, ServerMessage* message) {
    if (node.name == "m1" && message->has_offer()) {
      (*message->mutable_offer()->mutable_model())[3] ^= 0x3C;
    }
  };
  world.ConnectAll();
  while (!world.nodes_[1].refused) ASSERT_TRUE(world.DeliverOne() || world.PassTime());
  EXPECT_THAT(std::string(world.nodes_[1].refused->message()), HasSubstr("model_hash"));
}

TEST(Binary16DownloadTest, WhatIsBeyondItTravelsAsTheMostAndIsTold) {
  World world(Toml({.communication = "download = \"fp16\"\n", .rounds = 2}), kMembers);
  world.train_ = [](World::Node&, const std::vector<float>& params, const LocalPlan&) {
    return LocalUpdate(std::vector<float>(params.size(), 7.0f));
  };
  world.spec_.mutable_server()->set_learning_rate(10'000);
  for (World::Node& node : world.nodes_) world.StartMember(node, PolicyOf(world.spec_));
  world.StartCoordinator();
  world.ConnectAll();
  world.Run(50);
  ASSERT_TRUE(world.ended_ && world.ended_->ok());
  EXPECT_THAT(world.nodes_[0].models.rbegin()->second, Each(kMaxBinary16));
  EXPECT_THAT(world.notes_, ::testing::Contains(HasSubstr("10 of 10 parameters are beyond 65504")));
}

TEST(QuantizationTest, FewBitsMakeUploadsSmallerAndTheMeanStaysRight) {
  for (const char* privacy : {"unit = \"none\"\n",
                              "unit = \"client\"\nclip_norm = 1\nnoise_multiplier = 0.1\n"
                              "max_epsilon = 1000\n"}) {
    size_t bytes[2];
    for (const bool chosen : {false, true}) {
      World world(Toml({.privacy = privacy,
                        .communication = chosen ? "quantization_bits = 5\n" : "",
                        .rounds = 3}),
                  kMembers);
      world.train_ = [](World::Node&, const std::vector<float>& params, const LocalPlan&) {
        return LocalUpdate(std::vector<float>(params.size(), 0.3f));
      };
      world.watch_ = [&](World::Node&, const ClientMessage& message) {
        if (message.secagg().has_masked_input()) {
          bytes[chosen] = message.secagg().masked_input().packed().size();
        }
      };
      world.ConnectAll();
      world.Run(50);
      ASSERT_TRUE(world.ended_ && world.ended_->ok());
      const RoundTerms terms = *DeriveTerms(world.spec_, world.dim_, kMembers);
      // Six deviations: the coins of the rounding, of half a step each, and the noise.
      const double variance = 3 * kMembers * (0.25 + static_cast<double>(terms.sigma2_local));
      const double tolerance =
          6 * std::sqrt(variance) / (static_cast<double>(terms.scale) * kMembers);
      for (const float value : Model(world)) EXPECT_NEAR(value, 0.9, tolerance) << privacy;
    }
    EXPECT_LT(bytes[1], bytes[0]) << privacy;
  }
}

}  // namespace
}  // namespace dure
