#include "transport/turnstile.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dure {
namespace {

using ::testing::ElementsAre;

class TurnstileTest : public ::testing::Test {
 protected:
  void Queue(uint64_t key) {
    turnstile_.Queue(key, [this, key] { entered_.push_back(key); });
  }
  Turnstile turnstile_{2};
  std::vector<uint64_t> entered_;
};

TEST_F(TurnstileTest, SoManyAtATimeInOrder) {
  for (uint64_t key = 1; key <= 5; ++key) Queue(key);
  EXPECT_THAT(entered_, ElementsAre(1, 2));
  turnstile_.Leave(2);
  EXPECT_THAT(entered_, ElementsAre(1, 2, 3));
  turnstile_.Leave(1);
  turnstile_.Leave(3);
  EXPECT_THAT(entered_, ElementsAre(1, 2, 3, 4, 5));
}

TEST_F(TurnstileTest, WhoGivesUpWhileWaitingLetsNobodyIn) {
  for (uint64_t key = 1; key <= 4; ++key) Queue(key);
  turnstile_.Leave(3);
  EXPECT_THAT(entered_, ElementsAre(1, 2));
  turnstile_.Leave(1);
  EXPECT_THAT(entered_, ElementsAre(1, 2, 4));
  turnstile_.Leave(7);  // never came
  EXPECT_THAT(entered_, ElementsAre(1, 2, 4));
}

TEST_F(TurnstileTest, WhoLeavesTwiceFreesOnePlace) {
  for (uint64_t key = 1; key <= 5; ++key) Queue(key);
  turnstile_.Leave(1);
  turnstile_.Leave(1);
  EXPECT_THAT(entered_, ElementsAre(1, 2, 3));
}

TEST_F(TurnstileTest, TicketsAreNeverTheSame) {
  const uint64_t first = turnstile_.NewTicket();
  EXPECT_NE(first, 0u);
  EXPECT_NE(first, turnstile_.NewTicket());
}

}  // namespace
}  // namespace dure
