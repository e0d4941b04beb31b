#include "learner/loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace dure {
namespace {

const std::vector<float> kNoRecord = {0};

TEST(LossTest, CrossEntropyAndTheFirstLargest) {
  const float logits[] = {1, 3, 3, -2};
  const Outcome outcome = Judge(ModelSection::CROSS_ENTROPY, logits, kNoRecord, 0);
  EXPECT_EQ(outcome.predicted, 1u);
  EXPECT_EQ(outcome.right, 0);
  EXPECT_NEAR(outcome.loss, std::log(std::exp(1) + 2 * std::exp(3) + std::exp(-2)) - 1, 1e-6);
  const float large[] = {1000, -1000};
  EXPECT_NEAR(Judge(ModelSection::CROSS_ENTROPY, large, kNoRecord, 1).loss, 2000, 1e-6);
  EXPECT_EQ(Judge(ModelSection::CROSS_ENTROPY, large, kNoRecord, 0).right, 1);
}

TEST(LossTest, OneLogit) {
  const float logit[] = {1.5f};
  const Outcome right = Judge(ModelSection::BCE_WITH_LOGITS, logit, kNoRecord, 1);
  EXPECT_NEAR(right.loss, std::log(1 + std::exp(-1.5)), 1e-12);
  EXPECT_EQ(right.right, 1);
  EXPECT_EQ(right.score, 1.5);
  const Outcome wrong = Judge(ModelSection::BCE_WITH_LOGITS, logit, kNoRecord, 0);
  EXPECT_NEAR(wrong.loss, std::log(1 + std::exp(1.5)), 1e-12);
  EXPECT_EQ(wrong.right, 0);
  const float large[] = {-2000};  // its exponential is not finite
  EXPECT_NEAR(Judge(ModelSection::BCE_WITH_LOGITS, large, kNoRecord, 1).loss, 2000, 1e-9);
}

TEST(LossTest, SquaredDifference) {
  const float number[] = {2.5f};
  const Outcome outcome = Judge(ModelSection::MSE, number, kNoRecord, -1);
  EXPECT_EQ(outcome.loss, 12.25);
  EXPECT_EQ(outcome.score, 2.5);
}

TEST(LossTest, EveryNextToken) {
  const float rows[] = {0, 0, 5, /**/ 0, 3, 0};
  const std::vector<float> record = {1, 2, 0};  // 1 -> 2, 2 -> 0
  const Outcome outcome = Judge(ModelSection::NEXT_TOKEN, rows, record, 0);
  EXPECT_NEAR(outcome.loss, (std::log(2 + std::exp(5)) - 5 + std::log(2 + std::exp(3))) / 2, 1e-6);
  EXPECT_EQ(outcome.right, 0.5);
}

// The slope of the value, for every loss of one row.
TEST(LossTest, DirectionIsMinusTheGradient) {
  const struct {
    Loss loss;
    std::vector<float> outputs;
    float label;
  } cases[] = {{ModelSection::CROSS_ENTROPY, {0.5f, -1, 2}, 1},
               {ModelSection::BCE_WITH_LOGITS, {0.75f}, 0},
               {ModelSection::BCE_WITH_LOGITS, {-3}, 1},
               {ModelSection::MSE, {0.25f}, 4}};
  for (const auto& c : cases) {
    std::vector<float> direction(c.outputs.size());
    OutputDirection(c.loss, c.outputs, c.label, direction);
    for (size_t i = 0; i < c.outputs.size(); ++i) {
      std::vector<float> above = c.outputs, below = c.outputs;
      above[i] += 0.0078125f;
      below[i] -= 0.0078125f;
      const double slope = (Judge(c.loss, above, kNoRecord, c.label).loss -
                            Judge(c.loss, below, kNoRecord, c.label).loss) /
                           0.015625;
      EXPECT_NEAR(direction[i], -slope, 1e-4) << c.loss;
    }
  }
}

}  // namespace
}  // namespace dure
