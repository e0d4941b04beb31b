#include "learner/per_example.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "learner/initial_weights.h"

namespace dure {
namespace {

std::vector<uint8_t> Record(const Network& network, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<uint8_t> record(network.architecture().input().size());
  for (uint8_t& value : record) value = static_cast<uint8_t>(random());
  return record;
}

std::vector<float> DirectionOf(const Network& network, const std::vector<uint8_t>& record,
                               float label, ModelWorkspace& workspace) {
  std::vector<float> direction(network.dim());
  network.ToManifestOrder(network.Direction(record, label, workspace), std::span(direction));
  return direction;
}

class PerExampleTest : public ::testing::TestWithParam<std::string> {
 protected:
  PerExampleTest() : network_(MakeArchitecture(GetParam(), {2, 17, 20}, 5).value()) {
    params_ = InitialWeights(network_.manifest(), 3);
    network_.SetParams(params_);
  }

  double LossAt(const std::vector<float>& params, const std::vector<uint8_t>& record, float label) {
    Network network(network_.architecture());
    network.SetParams(params);
    const auto workspace = network.MakeWorkspace();
    return Judge(network.loss(), network.Outputs(record, *workspace), record, label).loss;
  }

  Network network_;
  std::vector<float> params_;
};

// Along its own direction the loss falls by the square of its length.
TEST_P(PerExampleTest, DirectionIsMinusTheGradient) {
  const auto workspace = network_.MakeWorkspace();
  for (uint32_t label = 0; label < 5; ++label) {
    const auto record = Record(network_, 10 + label);
    const auto direction = DirectionOf(network_, record, static_cast<float>(label), *workspace);
    double square = 0;
    for (float value : direction) square += double{value} * value;
    const double step = 2e-3 / std::sqrt(square);
    auto forth = params_, back = params_;
    for (size_t i = 0; i < params_.size(); ++i) {
      forth[i] += static_cast<float>(step * direction[i]);
      back[i] -= static_cast<float>(step * direction[i]);
    }
    const double slope = (LossAt(back, record, static_cast<float>(label)) -
                          LossAt(forth, record, static_cast<float>(label))) /
                         (2 * step);
    EXPECT_NEAR(slope / square, 1, 0.02) << label;
  }
}

TEST_P(PerExampleTest, AFunctionOfModelAndRecordOnly) {
  const auto fresh = network_.MakeWorkspace();
  const auto record = Record(network_, 1);
  const auto alone = DirectionOf(network_, record, 2, *fresh);
  // After other records, and with another workspace: every bit the same.
  const auto used = network_.MakeWorkspace();
  for (uint32_t seed = 50; seed < 60; ++seed) {
    DirectionOf(network_, Record(network_, seed), static_cast<float>(seed % 5), *used);
    EXPECT_EQ(DirectionOf(network_, record, 2, *used), alone);
  }
}

TEST_P(PerExampleTest, AModelThatIsNotFiniteGivesNoFiniteDirection) {
  params_.back() = std::numeric_limits<float>::quiet_NaN();
  network_.SetParams(params_);
  const auto workspace = network_.MakeWorkspace();
  const auto direction = DirectionOf(network_, Record(network_, 1), 0, *workspace);
  EXPECT_TRUE(std::any_of(direction.begin(), direction.end(),
                          [](float value) { return !std::isfinite(value); }));
}

INSTANTIATE_TEST_SUITE_P(Architectures, PerExampleTest,
                         ::testing::Values("cnn", "mlp", "logistic_regression"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace dure
