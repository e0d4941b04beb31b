#include "learner/record_sums.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>

#include "learner/architecture.h"
#include "learner/data/column_sums.h"
#include "learner/per_example.h"

namespace dure {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr EvaluationPlan kPlan{.loss_bound = 20, .error_bound = 20, .grid_log2 = 24};

double Number(int64_t sum) { return std::ldexp(static_cast<double>(sum), -kPlan.grid_log2); }

TEST(RecordSumsTest, WhatAModelDoesIsAddedUpRecordByRecord) {
  Network model(*MakeArchitecture("logistic_regression", {2}, 2));
  model.SetParams(std::vector<float>(model.dim()));  // says 0 of everything, with a half each
  const Dataset data{.shape = {2}, .labels = {0, 1, 1}, .numbers = {1, 2, 3, 4, 5, 6}};
  const std::vector<int64_t> sums = EvaluationSums(model, data, /*threads=*/2, kPlan);
  EXPECT_EQ(sums.size(), MetricSums(ModelSection::CROSS_ENTROPY, 2).size());
  EXPECT_EQ(Number(sums[MetricSums::kRecords]), 3);
  EXPECT_NEAR(Number(sums[MetricSums::kLoss]), 3 * std::log(2) / 20, 1e-6);
  EXPECT_EQ(Number(sums[MetricSums::kRight]), 1);
  EXPECT_EQ(sums, EvaluationSums(model, data, /*threads=*/1, kPlan));
  std::vector<double> opened;
  for (const int64_t sum : sums) opened.push_back(Number(sum));
  const ModelMetrics metrics = MetricsOfSums(ModelSection::CROSS_ENTROPY, 2, kPlan, opened);
  EXPECT_EQ(metrics.records(), 3u);
  EXPECT_NEAR(metrics.loss(), std::log(2), 1e-5);
  EXPECT_NEAR(metrics.accuracy(), 1.0 / 3, 1e-9);
  EXPECT_THAT(metrics.confusion(), ElementsAre(1, 0, 2, 0));
}

TEST(RecordSumsTest, NoRecordCountsForMoreThanTheBound) {
  Network model(*MakeArchitecture("logistic_regression", {2}, 2));
  std::vector<float> params(model.dim());
  params[0] = 1e30f;  // says one class of everything, and is sure
  model.SetParams(params);
  const Dataset data{.shape = {2}, .labels = {0, 1}, .numbers = {1, 0, 1, 0}};
  const std::vector<int64_t> sums = EvaluationSums(model, data, 1, kPlan);
  EXPECT_LE(Number(sums[MetricSums::kLoss]), 1);  // one of the two is as wrong as can be
  for (const int64_t sum : sums) {
    EXPECT_GE(sum, 0);
    EXPECT_LE(Number(sum), 2);
  }
}

TEST(RecordSumsTest, StatisticsAreOfTheTableAsItIs) {
  const std::string folder = ::testing::TempDir() + "/record_sums";
  std::filesystem::create_directories(folder);
  // A standardisation changes nothing: the sums are of what the table says.
  std::ofstream(folder + "/records.schema")
      << "dure schema 1\ncolumn \"a\" numeric range 0 8 missing mean standardise 2 0.5\n"
         "label \"y\" classes \"0\" \"1\"\n";
  std::ofstream(folder + "/records.csv") << "a,y\n2,0\n?,1\n4,1\n";
  absl::StatusOr<DataFiles> files = OpenDataFolder(folder);
  ASSERT_TRUE(files.ok()) << files.status();
  for (int time = 0; time < 2; ++time) {  // it can be read again
    const auto sums = StatisticsSums(*files, {.bins = 2, .grid_log2 = 4});
    ASSERT_TRUE(sums.ok()) << sums.status();
    // 3 records; 2 present, 0.25 + 0.5, 0.0625 + 0.25, one in each bar; classes.
    EXPECT_THAT(*sums, ElementsAre(48, 32, 12, 5, 16, 16, 16, 32));
  }
  std::filesystem::remove_all(folder);
}

TEST(RecordSumsTest, ATableWithoutRangesIsRefused) {
  const std::string folder = ::testing::TempDir() + "/record_sums_ranges";
  std::filesystem::create_directories(folder);
  std::ofstream(folder + "/records.schema")
      << "dure schema 1\ncolumn \"a\" numeric\nlabel \"y\" classes \"0\" \"1\"\n";
  std::ofstream(folder + "/records.csv") << "a,y\n2,0\n";
  absl::StatusOr<DataFiles> files = OpenDataFolder(folder);
  ASSERT_TRUE(files.ok()) << files.status();
  const auto sums = StatisticsSums(*files, {.bins = 2, .grid_log2 = 4});
  EXPECT_THAT(std::string(sums.status().message()), HasSubstr("column \"a\" has no range"));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace dure
