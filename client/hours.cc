#include "client/hours.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/printable.h"
#include "base/status_macros.h"

namespace dure {
namespace {

constexpr std::array<std::string_view, 7> kDays = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

std::optional<size_t> DayOf(std::string_view word) {
  const auto* found = std::find(kDays.begin(), kDays.end(), word);
  if (found == kDays.end()) return std::nullopt;
  return static_cast<size_t>(found - kDays.begin());
}

bool IsDigit(char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); }

// Minutes since midnight, of "7:30" or "07:30"; 24:00 is the end of the day.
std::optional<size_t> MinuteOf(std::string_view word) {
  const size_t colon = word.find(':');
  if (colon == std::string_view::npos || colon < 1 || colon > 2 || word.size() != colon + 3) {
    return std::nullopt;
  }
  size_t hour = 0, minute = 0;
  for (size_t i = 0; i < word.size(); ++i) {
    if (i == colon) continue;
    if (!IsDigit(word[i])) return std::nullopt;
    size_t& number = i < colon ? hour : minute;
    number = number * 10 + static_cast<size_t>(word[i] - '0');
  }
  if (minute > 59 || hour * 60 + minute > 24 * 60) return std::nullopt;
  return hour * 60 + minute;
}

// FIRST-LAST, or nothing.
std::optional<std::pair<std::string_view, std::string_view>> Ends(std::string_view word) {
  const size_t dash = word.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  return std::make_pair(word.substr(0, dash), word.substr(dash + 1));
}

std::optional<std::pair<size_t, size_t>> DaysOf(std::string_view word) {
  std::optional<size_t> first = DayOf(word), last = first;
  if (const auto ends = Ends(word)) {
    first = DayOf(ends->first);
    last = DayOf(ends->second);
  }
  if (!first || !last) return std::nullopt;
  return std::make_pair(*first, *last);
}

std::optional<std::pair<size_t, size_t>> TimesOf(std::string_view word) {
  const auto ends = Ends(word);
  if (!ends) return std::nullopt;
  const std::optional<size_t> first = MinuteOf(ends->first), last = MinuteOf(ends->second);
  if (!first || !last || *first == *last || *first == 24 * 60) return std::nullopt;
  return std::make_pair(*first, *last);
}

absl::CivilMinute WeekBegin(absl::CivilDay day) {
  return absl::CivilMinute(absl::PrevWeekday(day + 1, absl::Weekday::monday));
}

size_t MinuteOfWeek(absl::CivilMinute minute) {
  return static_cast<size_t>(minute - WeekBegin(absl::CivilDay(minute)));
}

}  // namespace

Hours::Hours() { minutes_.set(); }

absl::Status Hours::Add(std::string_view part) {
  const auto wrong = [&](absl::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", Printable(part), "\": ", why,
                     "; write for example 22:00-07:00 or mon-fri 20:00-06:00,sat,sun or always"));
  };
  std::vector<std::string> words =
      absl::StrSplit(absl::string_view(part.data(), part.size()), ' ', absl::SkipEmpty());
  if (words.empty()) return wrong("nothing between two commas");
  if (words.size() > 2) return wrong("days and one range of hours are all there can be");
  std::pair<size_t, size_t> days = {0, 6}, times = {0, kMinutesADay};
  const auto given = DaysOf(words[0]);
  if (given) days = *given;
  if (!given || words.size() == 2) {
    const auto range = TimesOf(words.back());
    if (!range || (!given && words.size() == 2)) {
      return wrong(absl::StrCat("\"", Printable(given ? words[1] : words[0]),
                                "\" is neither days nor hours"));
    }
    times = *range;
  }
  const size_t length = times.second > times.first ? times.second - times.first
                                                   : kMinutesADay + times.second - times.first;
  for (size_t day = days.first;; day = (day + 1) % 7) {
    for (size_t i = 0; i < length; ++i) {
      minutes_.set((day * kMinutesADay + times.first + i) % kMinutes);
    }
    if (day == days.second) return absl::OkStatus();
  }
}

absl::StatusOr<Hours> Hours::Parse(std::string_view text) {
  if (text.size() > kMaxHoursBytes) {
    return absl::InvalidArgumentError(absl::StrCat(text.size(), " bytes, limit ", kMaxHoursBytes));
  }
  const std::string lower = absl::AsciiStrToLower(
      absl::StripAsciiWhitespace(absl::string_view(text.data(), text.size())));
  Hours hours;
  if (lower == "always") return hours;
  hours.minutes_.reset();
  std::vector<std::string> parts;
  for (absl::string_view part : absl::StrSplit(lower, ',')) {
    DURE_RETURN_IF_ERROR(hours.Add(std::string_view(part.data(), part.size())));
    parts.push_back(absl::StrJoin(absl::StrSplit(part, ' ', absl::SkipEmpty()), " "));
  }
  hours.text_ = absl::StrJoin(parts, ",");
  return hours;
}

bool Hours::Contains(absl::Time now, absl::TimeZone zone) const {
  return minutes_.test(MinuteOfWeek(absl::ToCivilMinute(now, zone)));
}

absl::Time Hours::NextChange(absl::Time now, absl::TimeZone zone) const {
  const bool inside = Contains(now, zone);
  const absl::CivilMinute minute = absl::ToCivilMinute(now, zone);
  const size_t start = MinuteOfWeek(minute);
  for (size_t i = 1; i <= kMinutes; ++i) {
    if (minutes_.test((start + i) % kMinutes) == inside) continue;
    // The hour that summer time repeats or leaves out may make it earlier than now.
    return std::max(absl::FromCivil(minute + static_cast<absl::civil_diff_t>(i), zone), now);
  }
  return absl::InfiniteFuture();
}

}  // namespace dure
