#include "learner/gradient_sum.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>

#include "learner/initial_weights.h"
#include "learner/per_example.h"
#include "privacy/dp/fixed_point.h"

namespace dure {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;

class GradientSumTest : public ::testing::Test {
 protected:
  GradientSumTest() : network_(MakeArchitecture("mlp", {12}, 3).value()) {
    network_.SetParams(InitialWeights(network_.manifest(), 1));
    std::mt19937 random(1);
    data_.shape = {12};
    for (int i = 0; i < 40 * 12; ++i) data_.features.push_back(static_cast<uint8_t>(random()));
    for (int i = 0; i < 40; ++i) data_.labels.push_back(static_cast<float>(i % 3));
  }

  std::vector<int64_t> Run(const GradientPlan& plan, int threads) {
    std::vector<int64_t> sum(network_.dim());
    EXPECT_TRUE(GradientSum(network_, threads).Run(data_, plan, sum).ok());
    return sum;
  }
  absl::Status Refusal(const GradientPlan& plan) {
    std::vector<int64_t> sum(network_.dim());
    return GradientSum(network_, 1).Run(data_, plan, sum);
  }

  Network network_;
  Dataset data_;
};

TEST_F(GradientSumTest, SumOfWhatEachRecordGivesAlone) {
  std::vector<int64_t> want(network_.dim());
  for (uint32_t record : {3u, 8u, 21u}) {
    auto one = Run({.records = {record}, .clip_norm = 0.5, .scale_log2 = 10}, 1);
    for (size_t i = 0; i < want.size(); ++i) want[i] += one[i];
  }
  EXPECT_EQ(Run({.records = {3, 8, 21}, .clip_norm = 0.5, .scale_log2 = 10}, 1), want);
}

TEST_F(GradientSumTest, ThreadsAndOrderChangeNothing) {
  GradientPlan plan{.clip_norm = 1, .scale_log2 = 14};
  for (uint32_t i = 0; i < 40; i += 3) plan.records.push_back(i);
  const auto want = Run(plan, 1);
  EXPECT_EQ(Run(plan, 2), want);
  EXPECT_EQ(Run(plan, 5), want);
  std::reverse(plan.records.begin(), plan.records.end());
  EXPECT_EQ(Run(plan, 3), want);
}

TEST_F(GradientSumTest, NoRecordsAndNonFiniteModelsGiveZeros) {
  EXPECT_THAT(Run({.clip_norm = 1, .scale_log2 = 14}, 2), Each(0));
  std::vector<float> params(network_.dim(), std::numeric_limits<float>::infinity());
  network_.SetParams(params);
  EXPECT_THAT(Run({.records = {0, 1}, .clip_norm = 1, .scale_log2 = 14}, 1), Each(0));
}

// Record numbers of a plan are places of the view; one object serves many views and plans.
TEST_F(GradientSumTest, ViewsOfOneDataset) {
  GradientSum shared(network_, 2);
  std::vector<int64_t> sum(network_.dim());
  const std::vector<uint32_t> places = {9, 30, 4};
  for (const double clip_norm : {0.5, 1.0, 1.0}) {
    ASSERT_TRUE(shared
                    .Run(DataView(data_, places),
                         {.records = {2, 1}, .clip_norm = clip_norm, .scale_log2 = 10}, sum)
                    .ok());
    EXPECT_EQ(sum, Run({.records = {4, 30}, .clip_norm = clip_norm, .scale_log2 = 10}, 1));
  }
  EXPECT_FALSE(
      shared.Run(DataView(data_, places), {.records = {3}, .clip_norm = 1, .scale_log2 = 10}, sum)
          .ok());
}

TEST_F(GradientSumTest, BadPlansAreRefused) {
  for (const GradientPlan& plan :
       {GradientPlan{.records = {40}, .clip_norm = 1, .scale_log2 = 14},
        GradientPlan{.records = {1}, .clip_norm = 0, .scale_log2 = 14},
        GradientPlan{.records = {1}, .clip_norm = 1, .scale_log2 = -1}}) {
    EXPECT_EQ(Refusal(plan).code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_THAT(std::string(Refusal({.records = {40}, .clip_norm = 1, .scale_log2 = 14}).message()),
              HasSubstr("record 40 of 40"));
  GradientPlan many{.clip_norm = 4, .scale_log2 = 32};  // F s C = 2^50
  many.records.assign(1 << 13, 0);
  EXPECT_THAT(std::string(Refusal(many).message()), HasSubstr("8192 records in one sum, limit"));
}

}  // namespace
}  // namespace dure
