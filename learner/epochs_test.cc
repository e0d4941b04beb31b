#include "learner/epochs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "learner/evaluate.h"
#include "learner/initial_weights.h"
#include "learner/per_example.h"

namespace dure {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;

// Softmax regression by hand, in binary64.
class Reference {
 public:
  Reference(size_t features, size_t classes, std::span<const float> params)
      : features_(features), classes_(classes), params_(params.begin(), params.end()) {}

  // Minus the gradient of one record's cross-entropy is added to `direction`.
  void AddDirection(FeatureView record, uint32_t label, std::vector<double>* direction) const {
    std::vector<double> weight(classes_);
    double sum = 0;
    for (size_t c = 0; c < classes_; ++c) {
      double logit = params_[classes_ * features_ + c];
      for (size_t j = 0; j < features_; ++j)
        logit += params_[c * features_ + j] * double{record[j]};
      sum += weight[c] = std::exp(logit);
    }
    for (size_t c = 0; c < classes_; ++c) {
      const double error = (c == label) - weight[c] / sum;
      for (size_t j = 0; j < features_; ++j) {
        (*direction)[c * features_ + j] += error * double{record[j]};
      }
      (*direction)[classes_ * features_ + c] += error;
    }
  }
  void Step(const std::vector<double>& direction, double factor) {
    for (size_t i = 0; i < params_.size(); ++i) params_[i] += factor * direction[i];
  }
  const std::vector<double>& params() const { return params_; }

 private:
  size_t features_, classes_;
  std::vector<double> params_;
};

class EpochsTest : public ::testing::Test {
 protected:
  static constexpr uint32_t kFeatures = 12, kClasses = 3, kRecords = 90;

  EpochsTest() {
    std::mt19937 random(1);
    data_.shape = {kFeatures};
    for (uint32_t i = 0; i < kRecords; ++i) {
      data_.labels.push_back(static_cast<float>(i % kClasses));
      for (uint32_t j = 0; j < kFeatures; ++j) {
        // A class is brighter in its own third.
        const uint32_t light = j * kClasses / kFeatures == i % kClasses ? 120 : 0;
        data_.features.push_back(static_cast<uint8_t>(random() % 130 + light));
      }
    }
  }

  static Network Make(const std::string& name) {
    return Network(MakeArchitecture(name, {kFeatures}, kClasses).value());
  }
  std::vector<float> Change(Network network, const EpochsPlan& plan, int threads) const {
    std::vector<float> change(network.dim());
    const auto params = InitialWeights(network.manifest(), 1);
    absl::Status status = EpochTraining(&network, threads).Run(data_, params, plan, change);
    EXPECT_TRUE(status.ok()) << status;
    return change;
  }

