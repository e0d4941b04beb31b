#include "learner/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace dure {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::IsEmpty;

Outcome Predicted(uint32_t predicted, float label, double loss = 0, double score = 0) {
  return {.loss = loss,
          .predicted = predicted,
          .right = static_cast<float>(predicted) == label ? 1.0 : 0.0,
          .score = score};
}

TEST(MetricsTest, OfThreeClasses) {
  const std::vector<float> labels = {0, 0, 1, 1, 1, 2};
  const std::vector<Outcome> outcomes = {Predicted(0, 0, 1), Predicted(1, 0, 2), Predicted(1, 1, 3),
                                         Predicted(1, 1),    Predicted(2, 1),    Predicted(0, 2)};
  const ModelMetrics metrics = MetricsOf(ModelSection::CROSS_ENTROPY, 3, outcomes, labels);
  EXPECT_EQ(metrics.records(), 6u);
  EXPECT_EQ(metrics.loss(), 1);
  EXPECT_EQ(metrics.accuracy(), 0.5);
  EXPECT_THAT(metrics.confusion(), ElementsAre(1, 1, 0, 0, 2, 1, 1, 0, 0));
  // By class: 2 / (2 + 2), 2 * 2 / (3 + 3), 0.
  EXPECT_NEAR(metrics.f1(), (0.5 + 4.0 / 6 + 0) / 3, 1e-15);
  EXPECT_FALSE(metrics.has_auc());
  EXPECT_FALSE(metrics.has_mae());
  EXPECT_FALSE(metrics.has_perplexity());
}

TEST(MetricsTest, OfTwoClasses) {
  // Scores of class 1: 2, -1, 0; of class 0: -2, 0. Of six pairs 4 are in order, one is a tie.
  const std::vector<float> labels = {1, 1, 1, 0, 0};
  const std::vector<double> scores = {2, -1, 0, -2, 0};
  std::vector<Outcome> outcomes;
  for (size_t i = 0; i < labels.size(); ++i) {
    outcomes.push_back(Predicted(scores[i] >= 0 ? 1 : 0, labels[i], 0.5, scores[i]));
  }
  const ModelMetrics metrics = MetricsOf(ModelSection::BCE_WITH_LOGITS, 1, outcomes, labels);
  EXPECT_NEAR(metrics.auc(), 4.5 / 6, 1e-15);
  EXPECT_THAT(metrics.confusion(), ElementsAre(1, 1, 1, 2));
  EXPECT_NEAR(metrics.f1(), 2.0 * 2 / (3 + 3), 1e-15);
  EXPECT_EQ(metrics.accuracy(), 0.6);
  EXPECT_EQ(MetricsInWords(metrics), "loss 0.5000, accuracy 0.6000, F1 0.6667, AUC 0.7500");
}

TEST(MetricsTest, OneClassAloneHasNoAuc) {
  const ModelMetrics metrics =
      MetricsOf(ModelSection::BCE_WITH_LOGITS, 1, std::vector<Outcome>{Predicted(1, 1, 0.1, 3)},
                std::vector<float>{1});
  EXPECT_FALSE(metrics.has_auc());
  EXPECT_EQ(metrics.f1(), 1);
}

TEST(MetricsTest, OfNumbersAndTokens) {
  const ModelMetrics numbers = MetricsOf(
      ModelSection::MSE, 1, std::vector<Outcome>{{.loss = 4, .score = 3}, {.loss = 1, .score = 0}},
      std::vector<float>{1, -1});
  EXPECT_EQ(numbers.loss(), 2.5);
  EXPECT_EQ(numbers.mae(), 1.5);
  EXPECT_FALSE(numbers.has_accuracy());
  EXPECT_THAT(numbers.confusion(), IsEmpty());
  const ModelMetrics tokens =
      MetricsOf(ModelSection::NEXT_TOKEN, 256,
                std::vector<Outcome>{{.loss = 1, .right = 0.5}, {.loss = 3, .right = 1}},
                std::vector<float>{0, 0});
  EXPECT_EQ(tokens.accuracy(), 0.75);
  EXPECT_NEAR(tokens.perplexity(), std::exp(2), 1e-12);
}

TEST(MetricsTest, TooManyClassesHaveNoMatrix) {
  const ModelMetrics metrics =
      MetricsOf(ModelSection::CROSS_ENTROPY, kMaxConfusionClasses + 1,
                std::vector<Outcome>{Predicted(100, 100)}, std::vector<float>{100});
  EXPECT_THAT(metrics.confusion(), IsEmpty());
  EXPECT_FALSE(metrics.has_f1());
  EXPECT_EQ(metrics.accuracy(), 1);
}

// What members add up gives the same figures as all records in one place, AUC but for its bars.
TEST(MetricsTest, SumsOfPartsAreThoseOfAll) {
  const MetricSums sums(ModelSection::CROSS_ENTROPY, 2);
  std::vector<double> total(sums.size());
  std::vector<Outcome> outcomes;
  std::vector<float> labels;
  std::mt19937 random(1);
  for (int member = 0; member < 3; ++member) {
    std::vector<double> own(sums.size());
    for (int i = 0; i < 200; ++i) {
      const float label = static_cast<float>(random() % 2);
      const double score = 1.5 * label - 0.75 + static_cast<double>(random() % 4000) / 1000 - 2;
      const Outcome outcome = Predicted(score >= 0 ? 1 : 0, label, std::abs(score), score);
      sums.Add(outcome, label, own);
      outcomes.push_back(outcome);
      labels.push_back(label);
    }
    for (size_t i = 0; i < own.size(); ++i) total[i] += own[i];
  }
  const ModelMetrics added = sums.Report(total);
  const ModelMetrics pooled = MetricsOf(ModelSection::CROSS_ENTROPY, 2, outcomes, labels);
  EXPECT_THAT(added.confusion(), ElementsAreArray(pooled.confusion()));
  EXPECT_EQ(added.accuracy(), pooled.accuracy());
  EXPECT_EQ(added.f1(), pooled.f1());
  EXPECT_NEAR(added.loss(), pooled.loss(), 1e-12);
  EXPECT_NEAR(added.auc(), pooled.auc(), 0.005);
  EXPECT_GT(pooled.auc(), 0.6);
}

TEST(MetricsTest, NoiseMakesNoNonsense) {
  const MetricSums sums(ModelSection::CROSS_ENTROPY, 2);
  std::vector<double> noise(sums.size(), -3);
  ModelMetrics metrics = sums.Report(noise);
  EXPECT_EQ(metrics.records(), 0u);
  EXPECT_EQ(metrics.accuracy(), 0);
  EXPECT_FALSE(metrics.has_auc());
  noise[MetricSums::kRecords] = 2;
  noise[MetricSums::kRight] = 5;
  metrics = sums.Report(noise);
  EXPECT_EQ(metrics.accuracy(), 1);
}

TEST(ExactAucTest, WhatIsNotANumberHasNone) {
  EXPECT_EQ(ExactAuc({{std::numeric_limits<double>::quiet_NaN(), true}, {0, false}}), std::nullopt);
  EXPECT_EQ(ExactAuc({{1, true}, {0, false}}), 1);
  EXPECT_EQ(ExactAuc({{0, true}, {1, false}}), 0);
  EXPECT_EQ(ExactAuc({{1, true}, {1, false}}), 0.5);
}

}  // namespace
}  // namespace dure
