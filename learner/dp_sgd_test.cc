#include "learner/dp_sgd.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "crypto/random.h"
#include "learner/initial_weights.h"
#include "learner/local_plan.h"
#include "learner/per_example.h"

namespace dure {
namespace {

using ::testing::Each;

constexpr uint32_t kFeatures = 12, kClasses = 3;

Dataset MakeData(uint32_t records, uint32_t seed) {
  std::mt19937 random(seed);
  Dataset data{.shape = {kFeatures}, .features = {}, .labels = {}};
  for (uint32_t i = 0; i < records; ++i) {
    data.labels.push_back(static_cast<float>(random() % kClasses));
    for (uint32_t j = 0; j < kFeatures; ++j) data.features.push_back(uint8_t(random()));
  }
  return data;
}

Network Make(const std::string& name) {
  return Network(MakeArchitecture(name, {kFeatures}, kClasses).value());
}

std::vector<float> Change(Network network, const Dataset& data, const DpSgdPlan& plan,
                          int threads = 1) {
  std::vector<float> change(network.dim());
  const auto params = InitialWeights(network.manifest(), 1);
  absl::Status status = DpSgd(&network, threads).Run(data, params, plan, change);
  EXPECT_TRUE(status.ok()) << status;
  return change;
}

// The sum of one step before the division, noise included: exact while it is below 2^24.
std::vector<int64_t> NoisedSum(const Network& network, const Dataset& data, DpSgdPlan plan) {
  plan.steps = plan.batch_size = 1;
  plan.learning_rate = 1;
  std::vector<int64_t> sum;
  for (float value : Change(network, data, plan)) {
    const float scaled = std::ldexp(value, plan.scale_log2);
    EXPECT_LT(std::abs(scaled), 0x1p24f);
    EXPECT_EQ(scaled, std::round(scaled));
    sum.push_back(static_cast<int64_t>(scaled));
  }
  return sum;
}

AesCtrRandom::Seed SeedOf(uint32_t number) {
  AesCtrRandom::Seed seed{};
  for (int i = 0; i < 4; ++i) seed[i] = static_cast<uint8_t>(number >> 8 * i);
  return seed;
}

DpSgdPlan SomePlan() {
  return {.steps = 3,
          .sampling_rate = 0.5,
          .batch_size = 20,
          .learning_rate = 0.2,
          .clip_norm = 0.5,
          .scale_log2 = 14,
          .sigma2 = 100,
          .seed = SeedOf(7)};
}

// Rate 1 takes every record, and next to no noise leaves gradient descent on clipped gradients.
TEST(DpSgdTest, WithoutNoiseItIsClippedGradientDescent) {
  const Dataset data = MakeData(40, 1);
  Network network = Make("mlp");
  DpSgdPlan plan = SomePlan();
  plan.steps = 10;
  plan.sampling_rate = 1;
  plan.batch_size = 33;
  plan.scale_log2 = 24;
  plan.sigma2 = 1;
  const auto change = Change(network, data, plan, 2);

  const auto start = InitialWeights(network.manifest(), 1);
  std::vector<double> params(start.begin(), start.end());
  const auto workspace = network.MakeWorkspace();
  for (uint32_t step = 0; step < plan.steps; ++step) {
    network.SetParams(std::vector<float>(params.begin(), params.end()));
    std::vector<float> direction(network.dim());
    for (uint64_t i = 0; i < data.records(); ++i) {
      network.ToManifestOrder(network.Direction(data.Record(i), data.labels[i], *workspace),
                              std::span(direction));
      double square = 0;
      for (float value : direction) square += double{value} * value;
      const double factor =
          std::min(1.0, plan.clip_norm / std::sqrt(square)) * plan.learning_rate / plan.batch_size;
      for (size_t j = 0; j < params.size(); ++j) params[j] += factor * direction[j];
    }
  }
  for (size_t i = 0; i < change.size(); ++i) {
    EXPECT_NEAR(change[i], params[i] - double{start[i]}, 1e-4) << i;
  }
}

TEST(DpSgdTest, ThreadsChangeNoBit) {
  const Dataset data = MakeData(60, 2);
  const auto want = Change(Make("mlp"), data, SomePlan());
  for (int threads : {2, 4}) EXPECT_EQ(Change(Make("mlp"), data, SomePlan(), threads), want);
}

TEST(DpSgdTest, EverythingRandomComesFromTheSeed) {
  const Dataset data = MakeData(60, 2);
  DpSgdPlan plan = SomePlan();
  const auto want = Change(Make("mlp"), data, plan);
  EXPECT_EQ(Change(Make("mlp"), data, plan), want);
  plan.seed = SeedOf(8);
  EXPECT_NE(Change(Make("mlp"), data, plan), want);
}

TEST(DpSgdTest, TheNoiseHasItsVariance) {
  const Dataset none = MakeData(1, 3);
  const Network network = Make("mlp");
  DpSgdPlan plan = SomePlan();
  plan.sampling_rate = 1e-9;
  plan.sigma2 = 5000;
  double sum = 0, square = 0;
  size_t count = 0;
  for (uint32_t i = 0; i < 40; ++i) {
    plan.seed = SeedOf(i);
    for (int64_t value : NoisedSum(network, none, plan)) {
      sum += static_cast<double>(value);
      square += static_cast<double>(value * value);
      ++count;
    }
  }
  // Six standard deviations of the estimates; the seeds are fixed.
  const auto n = static_cast<double>(count);
  ASSERT_GT(n, 10'000);
  EXPECT_NEAR(sum / n, 0, 6 * std::sqrt(5000 / n));
  EXPECT_NEAR(square / n / 5000, 1, 6 * std::sqrt(2 / n));
}

// Every step adds noise of its own.
TEST(DpSgdTest, StepsAreIndependent) {
  const Dataset none = MakeData(1, 3);
  DpSgdPlan plan = SomePlan();
  plan.sampling_rate = 1e-9;
  plan.sigma2 = 5000;
  plan.steps = 100;
  plan.batch_size = 1;
  plan.learning_rate = 1;
  double square = 0;
  const auto change = Change(Make("mlp"), none, plan);
  for (float value : change) square += std::pow(std::ldexp(value, plan.scale_log2), 2);
  const auto n = static_cast<double>(change.size());
  EXPECT_NEAR(square / n / (5000 * plan.steps), 1, 6 * std::sqrt(2 / n));
}

// One record more or less moves the sum of a step by at most B = s C + sqrt(d), whatever it is.
TEST(DpSgdTest, NeighboursAreNoFurtherThanTheBound) {
  const Network network = Make("mlp");
  const double d = static_cast<double>(network.dim());
  DpSgdPlan plan = SomePlan();
  plan.sampling_rate = 1;
  for (int scale_log2 : {0, 4, 10}) {
    plan.scale_log2 = scale_log2;
    for (double clip_norm : {0.01, 0.5, 3.0}) {
      plan.clip_norm = clip_norm;
      const double bound = std::ldexp(clip_norm, scale_log2) + std::sqrt(d);
      for (uint32_t i = 0; i < 8; ++i) {
        plan.seed = SeedOf(i);
        Dataset with = MakeData(1 + i, 10 * i + 1), without = with;
        without.labels.pop_back();
        without.features.resize(without.features.size() - kFeatures);
        const auto a = NoisedSum(network, with, plan), b = NoisedSum(network, without, plan);
        double square = 0;
        for (size_t j = 0; j < a.size(); ++j) square += std::pow(a[j] - b[j], 2);
        EXPECT_LE(std::sqrt(square), bound) << scale_log2 << " " << clip_norm << " " << i;
      }
    }
  }
}

TEST(DpSgdTest, NoiseAloneIsWhatNoRecordGives) {
  DpSgdPlan plan = SomePlan();
  plan.sampling_rate = 1e-9;
  const Network network = Make("mlp");
  for (int threads : {1, 3}) {
    auto alone = DpSgdNoiseAlone(plan, network.dim(), threads);
    ASSERT_TRUE(alone.ok()) << alone.status();
    EXPECT_EQ(*alone, Change(network, MakeData(5, 1), plan));
  }
}

// More than one block of coordinates.
TEST(DpSgdTest, LongModelsGetNoiseInEveryBlock) {
  DpSgdPlan plan = SomePlan();
  plan.steps = 2;
  const auto one = DpSgdNoiseAlone(plan, 100'000, 1).value();
  EXPECT_EQ(DpSgdNoiseAlone(plan, 100'000, 4).value(), one);
  for (size_t block = 0; block < 3; ++block) {
    const auto part = std::span(one).subspan(block * 32'768, 1000);
    EXPECT_FALSE(std::all_of(part.begin(), part.end(), [](float x) { return x == 0; }));
    if (block > 0) {
      EXPECT_FALSE(std::equal(part.begin(), part.end(), one.begin()));
    }
  }
}

TEST(DpSgdTest, CancelledAfterAStep) {
  Network network = Make("mlp");
  DpSgdPlan plan = SomePlan();
  plan.steps = 1000;
  std::vector<float> change(network.dim());
  int steps = 0;
  absl::Status status = DpSgd(&network, 1)
                            .Run(MakeData(5, 1), InitialWeights(network.manifest(), 1), plan,
                                 change, [&] { return ++steps == 7; });
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(steps, 7);
}

// What would tell of a record by failing gives the noise alone instead.
TEST(DpSgdTest, AModelThatIsNotFiniteGivesNoiseAlone) {
  Network network = Make("mlp");
  const Dataset data = MakeData(30, 1);
  const DpSgdPlan plan = SomePlan();
  for (float bad :
       {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    const std::vector<float> params(network.dim(), bad);
    std::vector<float> change(network.dim());
    ASSERT_TRUE(DpSgd(&network, 1).Run(data, params, plan, change).ok());
    EXPECT_EQ(change, DpSgdNoiseAlone(plan, network.dim(), 1).value());
  }
}

// The steepest plan that is allowed, so often that the model leaves the range of floats.
TEST(DpSgdTest, AnUpdateThatRunsAwayStaysFinite) {
  DpSgdPlan plan = SomePlan();
  plan.steps = 50;
  plan.learning_rate = kMaxLocalLearningRate;
  plan.batch_size = 1;
  plan.clip_norm = 1e9;
  plan.scale_log2 = 0;
  plan.sigma2 = uint64_t{1} << 40;
  Network network = Make("mlp");
  for (float start : {1.0f, std::numeric_limits<float>::max()}) {
    const std::vector<float> params(network.dim(), start);
    std::vector<float> change(network.dim());
    ASSERT_TRUE(DpSgd(&network, 2).Run(MakeData(30, 1), params, plan, change).ok());
    for (float value : change) ASSERT_TRUE(std::isfinite(value));
  }
}

}  // namespace
}  // namespace dure
