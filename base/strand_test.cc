#include "base/strand.h"

#include <future>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dure {
namespace {

using ::testing::ElementsAre;

TEST(StrandTest, TasksRunInTheOrderOfTheCalls) {
  Strand strand;
  std::vector<int> seen;
  std::promise<void> done;
  for (int i = 0; i < 5; ++i) strand.Post([&seen, i] { seen.push_back(i); });
  strand.Post([&done] { done.set_value(); });
  done.get_future().wait();
  EXPECT_THAT(seen, ElementsAre(0, 1, 2, 3, 4));
}

TEST(StrandTest, ADelayedTaskRunsAfterThoseThatAreDueBefore) {
  Strand strand;
  std::vector<int> seen;
  std::promise<void> done;
  strand.Post([&] {
    strand.PostAfter(absl::Milliseconds(2), [&] {
      seen.push_back(2);
      done.set_value();
    });
    strand.PostAfter(absl::Milliseconds(1), [&] { seen.push_back(1); });
    strand.Post([&] { seen.push_back(0); });
  });
  done.get_future().wait();
  EXPECT_THAT(seen, ElementsAre(0, 1, 2));
}

TEST(StrandTest, PostAndWaitReturnsWhenTheTaskHasRun) {
  Strand strand;
  int value = 0;
  strand.Post([&] { value = 1; });
  strand.PostAndWait([&] { value += 1; });
  EXPECT_EQ(value, 2);
}

TEST(StrandTest, StopFromATaskDropsTheRest) {
  bool ran = false;
  std::promise<void> stopped;
  {
    Strand strand;
    strand.Post([&] {
      strand.Post([&] { ran = true; });
      strand.Stop();
      stopped.set_value();
    });
    stopped.get_future().wait();
  }
  EXPECT_FALSE(ran);
}

}  // namespace
}  // namespace dure
