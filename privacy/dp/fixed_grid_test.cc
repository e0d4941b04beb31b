#include "privacy/dp/fixed_grid.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/ring.h"
#include "gtest/gtest.h"

namespace dure::dp {
namespace {

std::vector<int64_t> Signed(const std::vector<uint32_t>& words) {
  return RingToSigned(RingVector(words), 32);
}

TEST(FixedGridTest, ScaleIsTheLargestThatFits) {
  for (uint32_t members : {1u, 2u, 3u, 10u, 1000u, 1u << 20, 1u << 27}) {
    for (double range : {8.0, 1.0, 0.3, 15.9}) {
      const auto grid = DeriveFixedGrid(members, range);
      ASSERT_TRUE(grid.ok()) << grid.status();
      EXPECT_LT(std::ldexp(range * members, grid->scale_log2), 0x1p31);
      EXPECT_TRUE(grid->scale_log2 == 30 ||
                  std::ldexp(range * members, grid->scale_log2 + 1) >= 0x1p31);
    }
  }
  EXPECT_EQ(DeriveFixedGrid(10, 8)->scale_log2, 24);
  EXPECT_EQ(DeriveFixedGrid(1, 8)->scale_log2, 27);  // 2^28 * 8 is 2^31, not below
}

TEST(FixedGridTest, BadParametersAreRefused) {
  for (double range : {0.0, -1.0, std::numeric_limits<double>::infinity(), std::nan(""), 1e300}) {
    EXPECT_EQ(DeriveFixedGrid(10, range).status().code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(DeriveFixedGrid(0, 8).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(DeriveFixedGrid(1u << 28, 8).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(FixedGridTest, RoundsToTheNearestAndCountsWhatIsCutOff) {
  const FixedGrid grid = {.scale_log2 = 4, .range = 8};
  const std::vector<float> update = {0,        1, -1, 0.1f,  -0.1f, 0.03125f,
                                     0.09375f, 8, -8, 8.01f, -1e30f};
  const auto encoded = EncodeOnGrid(update, {.grid = grid});
  ASSERT_TRUE(encoded.ok());
  // Halves go to the even neighbour: 0.5 to 0, 1.5 to 2.
  EXPECT_EQ(Signed(encoded->words),
            (std::vector<int64_t>{0, 16, -16, 2, -2, 0, 2, 128, -128, 128, -128}));
  EXPECT_EQ(encoded->saturated, 2u);
}

TEST(FixedGridTest, WeightsMultiplyAndAreAppended) {
  const FixedGrid grid = {.scale_log2 = 10, .range = 8};
  const auto encoded =
      EncodeOnGrid(std::vector<float>{4, -20},
                   {.grid = grid, .weight = 0.25, .append_weight = true, .weight_coordinate = 600});
  ASSERT_TRUE(encoded.ok());
  EXPECT_EQ(Signed(encoded->words), (std::vector<int64_t>{1024, -2048, 600}));
  EXPECT_EQ(encoded->saturated, 1u);
}

TEST(FixedGridTest, NumbersThatAreNotFiniteAreAnErrorThatNamesTheFirst) {
  for (float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    std::vector<float> update(100'000, 0.5f);
    update[99'000] = bad;
    update[70'001] = bad;
    for (int threads : {1, 3}) {
      const auto status =
          EncodeOnGrid(update, {.grid = {.scale_log2 = 4}, .threads = threads}).status();
      EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
      EXPECT_EQ(status.message(), "coordinate 70001 of the update is not a finite number");
    }
  }
}

TEST(FixedGridTest, SameWordsOnAnyNumberOfThreads) {
  std::vector<float> update(100'001);
  for (size_t j = 0; j < update.size(); ++j) update[j] = 9 * std::sin(static_cast<float>(j));
  const GridUpdateParams params = {.grid = {.scale_log2 = 20}, .append_weight = true};
  const auto one = EncodeOnGrid(update, params);
  GridUpdateParams more = params;
  more.threads = 5;
  const auto five = EncodeOnGrid(update, more);
  EXPECT_EQ(one->words, five->words);
  EXPECT_EQ(one->saturated, five->saturated);
  EXPECT_GT(one->saturated, 1000u);
}

TEST(FixedGridTest, ChosenWidthGivesTheLargestScaleWithSoManyBits) {
  // 8 s of 10 bits, the sign included: up to 511.
  EXPECT_EQ(DeriveFixedGrid(10, 8, 10)->scale_log2, 5);
  EXPECT_EQ(DeriveFixedGrid(10, 8, 5)->scale_log2, 0);
  EXPECT_EQ(DeriveFixedGrid(10, 8, 29)->scale_log2, DeriveFixedGrid(10, 8)->scale_log2);
  for (const int bits : {2, 4, 30, 32}) {
    EXPECT_EQ(std::string(DeriveFixedGrid(10, 8, bits).status().message()),
              absl::StrCat("numbers of ", bits, " bits cannot work here: 5 to 29 bits can"));
  }
}

TEST(FixedGridTest, RoundingAtRandomIsRightOnAverageAndStaysInRange) {
  constexpr size_t kNumbers = 200'000;
  AesCtrRandom coins(AesCtrRandom::Seed{7});
  GridUpdateParams params = {.grid = {.scale_log2 = 2, .range = 8}, .coins = &coins};
  for (const float value : {0.1f, -0.1f, 3.9375f, 8.0f, -8.0f, 9.0f}) {
    const auto encoded = EncodeOnGrid(std::vector<float>(kNumbers, value), params);
    ASSERT_TRUE(encoded.ok());
    double sum = 0;
    for (const uint32_t word : encoded->words) {
      const auto v = static_cast<int32_t>(word);
      const double exact = 4 * std::clamp(value, -8.0f, 8.0f);
      EXPECT_LT(std::abs(v - exact), 1);
      EXPECT_LE(std::abs(v), 32);
      sum += v;
    }
    // Five standard deviations of the mean of so many coins, each of 1/2 at most.
    EXPECT_NEAR(sum / kNumbers, 4 * std::clamp(value, -8.0f, 8.0f),
                5 * 0.5 / std::sqrt(static_cast<double>(kNumbers)));
  }
}

TEST(FixedGridTest, SameCoinsGiveTheSameWordsOnAnyNumberOfThreads) {
  std::vector<float> update(100'001);
  for (size_t j = 0; j < update.size(); ++j) update[j] = std::sin(static_cast<float>(j));
  std::vector<std::vector<uint32_t>> words;
  for (const int threads : {1, 5}) {
    AesCtrRandom coins(AesCtrRandom::Seed{9});
    words.push_back(
        EncodeOnGrid(update, {.grid = {.scale_log2 = 3}, .threads = threads, .coins = &coins})
            ->words);
  }
  EXPECT_EQ(words[0], words[1]);
}

}  // namespace
}  // namespace dure::dp
