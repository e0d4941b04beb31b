#include "simulation/estimate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "federation/spec.h"
#include "tests/support/demo_spec.h"

namespace dure::simulation {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kDim = 26'010;  // of the demo's CNN

FederationSpec Spec(const std::vector<std::string>& texts = {},
                    const std::string& toml = dure::testing::DemoToml()) {
  std::vector<KeyOverride> overrides;
  for (const std::string& text : texts) overrides.push_back(ParseOverride(text).value());
  return ParseFederation(toml, "f.toml", overrides).value();
}

uint64_t BytesOf(const MemoryEstimate& estimate, const std::string& what) {
  for (const auto& part : estimate.parts) {
    if (part.what.find(what) != std::string::npos) return part.bytes;
  }
  return 0;
}

MemoryEstimate Estimate(const FederationSpec& spec, const RunSize& size) {
  const RoundTerms terms = DeriveTerms(spec, kDim, spec.rounds().cohort()).value();
  return EstimateMemory(spec, terms, size).value();
}

TEST(EstimateTest, PartsAddUpAndTheLargestComesFirst) {
  const MemoryEstimate estimate = Estimate(Spec(), {.clients = 100'000,
                                                    .threads = 2,
                                                    .records = 1'000'000,
                                                    .data_bytes = 784'000'000,
                                                    .program_too = true});
  uint64_t sum = 0;
  for (const auto& part : estimate.parts) sum += part.bytes;
  EXPECT_EQ(estimate.total(), sum);
  EXPECT_EQ(estimate.parts.front().what, "the records");
  EXPECT_EQ(BytesOf(estimate, "who has which"), 4'400'000u);
  EXPECT_EQ(BytesOf(estimate, "the program"), 200'000'000u);
  EXPECT_TRUE(std::is_sorted(estimate.parts.begin(), estimate.parts.end(),
                             [](const auto& a, const auto& b) { return a.bytes > b.bytes; }));
}

TEST(EstimateTest, ThreadsAndTheProtocolTakeMore) {
  const FederationSpec spec = Spec();
  const auto one = Estimate(spec, {.clients = 1000, .threads = 1});
  const auto four = Estimate(spec, {.clients = 1000, .threads = 4});
  EXPECT_EQ(BytesOf(four, "for each of 4"), 4 * BytesOf(one, "for each of 1"));
  // Inputs of ten members, 4 bytes a coordinate, and what is on its way to and from one.
  const uint64_t inputs =
      BytesOf(Estimate(spec, {.clients = 1000, .full = true}), "the inputs of 10 members");
  EXPECT_GT(inputs, 10 * 4 * kDim);
  EXPECT_LT(inputs, 15 * 4 * kDim);
}

TEST(EstimateTest, WhatClientsKeepIsCountedForThoseWhoTakePart) {
  const FederationSpec spec =
      Spec({"local.weighting=uniform", "local.control_variates=true", "local.population=1000000",
            "rounds.count=20", "rounds.max_attempts=20"},
           dure::testing::NoneToml());
  // 10 members in each of 20 attempts, and the 10 under way.
  EXPECT_EQ(BytesOf(Estimate(spec, {.clients = 1'000'000}), "what 200 clients keep"),
            4 * kDim * 210);
  EXPECT_EQ(BytesOf(Estimate(spec, {.clients = 50}), "what 50 clients keep"), 4 * kDim * 60);
  EXPECT_EQ(BytesOf(Estimate(Spec(), {.clients = 50}), "keep"), 0u);
}

TEST(EstimateTest, EveryArchitectureHasOne) {
  for (const char* architecture :
       {"cnn", "mlp", "logistic_regression", "cnn_mcmahan", "resnet18"}) {
    const FederationSpec spec = Spec({std::string("model.architecture=") + architecture});
    EXPECT_GT(Estimate(spec, {.clients = 10}).total(), 100'000u) << architecture;
  }
}

TEST(EstimateTest, ARunThatDoesNotFitIsRefusedWithNumbersAndRemedy) {
  const MemoryEstimate estimate{.parts = {{"what 9 clients keep from round to round",
                                           "simulate fewer clients", 3'000'000'000},
                                          {"the rest", "none", 500'000'000}}};
  EXPECT_TRUE(CheckFits(estimate, {.bytes = 3'500'000'000, .limit = "of this machine"}).ok());
  const absl::Status status =
      CheckFits(estimate, {.bytes = 3'400'000'000, .limit = "of its control group"});
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(),
            "the run takes about 3.5 GB of memory, and 3.4 GB of its control group are free; most "
            "of it, 3 GB, are what 9 clients keep from round to round: simulate fewer clients");
  EXPECT_TRUE(CheckFits(estimate, {.bytes = 7'000'000'000}, 2).ok());
  EXPECT_THAT(
      std::string(
          CheckFits(estimate, {.bytes = 6'000'000'000, .limit = "of this machine"}, 2).message()),
      HasSubstr("in each of 2 processes, and 6 GB of this machine are free for all"));
}

TEST(EstimateTest, WordsForDureCheck) {
  const FederationSpec spec = Spec();
  const RoundTerms terms = DeriveTerms(spec, kDim, 10).value();
  const RunSize size{.clients = 1000, .threads = 2, .program_too = true};
  const auto text =
      SimulatedInWords(spec, terms, size, {.bytes = 8'000'000'000, .limit = "of this machine"});
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_THAT(*text, ::testing::MatchesRegex(
                         "1000 clients on 2 threads take about 2.. MB of memory, 2.. MB with "
                         "--secure-aggregation full, and the records besides; 8 GB of this machine "
                         "are free."));
  EXPECT_THAT(*SimulatedInWords(spec, terms, size, {.bytes = 1000, .limit = "of ulimit"}),
              HasSubstr("That is too much: most of it, 200 MB, are the program with LibTorch"));
}

class FreeMemoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = ::testing::TempDir() + "dure_estimate_test";
    std::filesystem::remove_all(root_);
    Write("/proc/meminfo", "MemTotal: 9000000 kB\nMemAvailable:    8000000 kB\n");
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  std::string root_;
};

TEST_F(FreeMemoryTest, OfTheMachine) {
  const FreeMemory free = ReadFreeMemory(root_);
  EXPECT_EQ(free.bytes, 8'192'000'000u);
  EXPECT_EQ(free.limit, "of this machine");
  EXPECT_GT(ReadFreeMemory().bytes, 0u);
  EXPECT_LT(ReadFreeMemory().bytes, uint64_t{1} << 50);
}

TEST_F(FreeMemoryTest, OfAControlGroupOfVersionTwoAndThoseAboveIt) {
  Write("/proc/self/cgroup", "0::/a/b\n");
  Write("/sys/fs/cgroup/a/b/memory.max", "max\n");
  Write("/sys/fs/cgroup/a/b/memory.current", "5\n");
  EXPECT_EQ(ReadFreeMemory(root_).bytes, 8'192'000'000u);
  Write("/sys/fs/cgroup/a/memory.max", "1000000\n");
  Write("/sys/fs/cgroup/a/memory.current", "700000\n");
  Write("/sys/fs/cgroup/a/memory.stat", "anon 3\ninactive_file 100000\n");
  EXPECT_EQ(ReadFreeMemory(root_).bytes, 400'000u);
  EXPECT_EQ(ReadFreeMemory(root_).limit, "of its control group");
  Write("/sys/fs/cgroup/a/memory.current", "2000000\n");
  EXPECT_EQ(ReadFreeMemory(root_).bytes, 0u);
}

TEST_F(FreeMemoryTest, OfAControlGroupOfVersionOneEvenIfItsPathIsAnothers) {
  Write("/proc/self/cgroup", "9:cpu:/x\n4:memory:/of/the/host\n0::/\n");
  Write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "3000000\n");
  Write("/sys/fs/cgroup/memory/memory.usage_in_bytes", "1000000\n");
  EXPECT_EQ(ReadFreeMemory(root_).bytes, 2'000'000u);
}

TEST_F(FreeMemoryTest, NonsenseIsPassedOver) {
  Write("/proc/self/cgroup", "::\n:\n4:memory:nowhere\n0::/..\n\n");
  Write("/proc/meminfo", "nothing");
  EXPECT_EQ(ReadFreeMemory(root_).bytes, UINT64_MAX);
}

TEST(BytesInWordsTest, ThreeDigits) {
  EXPECT_EQ(BytesInWords(0), "0 B");
  EXPECT_EQ(BytesInWords(999), "999 B");
  EXPECT_EQ(BytesInWords(1'234'567), "1.23 MB");
  EXPECT_EQ(BytesInWords(UINT64_MAX), "1.84e+04 PB");
}

}  // namespace
}  // namespace dure::simulation
