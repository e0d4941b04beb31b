#include "base/rate_limit.h"

#include <gtest/gtest.h>

namespace dure {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1'700'000'000);

TEST(RateLimitTest, WithoutALimitNothingWaits) {
  RateLimit limit;
  EXPECT_EQ(limit.Take(uint64_t{1} << 60, kStart), absl::ZeroDuration());
  EXPECT_EQ(limit.Take(uint64_t{1} << 60, kStart), absl::ZeroDuration());
}

TEST(RateLimitTest, ASecondsWorthPassesAtOnceAndThenNothing) {
  RateLimit limit(1000);
  EXPECT_EQ(limit.Take(600, kStart), absl::ZeroDuration());
  EXPECT_EQ(limit.Take(400, kStart), absl::ZeroDuration());
  EXPECT_EQ(limit.Take(500, kStart), absl::Milliseconds(500));
  EXPECT_EQ(limit.Take(500, kStart), absl::Seconds(1));
}

TEST(RateLimitTest, OverAnHourItIsTheRateAndOneSecondMore) {
  RateLimit limit(125'000);  // 1 Mbit/s
  absl::Time now = kStart;
  uint64_t sent = 0;
  while (now < kStart + absl::Hours(1)) {
    now += limit.Take(65'536, now);
    sent += 65'536;
  }
  EXPECT_LE(sent, 125'000u * 3601 + 65'536);
  EXPECT_GE(sent, 125'000u * 3600);
}

TEST(RateLimitTest, APieceLongerThanASecondsWorthPasses) {
  RateLimit limit(1000);
  EXPECT_EQ(limit.Take(11'000, kStart), absl::Seconds(10));
  EXPECT_EQ(limit.Take(1000, kStart + absl::Seconds(10)), absl::Seconds(1));
}

TEST(RateLimitTest, RestFillsItToOneSecondsWorthOnly) {
  RateLimit limit(1000);
  EXPECT_EQ(limit.Take(1000, kStart), absl::ZeroDuration());
  EXPECT_EQ(limit.Take(2000, kStart + absl::Hours(24)), absl::Seconds(1));
}

TEST(RateLimitTest, AClockThatGoesBackFillsNothing) {
  RateLimit limit(1000);
  EXPECT_EQ(limit.Take(1000, kStart), absl::ZeroDuration());
  EXPECT_EQ(limit.Take(1000, kStart - absl::Hours(1)), absl::Seconds(1));
}

TEST(RateLimitTest, AnotherRateHoldsFromHereOn) {
  RateLimit limit(1000);
  EXPECT_EQ(limit.Take(3000, kStart), absl::Seconds(2));
  limit.SetRate(2000);
  EXPECT_EQ(limit.Take(0, kStart), absl::Seconds(1));
  limit.SetRate(0);
  EXPECT_EQ(limit.Take(1'000'000, kStart), absl::ZeroDuration());
}

}  // namespace
}  // namespace dure
