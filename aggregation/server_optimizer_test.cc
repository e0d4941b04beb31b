#include "aggregation/server_optimizer.h"

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace dure {
namespace {

using Kind = ServerOptimizerKind;

constexpr Kind kKinds[] = {Kind::kFedAvg, Kind::kFedAvgM, Kind::kFedAdagrad, Kind::kFedAdam,
                           Kind::kFedYogi};
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

ServerOptimizerConfig Config(Kind kind) {
  return {.kind = kind, .learning_rate = 0.1, .beta1 = 0.9, .beta2 = 0.99, .tau = 0.01};
}

std::unique_ptr<ServerOptimizer> Make(Kind kind, size_t dim) {
  return CreateServerOptimizer(Config(kind), dim).value();
}

// Three updates of a model of two coordinates; the second is small, so that Yogi's sign changes.
const std::vector<std::vector<float>> kUpdates = {{1.0f, -0.5f}, {0.01f, 0.02f}, {-0.25f, 0.75f}};

std::vector<float> RunUpdates(ServerOptimizer& optimizer) {
  std::vector<float> model = {2.0f, -1.0f};
  for (const auto& update : kUpdates) EXPECT_TRUE(optimizer.Step(0, update, model).ok());
  return model;
}

TEST(ServerOptimizerTest, FedAvgAddsTheMeanTimesTheLearningRate) {
  auto optimizer = Make(Kind::kFedAvg, 2);
  std::vector<float> model = RunUpdates(*optimizer);
  EXPECT_NEAR(model[0], 2.0 + 0.1 * (1.0 + 0.01 - 0.25), 1e-6);
  EXPECT_NEAR(model[1], -1.0 + 0.1 * (-0.5 + 0.02 + 0.75), 1e-6);
}

TEST(ServerOptimizerTest, FedAvgMKeepsAShareOfEarlierUpdates) {
  auto optimizer = Make(Kind::kFedAvgM, 2);
  std::vector<float> model = RunUpdates(*optimizer);
  const double m1 = 1.0, m2 = 0.9 * m1 + 0.01, m3 = 0.9 * m2 - 0.25;
  EXPECT_NEAR(model[0], 2.0 + 0.1 * (m1 + m2 + m3), 1e-6);
}

// Reddi et al. 2020, Algorithm 2, for the first coordinate, step by step.
TEST(ServerOptimizerTest, FedAdagradSumsSquares) {
  auto optimizer = Make(Kind::kFedAdagrad, 2);
  std::vector<float> model = RunUpdates(*optimizer);
  const double v1 = 1e-4 + 1.0, v2 = v1 + 1e-4, v3 = v2 + 0.0625;
  const double m1 = 0.1, m2 = 0.9 * m1 + 0.001, m3 = 0.9 * m2 - 0.025;
  const double moved =
      m1 / (std::sqrt(v1) + 0.01) + m2 / (std::sqrt(v2) + 0.01) + m3 / (std::sqrt(v3) + 0.01);
  EXPECT_NEAR(model[0], 2.0 + 0.1 * moved, 1e-6);
}

TEST(ServerOptimizerTest, FedAdamAveragesSquares) {
  auto optimizer = Make(Kind::kFedAdam, 2);
  std::vector<float> model = RunUpdates(*optimizer);
  const double v1 = 0.99 * 1e-4 + 0.01, v2 = 0.99 * v1 + 1e-6, v3 = 0.99 * v2 + 0.000625;
  const double m1 = 0.1, m2 = 0.9 * m1 + 0.001, m3 = 0.9 * m2 - 0.025;
  const double moved =
      m1 / (std::sqrt(v1) + 0.01) + m2 / (std::sqrt(v2) + 0.01) + m3 / (std::sqrt(v3) + 0.01);
  EXPECT_NEAR(model[0], 2.0 + 0.1 * moved, 1e-6);
}

TEST(ServerOptimizerTest, FedYogiMovesTheSecondMomentByItsSign) {
  auto optimizer = Make(Kind::kFedYogi, 2);
  std::vector<float> model = RunUpdates(*optimizer);
  const double v1 = 1e-4 + 0.01 * 1.0;   // v < D^2: up
  const double v2 = v1 - 0.01 * 1e-4;    // v > D^2: down
  const double v3 = v2 + 0.01 * 0.0625;  // up
  const double m1 = 0.1, m2 = 0.9 * m1 + 0.001, m3 = 0.9 * m2 - 0.025;
  const double moved =
      m1 / (std::sqrt(v1) + 0.01) + m2 / (std::sqrt(v2) + 0.01) + m3 / (std::sqrt(v3) + 0.01);
  EXPECT_NEAR(model[0], 2.0 + 0.1 * moved, 1e-6);
}

// The formulas of Reddi et al. 2020, Algorithm 2, once more and for many steps, in numbers of the
// test's own: every optimiser against them in every coordinate, with a rate that changes.
TEST(ServerOptimizerTest, ManyStepsAreThoseOfThePapers) {
  constexpr size_t kDim = 7;
  constexpr double kRate = 0.1, kBeta1 = 0.9, kBeta2 = 0.99, kTau = 0.01;
  for (Kind kind : kKinds) {
    auto optimizer = Make(kind, kDim);
    std::vector<float> model(kDim, 1.0f);
    std::vector<double> x(kDim, 1.0), m(kDim, 0.0), v(kDim, kTau * kTau);
    for (int t = 1; t <= 60; ++t) {
      const double rate = kRate / t;
      optimizer->ScaleRate(1.0 / t);
      std::vector<float> update;
      for (size_t j = 0; j < kDim; ++j) {
        update.push_back(static_cast<float>(std::sin(t * (j + 1.0)) / (1.0 + (t % 5))));
      }
      ASSERT_TRUE(optimizer->Step(0, update, model).ok());
      for (size_t j = 0; j < kDim; ++j) {
        const double d = update[j];
        if (kind == Kind::kFedAvg) {
          x[j] = x[j] + rate * d;
          continue;
        }
        if (kind == Kind::kFedAvgM) {
          m[j] = kBeta1 * m[j] + d;
          x[j] = x[j] + rate * m[j];
          continue;
        }
        m[j] = kBeta1 * m[j] + (1 - kBeta1) * d;
        if (kind == Kind::kFedAdagrad) v[j] = v[j] + d * d;
        if (kind == Kind::kFedAdam) v[j] = kBeta2 * v[j] + (1 - kBeta2) * d * d;
        if (kind == Kind::kFedYogi) {
          if (v[j] > d * d) {
            v[j] = v[j] - (1 - kBeta2) * d * d;
          } else if (v[j] < d * d) {
            v[j] = v[j] + (1 - kBeta2) * d * d;
          }
        }
        x[j] = x[j] + rate * m[j] / (std::sqrt(v[j]) + kTau);
      }
    }
    for (size_t j = 0; j < kDim; ++j) {
      EXPECT_NEAR(model[j], x[j], 2e-5) << static_cast<uint32_t>(kind) << " " << j;
    }
  }
}

TEST(ServerOptimizerTest, TheFactorOfTheRateIsNotInTheState) {
  for (Kind kind : kKinds) {
    auto optimizer = Make(kind, 2);
    const std::string before = optimizer->Save();
    optimizer->ScaleRate(0);
    EXPECT_EQ(optimizer->Save(), before);
    std::vector<float> model = {2, -1};
    ASSERT_TRUE(optimizer->Step(0, kUpdates[0], model).ok());
    EXPECT_EQ(model, (std::vector<float>{2, -1}));
    optimizer->ScaleRate(1);
    ASSERT_TRUE(optimizer->Step(0, kUpdates[0], model).ok());
    EXPECT_NE(model, (std::vector<float>{2, -1}));
  }
}

TEST(ServerOptimizerTest, BlocksGiveWhatTheWholeGives) {
  for (Kind kind : kKinds) {
    auto whole = Make(kind, 5);
    auto blocks = Make(kind, 5);
    std::vector<float> a = {1, 2, 3, 4, 5};
    std::vector<float> b = a;
    const std::vector<float> update = {0.5f, -1.0f, 0.0f, 2.0f, -0.125f};
    for (int round = 0; round < 3; ++round) {
      ASSERT_TRUE(whole->Step(0, update, a).ok());
      ASSERT_TRUE(blocks->Step(3, std::span(update).last(2), std::span(b).last(2)).ok());
      ASSERT_TRUE(blocks->Step(0, std::span(update).first(3), std::span(b).first(3)).ok());
    }
    EXPECT_EQ(a, b) << static_cast<uint32_t>(kind);
    EXPECT_EQ(whole->Save(), blocks->Save());
  }
}

TEST(ServerOptimizerTest, RefusedStepChangesNothing) {
  for (Kind kind : kKinds) {
    auto optimizer = Make(kind, 2);
    const std::string before = optimizer->Save();
    std::vector<float> model = {1, 2};
    const std::vector<float> bad[] = {{0, kInfinity}, {static_cast<float>(kNan), 0}};
    for (const auto& update : bad) {
      EXPECT_EQ(optimizer->Step(0, update, model).code(), absl::StatusCode::kInvalidArgument);
    }
    const std::vector<float> good = {1, 1};
    EXPECT_EQ(optimizer->Step(0, std::span(good).first(1), model).code(),
              absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(optimizer->Step(1, good, model).code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(optimizer->Step(std::numeric_limits<size_t>::max(), good, model).code(),
              absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(model, (std::vector<float>{1, 2}));
    EXPECT_EQ(optimizer->Save(), before);
  }
}

TEST(ServerOptimizerTest, LargestUpdatesLeaveAStateThatLoads) {
  for (Kind kind : kKinds) {
    auto optimizer = Make(kind, 1);
    const std::vector<float> update = {std::numeric_limits<float>::max()};
    std::vector<float> model = {0};
    for (int round = 0; round < 20; ++round) ASSERT_TRUE(optimizer->Step(0, update, model).ok());
    EXPECT_TRUE(Make(kind, 1)->Load(optimizer->Save()).ok()) << static_cast<uint32_t>(kind);
  }
}

TEST(ServerOptimizerTest, LoadedStateContinuesWhereItWasSaved) {
  for (Kind kind : kKinds) {
    auto saved = Make(kind, 2);
    std::vector<float> a = RunUpdates(*saved);
    auto loaded = Make(kind, 2);
    ASSERT_TRUE(loaded->Load(saved->Save()).ok());
    std::vector<float> b = a;
    const std::vector<float> update = {0.3f, -0.3f};
    ASSERT_TRUE(saved->Step(0, update, a).ok());
    ASSERT_TRUE(loaded->Step(0, update, b).ok());
    EXPECT_EQ(a, b);
    EXPECT_EQ(saved->Save(), loaded->Save());
  }
}

// The bytes of a FedAvg state are only header and sum: written out once, so that the layout stays.
TEST(ServerOptimizerTest, LayoutIsTheDocumentedOne) {
  const std::string header("DSOS\1\0\0\0\1\0\0\0\3\0\0\0\0\0\0\0", 20);
  std::string bytes = Make(Kind::kFedAvg, 3)->Save();
  ASSERT_EQ(bytes.size(), 24u);
  EXPECT_EQ(bytes.substr(0, 20), header);
  EXPECT_EQ(Make(Kind::kFedAdam, 3)->Save().size(), 20u + 2 * 3 * 4 + 4);
  EXPECT_EQ(Make(Kind::kFedAvgM, 3)->Save().size(), 20u + 3 * 4 + 4);
}

TEST(ServerOptimizerTest, EveryDamagedByteIsFound) {
  auto optimizer = Make(Kind::kFedAdam, 2);
  RunUpdates(*optimizer);
  const std::string good = optimizer->Save();
  auto target = Make(Kind::kFedAdam, 2);
  const std::string untouched = target->Save();
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x10);
    EXPECT_EQ(target->Load(bad).code(), absl::StatusCode::kDataLoss) << i;
    EXPECT_EQ(target->Load(good.substr(0, i)).code(), absl::StatusCode::kDataLoss) << i;
  }
  EXPECT_EQ(target->Load(good + '\0').code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(target->Save(), untouched);
}

TEST(ServerOptimizerTest, StateOfAnotherOptimiserOrModelIsRefused) {
  EXPECT_EQ(Make(Kind::kFedYogi, 2)->Load(Make(Kind::kFedAdam, 2)->Save()).code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(Make(Kind::kFedAdam, 3)->Load(Make(Kind::kFedAdam, 2)->Save()).code(),
            absl::StatusCode::kDataLoss);
  // The same length: 2 x 2 numbers and 1 x 4.
  EXPECT_EQ(Make(Kind::kFedAvgM, 4)->Load(Make(Kind::kFedAdam, 2)->Save()).code(),
            absl::StatusCode::kDataLoss);
}

struct BadConfig {
  const char* what;
  ServerOptimizerConfig config;
};

TEST(ServerOptimizerTest, NumbersOutsideTheirRangeAreRefused) {
  const BadConfig bad[] = {
      {"unset learning_rate", {.kind = Kind::kFedAvg, .learning_rate = 0}},
      {"negative learning_rate", {.kind = Kind::kFedAvg, .learning_rate = -1}},
      {"infinite learning_rate", {.kind = Kind::kFedAvg, .learning_rate = kInfinity}},
      {"learning_rate NaN", {.kind = Kind::kFedAvg, .learning_rate = kNan}},
      {"beta1 of 1", {.kind = Kind::kFedAvgM, .beta1 = 1}},
      {"negative beta1", {.kind = Kind::kFedAvgM, .beta1 = -0.1}},
      {"beta1 NaN", {.kind = Kind::kFedAvgM, .beta1 = kNan}},
      {"beta2 of 1", {.kind = Kind::kFedAdam, .beta2 = 1, .tau = 0.1}},
      {"negative beta2", {.kind = Kind::kFedYogi, .beta2 = -0.1, .tau = 0.1}},
      {"beta2 NaN", {.kind = Kind::kFedYogi, .beta2 = kNan, .tau = 0.1}},
      {"unset tau", {.kind = Kind::kFedAdagrad}},
      {"negative tau", {.kind = Kind::kFedAdagrad, .tau = -0.1}},
      {"infinite tau", {.kind = Kind::kFedAdam, .tau = kInfinity}},
      {"tau NaN", {.kind = Kind::kFedAdam, .tau = kNan}},
      {"tau too small for binary32", {.kind = Kind::kFedAdam, .tau = 1e-30}},
      {"unknown kind", {.kind = static_cast<Kind>(6)}},
      {"unset kind", {.kind = static_cast<Kind>(0)}},
  };
  for (const BadConfig& test : bad) {
    EXPECT_EQ(CreateServerOptimizer(test.config, 2).status().code(),
              absl::StatusCode::kInvalidArgument)
        << test.what;
  }
  EXPECT_EQ(CreateServerOptimizer(Config(Kind::kFedAvg), 0).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(CreateServerOptimizer(Config(Kind::kFedAvg), (size_t{1} << 32) + 1).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(ServerOptimizerTest, NumbersThatTheKindDoesNotUseAreNotLookedAt) {
  EXPECT_TRUE(CreateServerOptimizer({.kind = Kind::kFedAvg, .beta1 = 7, .tau = -1}, 2).ok());
  EXPECT_TRUE(CreateServerOptimizer({.kind = Kind::kFedAdagrad, .beta2 = 7, .tau = 0.1}, 2).ok());
}

}  // namespace
}  // namespace dure
