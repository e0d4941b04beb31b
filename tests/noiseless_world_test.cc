// A federation without noise, as measurements use it: built in code, for no file can ask for it.
#include <gtest/gtest.h>

#include <limits>

#include "tests/support/demo_spec.h"
#include "tests/support/world.h"

namespace dure {
namespace {

constexpr uint32_t kMembers = 5;

std::string SmallToml() {
  std::string toml = testing::DemoWith("cohort = 10", "cohort = 5");
  auto replace = [&](const std::string& from, const std::string& to) {
    size_t at = toml.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    toml.replace(at, from.size(), to);
  };
  replace("count = 300", "count = 3");
  replace("minimum = 8", "minimum = 4");
  replace("architecture = \"cnn\"", "architecture = \"logistic_regression\"");
  replace("shape = [1, 28, 28]\nclasses = 10", "shape = [4]\nclasses = 2");
  return toml;
}

class NoiselessWorldTest : public ::testing::Test {
 protected:
  void SetUp() override { world_.spec_.mutable_privacy()->set_noise_multiplier(0); }
  // Members and coordinator begin again with the terms as they are now.
  void Restart() {
    for (testing::World::Node& node : world_.nodes_) {
      world_.StartMember(node, PolicyOf(world_.spec_));
    }
    world_.StartCoordinator();
    world_.ConnectAll();
    world_.Run(10);
  }

  testing::World world_{SmallToml(), kMembers};
};

TEST_F(NoiselessWorldTest, RoundsAreReleasedAndEpsilonIsInfinite) {
  world_.spec_.mutable_privacy()->set_max_epsilon(std::numeric_limits<double>::infinity());
  Restart();
  ASSERT_TRUE(world_.ended_.has_value());
  EXPECT_TRUE(world_.ended_->ok()) << *world_.ended_;
  EXPECT_EQ(world_.state_.round.value(), 3u);
  EXPECT_EQ(world_.nodes_[0].engine->epsilon(), std::numeric_limits<double>::infinity());
}

TEST_F(NoiselessWorldTest, AFiniteLimitLetsNothingBegin) {
  Restart();
  EXPECT_EQ(world_.state_.round.value(), 0u);
  EXPECT_EQ(world_.state_.attempts.value(), 0u);
  ASSERT_TRUE(world_.ended_.has_value());
  EXPECT_TRUE(absl::IsResourceExhausted(*world_.ended_)) << *world_.ended_;
}

}  // namespace
}  // namespace dure
