#include "learner/local_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace dure {
namespace {

using ::testing::HasSubstr;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const double kNan = std::nan("");

const EpochsPlan kEpochs{
    .epochs = 3, .batch_size = 32, .learning_rate = 0.05, .proximal_mu = 0.25, .seed = {1, 2}};
const DpSgdPlan kDpSgd{.steps = 10,
                       .sampling_rate = 0.01,
                       .batch_size = 60,
                       .learning_rate = 0.5,
                       .clip_norm = 1,
                       .scale_log2 = 14,
                       .sigma2 = 1 << 20,
                       .seed = {3, 4}};

template <typename Plan>
std::string Refusal(Plan plan, const std::function<void(Plan&)>& change) {
  change(plan);
  absl::Status status = CheckPlan(plan, 1000);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  // What comes over the channel is refused for the same reason.
  EXPECT_EQ(PlanOf(RequestOf(plan), 1000).status(), status);
  return std::string(status.message());
}
std::string Epochs(const std::function<void(EpochsPlan&)>& change) {
  return Refusal<EpochsPlan>(kEpochs, change);
}
std::string Steps(const std::function<void(DpSgdPlan&)>& change) {
  return Refusal<DpSgdPlan>(kDpSgd, change);
}

TEST(LocalPlanTest, NumbersOfEpochsAreChecked) {
  EXPECT_TRUE(CheckPlan(kEpochs, 1).ok());
  for (uint32_t bad : {0u, 1001u, UINT32_MAX}) {
    EXPECT_THAT(Epochs([&](auto& p) { p.epochs = bad; }),
                HasSubstr("epochs = " + std::to_string(bad) + " is outside 1 to 1000"));
  }
  for (uint32_t bad : {0u, 1'000'001u}) {
    EXPECT_THAT(Epochs([&](auto& p) { p.batch_size = bad; }), HasSubstr("batch_size = "));
  }
  for (double bad : {-0.1, 1001.0, kInfinity, -kInfinity, kNan}) {
    EXPECT_THAT(Epochs([&](auto& p) { p.learning_rate = bad; }),
                HasSubstr("is not 0 or more and at most 1000"));
    EXPECT_THAT(Epochs([&](auto& p) { p.proximal_mu = bad; }), HasSubstr("proximal_mu = "));
  }
}

TEST(LocalPlanTest, NumbersOfDpSgdAreChecked) {
  EXPECT_TRUE(CheckPlan(kDpSgd, 1).ok());
  for (uint32_t bad : {0u, 100'001u}) {
    EXPECT_THAT(Steps([&](auto& p) { p.steps = bad; }), HasSubstr("steps = "));
  }
  for (double bad : {0.0, -0.1, 1.01, kInfinity, kNan}) {
    EXPECT_THAT(Steps([&](auto& p) { p.sampling_rate = bad; }), HasSubstr("sampling_rate = "));
  }
  for (uint32_t bad : {0u, 1'000'001u}) {
    EXPECT_THAT(Steps([&](auto& p) { p.batch_size = bad; }), HasSubstr("batch_size = "));
  }
  for (double bad : {0.0, -1.0, 1e9, kInfinity, kNan}) {
    if (bad != 0) {
      EXPECT_THAT(Steps([&](auto& p) { p.learning_rate = bad; }), HasSubstr("learning_rate = "));
    }
    if (bad != 1e9) {
      EXPECT_THAT(Steps([&](auto& p) { p.clip_norm = bad; }), HasSubstr("clip_norm = "));
    }
  }
  EXPECT_THAT(Steps([](auto& p) { p.clip_norm = 1e12; }), HasSubstr("above 2^50 units"));
  for (int bad : {-1, 49, std::numeric_limits<int>::max(), std::numeric_limits<int>::min()}) {
    EXPECT_THAT(Steps([&](auto& p) { p.scale_log2 = bad; }), HasSubstr("scale_log2 = "));
  }
  for (uint64_t bad : {uint64_t{0}, (uint64_t{1} << 40) + 1, UINT64_MAX}) {
    EXPECT_THAT(Steps([&](auto& p) { p.sigma2 = bad; }), HasSubstr("sigma2 = "));
  }
}

// Before any coin is tossed: whether a sum overflows must not depend on the draw.
TEST(LocalPlanTest, MoreRecordsThanASumHoldsAreRefused) {
  DpSgdPlan plan = kDpSgd;
  plan.scale_log2 = 34;  // F s C = 2^50
  EXPECT_TRUE(CheckPlan(plan, 4095).ok());
  EXPECT_THAT(std::string(CheckPlan(plan, 4096).message()),
              HasSubstr("4096 records in one sum, limit 4095"));
}

TEST(LocalPlanTest, RecordsOfAGradientAreAscending) {
  const GradientPlan plan{.records = {0, 7, 9}, .clip_norm = 1, .scale_log2 = 14};
  EXPECT_TRUE(CheckPlan(plan, 10).ok());
  EXPECT_THAT(std::string(CheckPlan(plan, 9).message()), HasSubstr("record 9"));
  for (const std::vector<uint32_t>& bad : {std::vector<uint32_t>{3, 3}, {4, 3}, {UINT32_MAX}}) {
    GradientPlan other = plan;
    other.records = bad;
    EXPECT_EQ(CheckPlan(other, 10).code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(LocalPlanTest, PlansTravel) {
  auto epochs = PlanOf(RequestOf(kEpochs), 1000);
  ASSERT_TRUE(epochs.ok()) << epochs.status();
  const auto& passes = std::get<EpochsPlan>(*epochs);
  EXPECT_EQ(passes.epochs, kEpochs.epochs);
  EXPECT_EQ(passes.batch_size, kEpochs.batch_size);
  EXPECT_EQ(passes.learning_rate, kEpochs.learning_rate);
  EXPECT_EQ(passes.proximal_mu, kEpochs.proximal_mu);
  EXPECT_EQ(passes.seed, kEpochs.seed);
  auto dp_sgd = PlanOf(RequestOf(kDpSgd), 1000);
  ASSERT_TRUE(dp_sgd.ok()) << dp_sgd.status();
  const auto& steps = std::get<DpSgdPlan>(*dp_sgd);
  EXPECT_EQ(steps.steps, kDpSgd.steps);
  EXPECT_EQ(steps.sampling_rate, kDpSgd.sampling_rate);
  EXPECT_EQ(steps.batch_size, kDpSgd.batch_size);
  EXPECT_EQ(steps.learning_rate, kDpSgd.learning_rate);
  EXPECT_EQ(steps.clip_norm, kDpSgd.clip_norm);
  EXPECT_EQ(steps.scale_log2, kDpSgd.scale_log2);
  EXPECT_EQ(steps.sigma2, kDpSgd.sigma2);
  EXPECT_EQ(steps.seed, kDpSgd.seed);
}

TEST(LocalPlanTest, RequestsWithoutAPlanOrASeedAreRefused) {
  TrainerRequest request;
  EXPECT_THAT(std::string(PlanOf(request, 1).status().message()), HasSubstr("without a plan"));
  for (size_t size : {0u, 31u, 33u}) {
    request = RequestOf(kEpochs);
    request.mutable_epochs()->set_seed(std::string(size, 'x'));
    EXPECT_THAT(std::string(PlanOf(request, 1).status().message()), HasSubstr("32 are needed"));
    request = RequestOf(kDpSgd);
    request.mutable_dp_sgd()->set_seed(std::string(size, 'x'));
    EXPECT_THAT(std::string(PlanOf(request, 1).status().message()), HasSubstr("32 are needed"));
  }
}

}  // namespace
}  // namespace dure
