#include "transport/backoff.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace dure {

absl::Duration Backoff::Next() {
  std::array<uint8_t, 2> bytes;
  random_->Fill(bytes);
  double fraction = (bytes[0] * 256 + bytes[1]) / 65536.0;
  absl::Duration wait = wait_;
  if (tries_ < kEagerTries) ++tries_;
  wait_ = std::min(2 * wait_, tries_ < kEagerTries ? kLongest : kLongestLater);
  return wait / 2 + fraction * (wait / 2);
}

}  // namespace dure