  Dataset data_;
};

TEST_F(EpochsTest, TheLossFalls) {
  Network network = Make("mlp");
  auto params = InitialWeights(network.manifest(), 1);
  network.SetParams(params);
  const ModelMetrics before = EvaluateModel(network, data_, 1);
  const auto change =
      Change(Make("mlp"), {.epochs = 20, .batch_size = 10, .learning_rate = 0.5}, 1);
  for (size_t i = 0; i < params.size(); ++i) params[i] += change[i];
  network.SetParams(params);
  const ModelMetrics after = EvaluateModel(network, data_, 1);
  EXPECT_LT(after.loss(), before.loss() / 3);
  EXPECT_GT(after.accuracy(), 0.9);
}

// Batches of all records: the order says nothing, and a reference in binary64 does the same.
TEST_F(EpochsTest, WholeBatchesAreGradientDescent) {
  const Network network = Make("logistic_regression");
  const auto params = InitialWeights(network.manifest(), 1);
  Reference reference(kFeatures, kClasses, params);
  for (int epoch = 0; epoch < 15; ++epoch) {
    std::vector<double> direction(params.size());
    for (uint32_t i = 0; i < kRecords; ++i) {
      reference.AddDirection(data_.Record(i), data_.labels[i], &direction);
    }
    reference.Step(direction, 0.8 / kRecords);
  }
  const auto change = Change(network, {.epochs = 15, .batch_size = 1000, .learning_rate = 0.8}, 2);
  for (size_t i = 0; i < change.size(); ++i) {
    EXPECT_NEAR(change[i], reference.params()[i] - double{params[i]}, 1e-4) << i;
  }
}

// Equal records: every order is the same, so smaller batches can be followed too, the last of
// which has 90 - 11 * 8 = 2 records and its own divisor.
TEST_F(EpochsTest, SmallBatchesStepAfterEach) {
  for (uint32_t i = 0; i < kRecords; ++i) {
    std::copy_n(data_.features.begin(), kFeatures, data_.features.begin() + i * kFeatures);
    data_.labels[i] = 2;
  }
  const Network network = Make("logistic_regression");
  const auto params = InitialWeights(network.manifest(), 1);
  Reference reference(kFeatures, kClasses, params);
  for (int step = 0; step < 2 * 12; ++step) {
    std::vector<double> direction(params.size());
    reference.AddDirection(data_.Record(0), 2, &direction);
    reference.Step(direction, 0.1);
  }
  const auto change = Change(network, {.epochs = 2, .batch_size = 8, .learning_rate = 0.1}, 1);
  for (size_t i = 0; i < change.size(); ++i) {
    EXPECT_NEAR(change[i], reference.params()[i] - double{params[i]}, 1e-4) << i;
  }
}

// FedProx: the gradient of the loss plus mu / 2 times the squared distance from the beginning.
TEST_F(EpochsTest, TheProximalTermDrawsBack) {
  constexpr double kMu = 0.7, kRate = 0.5;
  const Network network = Make("logistic_regression");
  const auto params = InitialWeights(network.manifest(), 1);
  Reference reference(kFeatures, kClasses, params);
  for (int epoch = 0; epoch < 12; ++epoch) {
    std::vector<double> direction(params.size());
    for (uint32_t i = 0; i < kRecords; ++i) {
      reference.AddDirection(data_.Record(i), data_.labels[i], &direction);
    }
    for (size_t i = 0; i < direction.size(); ++i) {
      direction[i] = direction[i] / kRecords - kMu * (reference.params()[i] - double{params[i]});
    }
    reference.Step(direction, kRate);
  }
  const auto change = Change(
      network, {.epochs = 12, .batch_size = 1000, .learning_rate = kRate, .proximal_mu = kMu}, 2);
  for (size_t i = 0; i < change.size(); ++i) {
    EXPECT_NEAR(change[i], reference.params()[i] - double{params[i]}, 1e-4) << i;
  }
}

// SCAFFOLD: the correction is taken off every step, whatever the batches are.
TEST_F(EpochsTest, TheCorrectionIsTakenOffEveryStep) {
  constexpr double kRate = 0.5;
  const Network network = Make("logistic_regression");
  const auto params = InitialWeights(network.manifest(), 1);
  std::vector<float> correction(params.size());
  for (size_t i = 0; i < correction.size(); ++i) {
    correction[i] = 0.01f * static_cast<float>(i % 7) - 0.03f;
  }
  Reference reference(kFeatures, kClasses, params);
  for (int epoch = 0; epoch < 12; ++epoch) {
    std::vector<double> direction(params.size());
    for (uint32_t i = 0; i < kRecords; ++i) {
      reference.AddDirection(data_.Record(i), data_.labels[i], &direction);
    }
    for (size_t i = 0; i < direction.size(); ++i) {
      direction[i] = direction[i] / kRecords - double{correction[i]};
    }
    reference.Step(direction, kRate);
  }
  const auto change = Change(
      network, {.epochs = 12, .batch_size = 1000, .learning_rate = kRate, .correction = correction},
      2);
  for (size_t i = 0; i < change.size(); ++i) {
    EXPECT_NEAR(change[i], reference.params()[i] - double{params[i]}, 1e-4) << i;
  }
  // Batches of 8 of the 90 records are 12 steps a pass: as many corrections.
  for (float& value : correction) value = 1e6f;
  const auto far = Change(
      network, {.epochs = 1, .batch_size = 8, .learning_rate = 1e-6, .correction = correction}, 1);
  for (const float value : far) EXPECT_NEAR(value, -12, 1e-3);
}

TEST_F(EpochsTest, TheMoreItIsDrawnBackTheShorterTheUpdate) {
  double last = std::numeric_limits<double>::infinity();
  for (const double mu : {0.0, 0.1, 1.0, 5.0}) {
    double square = 0;
    for (const float value :
         Change(Make("mlp"),
                {.epochs = 10, .batch_size = 10, .learning_rate = 0.1, .proximal_mu = mu}, 1)) {
      square += double{value} * double{value};
    }
    EXPECT_LT(square, last) << mu;
    EXPECT_GT(square, 0);
    last = square;
  }
}

TEST_F(EpochsTest, ARateOfNothingChangesNothing) {
  EXPECT_THAT(Change(Make("mlp"), {.epochs = 2, .batch_size = 7, .learning_rate = 0}, 1),
              Each(0.0f));
}

TEST_F(EpochsTest, ThreadsChangeNoBit) {
  for (uint32_t batch_size : {1u, 7u, 32u, 90u}) {
    const EpochsPlan plan{.epochs = 2, .batch_size = batch_size, .learning_rate = 0.3};
    const auto want = Change(Make("mlp"), plan, 1);
    for (int threads : {2, 3, 4}) {
      EXPECT_EQ(Change(Make("mlp"), plan, threads), want) << batch_size << " " << threads;
    }
  }
}

TEST_F(EpochsTest, TheSeedIsTheOrder) {
  EpochsPlan plan{.epochs = 1, .batch_size = 5, .learning_rate = 0.3};
  const auto want = Change(Make("mlp"), plan, 1);
  EXPECT_EQ(Change(Make("mlp"), plan, 1), want);
  plan.seed[31] = 1;
  EXPECT_NE(Change(Make("mlp"), plan, 1), want);
}

// One object for members that take turns, each with some of the records of one dataset: every one
// gets what it would get with its records in a dataset of its own.
TEST_F(EpochsTest, MembersShareADatasetAndTheObject) {
  const std::vector<std::vector<uint32_t>> members = {{3, 17, 5, 88, 41}, {0}, {89, 88, 87, 3}};
  const EpochsPlan plan{.epochs = 2, .batch_size = 2, .learning_rate = 0.3};
  Network network = Make("mlp");
  EpochTraining shared(&network, 2);
  const auto params = InitialWeights(network.manifest(), 1);
  for (int round = 0; round < 2; ++round) {
    for (const std::vector<uint32_t>& places : members) {
      std::vector<float> got(network.dim()), want(network.dim());
      ASSERT_TRUE(shared.Run(DataView(data_, places), params, plan, got).ok());
      Network alone = Make("mlp");
      const Dataset own = data_.Select(places);
      ASSERT_TRUE(EpochTraining(&alone, 1).Run(own, params, plan, want).ok());
      EXPECT_EQ(got, want);
    }
  }
}

TEST_F(EpochsTest, CancelledAfterAStep) {
  Network network = Make("mlp");
  std::vector<float> change(network.dim());
  int steps = 0;
  absl::Status status = EpochTraining(&network, 1)
                            .Run(data_, InitialWeights(network.manifest(), 1),
                                 {.epochs = 1000, .batch_size = 5, .learning_rate = 0.1}, change,
                                 [&] { return ++steps == 7; });
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(steps, 7);
}

TEST_F(EpochsTest, AModelThatDivergesIsRefusedWithTheRemedy) {
  Network network = Make("mlp");
  std::vector<float> change(network.dim());
  auto params = InitialWeights(network.manifest(), 1);
  params[3] = std::numeric_limits<float>::infinity();
  absl::Status status =
      EpochTraining(&network, 1)
          .Run(data_, params, {.epochs = 1, .batch_size = 5, .learning_rate = 0.1}, change);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("lower local.learning_rate"));
  EXPECT_THAT(change, Each(0.0f));
}

}  // namespace
}  // namespace dure
