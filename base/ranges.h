// Work on a long vector in ranges, over threads. Thread-safe.
#ifndef DURE_BASE_RANGES_H_
#define DURE_BASE_RANGES_H_

#include <cstdint>
#include <functional>

namespace dure {

// The elements begin, ..., end - 1.
struct Range {
  uint64_t begin = 0;
  uint64_t end = 0;
  uint64_t size() const { return end - begin; }
};

struct RangesOptions {
  uint64_t least = 1;     // elements of a range that are worth a thread, at least 1
  uint64_t multiple = 1;  // of which every `begin` is, counted from the first element; at least 1
  int threads = 0;        // at most so many, the caller's among them; 0: as many as the machine has
};

// Calls `work` once for each of some ranges that together are `all`, and returns when all are done.
// Which ranges is not said, so that the result must not depend on it.
void ForEachRange(const Range& all, const RangesOptions& options,
                  const std::function<void(const Range&)>& work);

}  // namespace dure

#endif  // DURE_BASE_RANGES_H_
