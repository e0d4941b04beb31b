// How long to wait before the next try to reach the coordinator: 0.2 s, doubling to 10 s, and after
// kEagerTries in vain on to a minute, each drawn evenly from the upper half, so that members that
// lost one coordinator do not all come back at one moment. For ever. Pure. Not thread-safe.
#ifndef DURE_TRANSPORT_BACKOFF_H_
#define DURE_TRANSPORT_BACKOFF_H_

#include "absl/time/time.h"
#include "crypto/random.h"

namespace dure {

class Backoff {
 public:
  static constexpr absl::Duration kFirst = absl::Milliseconds(200);
  static constexpr absl::Duration kLongest = absl::Seconds(10);
  // Some minutes of tries.
  static constexpr int kEagerTries = 30;
  static constexpr absl::Duration kLongestLater = absl::Minutes(1);

  // `random` is borrowed.
  explicit Backoff(Random* random) : random_(random) {}

  // The wait before the next try: in [w/2, w) for w = kFirst, 2 kFirst, ... kLongest, and later
  // kLongestLater.
  absl::Duration Next();
  // After a success: the next wait is short again.
  void Reset() {
    wait_ = kFirst;
    tries_ = 0;
  }

 private:
  Random* random_;
  absl::Duration wait_ = kFirst;
  int tries_ = 0;
};

}  // namespace dure

#endif  // DURE_TRANSPORT_BACKOFF_H_
