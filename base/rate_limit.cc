#include "base/rate_limit.h"

#include <algorithm>

namespace dure {

absl::Duration RateLimit::Take(uint64_t bytes, absl::Time now) {
  if (rate_ == 0) return absl::ZeroDuration();
  const auto rate = static_cast<double>(rate_);
  if (newest_ == absl::InfinitePast()) {
    level_ = rate;  // the first second's worth
    newest_ = now;
  } else if (now > newest_) {
    level_ = std::min(rate, level_ + rate * absl::ToDoubleSeconds(now - newest_));
    newest_ = now;
  }
  level_ -= static_cast<double>(bytes);
  return level_ >= 0 ? absl::ZeroDuration() : absl::Seconds(-level_ / rate);
}

void RateLimit::SetRate(uint64_t bytes_per_second) {
  if (bytes_per_second == rate_) return;
  rate_ = bytes_per_second;
  level_ = std::min(level_, static_cast<double>(rate_));
  if (rate_ == 0) newest_ = absl::InfinitePast();
}

}  // namespace dure
