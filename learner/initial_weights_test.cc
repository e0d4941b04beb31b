#include "learner/initial_weights.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "learner/architecture.h"

namespace dure {
namespace {

TEST(InitialWeightsTest, SeedDecides) {
  const ParamManifest manifest = ManifestOf(MakeArchitecture("mlp", {30}, 2).value());
  EXPECT_EQ(InitialWeights(manifest, 1), InitialWeights(manifest, 1));
  EXPECT_NE(InitialWeights(manifest, 1), InitialWeights(manifest, 2));
}

TEST(InitialWeightsTest, UniformWithinTheFanIn) {
  const ParamManifest manifest = ManifestOf(MakeArchitecture("cnn", {1, 28, 28}, 10).value());
  const std::vector<float> weights = InitialWeights(manifest, 7);
  ASSERT_EQ(weights.size(), manifest.dim());
  const double fan_in[] = {64, 64, 256, 256, 512, 512, 32, 32};
  size_t at = 0;
  for (size_t i = 0; i < manifest.params.size(); ++i) {
    const double bound = 1 / std::sqrt(fan_in[i]);
    double square_sum = 0;
    for (size_t j = 0; j < manifest.params[i].size(); ++j, ++at) {
      EXPECT_LE(std::abs(weights[at]), bound);
      square_sum += double{weights[at]} * weights[at];
    }
    const auto size = static_cast<double>(manifest.params[i].size());
    if (size < 1000) continue;
    EXPECT_NEAR(square_sum / size, bound * bound / 3, bound * bound / 30);
  }
}

TEST(InitialWeightsTest, RecurrentLayersEmbeddingsAndNormalisation) {
  const ParamManifest lstm = ManifestOf(MakeArchitecture("lstm", {80}, 256).value());
  const std::vector<float> weights = InitialWeights(lstm, 3);
  const size_t embedded = 256 * 8;
  double mean = 0, square = 0;
  for (size_t i = 0; i < embedded; ++i) {
    mean += weights[i] / embedded;
    square += double{weights[i]} * weights[i] / embedded;
  }
  EXPECT_NEAR(mean, 0, 0.1);
  EXPECT_NEAR(square, 1, 0.15);
  float largest = 0;
  for (size_t i = embedded; i < weights.size(); ++i) {
    largest = std::max(largest, std::abs(weights[i]));
  }
  EXPECT_LE(largest, 1 / std::sqrt(128.0f));
  EXPECT_GT(largest, 0.99f / std::sqrt(128.0f));

  const ParamManifest resnet = ManifestOf(MakeArchitecture("resnet18", {3, 8, 8}, 10).value());
  const std::vector<float> values = InitialWeights(resnet, 3);
  size_t at = 0;
  for (const ParamEntry& param : resnet.params) {
    const bool norm = param.name.find("norm") != std::string::npos;
    if (norm) {
      EXPECT_EQ(values[at], param.name.ends_with("weight") ? 1 : 0) << param.name;
    } else {
      EXPECT_NE(values[at], 0) << param.name;
    }
    if (param.name == "conv1.weight") {
      EXPECT_LE(std::abs(values[at]), 1 / std::sqrt(27.0f));
    }
    at += param.size();
  }
}

}  // namespace
}  // namespace dure
