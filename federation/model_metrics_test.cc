#include "federation/model_metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

namespace dure {
namespace {

TEST(CheckMetricsTest, WhatNoMeasurementGivesIsRefused) {
  ModelMetrics good;
  good.set_records(3);
  good.set_loss(std::numeric_limits<double>::infinity());
  good.set_accuracy(1);
  for (uint64_t count : {1, 0, 0, 2}) good.add_confusion(count);
  EXPECT_TRUE(CheckMetrics(good).ok());
  const double bad[] = {-0.1, 1.1, std::nan("")};
  const auto refused = [&](const std::function<void(ModelMetrics*)>& change) {
    ModelMetrics metrics = good;
    change(&metrics);
    return CheckMetrics(metrics).code() == absl::StatusCode::kInvalidArgument;
  };
  for (double value : bad) {
    EXPECT_TRUE(refused([&](auto* m) { m->set_accuracy(value); }));
    EXPECT_TRUE(refused([&](auto* m) { m->set_f1(value); }));
    EXPECT_TRUE(refused([&](auto* m) { m->set_auc(value); }));
  }
  EXPECT_TRUE(refused([](auto* m) { m->set_records(0); }));
  EXPECT_TRUE(refused([](auto* m) { m->set_loss(-1); }));
  EXPECT_TRUE(refused([](auto* m) { m->set_mae(-1); }));
  EXPECT_TRUE(refused([](auto* m) { m->set_perplexity(-1); }));
  EXPECT_TRUE(refused([](auto* m) { m->set_own(1); }));
  EXPECT_TRUE(refused([](auto* m) { m->set_own_name("deviance"); }));
  EXPECT_TRUE(refused([](auto* m) {
    m->set_own(1);
    m->set_own_name("\x1b[2J");
  }));
  EXPECT_TRUE(refused([](auto* m) { m->add_confusion(0); }));
  EXPECT_TRUE(refused([](auto* m) { m->set_records(4); }));
  EXPECT_TRUE(refused([](auto* m) {
    m->set_confusion(0, UINT64_MAX);
    m->set_confusion(1, 4);
  }));
  EXPECT_TRUE(refused([](auto* m) {
    m->mutable_confusion()->Resize((kMaxConfusionClasses + 1) * (kMaxConfusionClasses + 1), 0);
  }));
}

}  // namespace
}  // namespace dure
