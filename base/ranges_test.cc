#include "base/ranges.h"

#include <gtest/gtest.h>

#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace dure {
namespace {

TEST(RangesTest, EveryElementIsWorkedOnOnce) {
  for (uint64_t size : {0, 1, 5, 63, 64, 65, 1000, 4099}) {
    for (uint64_t least : {1, 10, 5000}) {
      for (uint64_t multiple : {1, 4, 64}) {
        for (int threads : {0, 1, 2, 7}) {
          std::vector<int> touched(size + 3);
          std::mutex mutex;
          bool aligned = true;
          ForEachRange({.begin = 3, .end = size + 3},
                       {.least = least, .multiple = multiple, .threads = threads},
                       [&](const Range& range) {
                         std::lock_guard lock(mutex);
                         aligned = aligned && (range.begin - 3) % multiple == 0;
                         for (uint64_t i = range.begin; i < range.end; ++i) ++touched[i];
                       });
          EXPECT_TRUE(aligned);
          for (uint64_t i = 0; i < touched.size(); ++i) {
            EXPECT_EQ(touched[i], i < 3 ? 0 : 1)
                << i << " of " << size << ", least " << least << ", multiple " << multiple;
          }
        }
      }
    }
  }
}

TEST(RangesTest, OneThreadIsTheCallersAndSeesOneRange) {
  int calls = 0;
  ForEachRange({.begin = 0, .end = 1000}, {.threads = 1}, [&](const Range& range) {
    ++calls;
    EXPECT_EQ(range.size(), 1000u);
  });
  EXPECT_EQ(calls, 1);
}

TEST(RangesTest, LittleWorkStaysOnTheCallersThread) {
  const std::thread::id caller = std::this_thread::get_id();
  ForEachRange({.begin = 0, .end = 1000}, {.least = 600, .threads = 8}, [&](const Range& range) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    EXPECT_EQ(range.size(), 1000u);
  });
}

}  // namespace
}  // namespace dure
