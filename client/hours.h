// When a machine may be used, as its owner writes it, in the machine's own time:
//
//   always
//   22:00-07:00                     every day; past midnight it belongs to the day it begins on
//   mon-fri 20:00-06:00,sat,sun     from Monday to Friday at night, at weekends all day
//
// Days are mon, tue, wed, thu, fri, sat, sun; a range of days may go past Sunday. Thread-safe:
// values and pure functions.
#ifndef DURE_CLIENT_HOURS_H_
#define DURE_CLIENT_HOURS_H_

#include <bitset>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace dure {

inline constexpr size_t kMaxHoursBytes = 200;

class Hours {
 public:
  // Always.
  Hours();
  // InvalidArgument, naming the part that makes no sense.
  static absl::StatusOr<Hours> Parse(std::string_view text);

  bool always() const { return minutes_.all(); }
  bool Contains(absl::Time now, absl::TimeZone zone) const;
  // The first whole minute after `now` at which Contains changes; InfiniteFuture if it never does.
  absl::Time NextChange(absl::Time now, absl::TimeZone zone) const;
  // As it was written, without needless spaces, in small letters.
  const std::string& text() const { return text_; }

  friend bool operator==(const Hours& a, const Hours& b) { return a.minutes_ == b.minutes_; }

 private:
  static constexpr size_t kMinutesADay = 24 * 60;
  static constexpr size_t kMinutes = 7 * kMinutesADay;

  absl::Status Add(std::string_view part);

  std::string text_ = "always";
  std::bitset<kMinutes> minutes_;  // of a week that begins on Monday at 00:00
};

}  // namespace dure

#endif  // DURE_CLIENT_HOURS_H_
