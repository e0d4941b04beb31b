// So many bytes a second, with a second's worth at once: a token bucket that may be overdrawn. What
// is taken is taken whole, and whoever took it waits until the bucket has made up for it, so that a
// piece longer than a second's worth passes, too. Pure. Not thread-safe.
#ifndef DURE_BASE_RATE_LIMIT_H_
#define DURE_BASE_RATE_LIMIT_H_

#include <cstdint>

#include "absl/time/time.h"

namespace dure {

class RateLimit {
 public:
  // 0: no limit.
  explicit RateLimit(uint64_t bytes_per_second = 0) : rate_(bytes_per_second) {}

  // Takes `bytes`; how long to wait before what they are for is done. `now` is of a clock that does
  // not go back; if it does all the same, the bucket only does not fill.
  absl::Duration Take(uint64_t bytes, absl::Time now);
  // From here on; what is owed is paid at the new rate.
  void SetRate(uint64_t bytes_per_second);
  uint64_t rate() const { return rate_; }

 private:
  uint64_t rate_;
  double level_ = 0;                          // bytes that may go at once; below 0: owed
  absl::Time newest_ = absl::InfinitePast();  // when level_ was right
};

}  // namespace dure

#endif  // DURE_BASE_RATE_LIMIT_H_
