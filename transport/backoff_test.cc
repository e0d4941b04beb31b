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

TEST(BackoffTest, IsShortAgainAfterASuccess) {
  ConstantRandom random(0);
  Backoff backoff(&random);
  for (int i = 0; i < 5; ++i) backoff.Next();
  backoff.Reset();
  EXPECT_EQ(backoff.Next(), Backoff::kFirst / 2);
}

}  // namespace
}  // namespace dure
