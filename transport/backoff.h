// How long to wait before the next try to reach the coordinator: 0.2 s, doubling to 30 s, each
// drawn evenly from the upper half, so that members that lost one coordinator do not all come back
// at one moment. Pure. Not thread-safe.
#ifndef DURE_TRANSPORT_BACKOFF_H_
#define DURE_TRANSPORT_BACKOFF_H_

#include "absl/time/time.h"
#include "crypto/random.h"

namespace dure {

class Backoff {
 public:
  static constexpr absl::Duration kFirst = absl::Milliseconds(200);
  static constexpr absl::Duration kLongest = absl::Seconds(10);

  // `random` is borrowed.
  explicit Backoff(Random* random) : random_(random) {}

  // The wait before the next try: in [w/2, w) for w = kFirst, 2 kFirst, ... kLongest.
  absl::Duration Next();
  // After a success: the next wait is short again.
  void Reset() { wait_ = kFirst; }

 private:
  Random* random_;
  absl::Duration wait_ = kFirst;
};

}  // namespace dure

#endif  // DURE_TRANSPORT_BACKOFF_H_
