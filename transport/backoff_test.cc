#include "transport/backoff.h"

#include <algorithm>

#include "gtest/gtest.h"

namespace dure {
namespace {

// Every byte the same.
class ConstantRandom final : public Random {
 public:
  explicit ConstantRandom(uint8_t byte) : byte_(byte) {}
  void Fill(std::span<uint8_t> out) override { std::fill(out.begin(), out.end(), byte_); }

 private:
  uint8_t byte_;
};

TEST(BackoffTest, DoublesUpToTheLongestWait) {
  ConstantRandom random(0);
  Backoff backoff(&random);
  for (int ms : {100, 200, 400, 800, 1600, 3200, 5000, 5000}) {
    EXPECT_EQ(backoff.Next(), absl::Milliseconds(ms));
  }
}

TEST(BackoffTest, IsDrawnFromTheUpperHalf) {
  ConstantRandom random(255);
  Backoff backoff(&random);
  absl::Duration wait = backoff.Next();
  EXPECT_GT(wait, absl::Milliseconds(199));
  EXPECT_LT(wait, Backoff::kFirst);
  for (int i = 0; i < 20; ++i) wait = backoff.Next();
  EXPECT_GT(wait, absl::Milliseconds(9900));
  EXPECT_LT(wait, Backoff::kLongest);
}

TEST(BackoffTest, AfterSomeMinutesItIsAMinute) {
  ConstantRandom random(0);
  Backoff backoff(&random);
  for (int i = 0; i < Backoff::kEagerTries; ++i) EXPECT_LE(backoff.Next(), absl::Seconds(5));
  for (int seconds : {10, 20, 30, 30}) EXPECT_EQ(backoff.Next(), absl::Seconds(seconds));
  // For ever: about 2,000 tries a day.
  absl::Duration waited;
  int tries = 0;
  for (; waited < absl::Hours(24 * 30); ++tries) waited += backoff.Next();
  EXPECT_EQ(tries, 24 * 30 * 60 * 2);
  backoff.Reset();
  EXPECT_EQ(backoff.Next(), Backoff::kFirst / 2);
}

TEST(BackoffTest, IsShortAgainAfterASuccess) {
  ConstantRandom random(0);
  Backoff backoff(&random);
  for (int i = 0; i < 5; ++i) backoff.Next();
  backoff.Reset();
  EXPECT_EQ(backoff.Next(), Backoff::kFirst / 2);
}

}  // namespace
}  // namespace dure
