#include "learner/initial_weights.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace dure
