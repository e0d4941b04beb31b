#include "base/ranges.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "base/check.h"

namespace dure {
namespace {

constexpr uint64_t kMaxThreads = 256;
// Ranges a thread, so that one that is held up leaves work to the others.
constexpr uint64_t kRangesPerThread = 4;

uint64_t DivideUp(uint64_t a, uint64_t b) { return a / b + (a % b == 0 ? 0 : 1); }

}  // namespace

void ForEachRange(const Range& all, const RangesOptions& options,
                  const std::function<void(const Range&)>& work) {
  DURE_CHECK(all.begin <= all.end && options.least >= 1 && options.multiple >= 1 &&
             options.threads >= 0);
  if (all.size() == 0) return;
  const uint64_t wanted = options.threads == 0 ? std::thread::hardware_concurrency()
                                               : static_cast<uint64_t>(options.threads);
  const uint64_t most = std::max<uint64_t>(all.size() / options.least, 1);
  const uint64_t threads = std::clamp<uint64_t>(std::min(wanted, most), 1, kMaxThreads);
  const uint64_t ranges = threads == 1 ? 1 : std::min(threads * kRangesPerThread, most);
  const uint64_t step = DivideUp(DivideUp(all.size(), ranges), options.multiple) * options.multiple;
  std::atomic<uint64_t> next = 0;
  auto run = [&] {
    for (uint64_t i = next++; i < ranges && i * step < all.size(); i = next++) {
      const uint64_t begin = all.begin + i * step;
      work({.begin = begin, .end = std::min(begin + step, all.end)});
    }
  };
  std::vector<std::thread> others;
  for (uint64_t i = 1; i < threads; ++i) others.emplace_back(run);
  run();
  for (std::thread& other : others) other.join();
}

}  // namespace dure
