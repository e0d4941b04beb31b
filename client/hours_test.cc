#include "client/hours.h"

#include <gtest/gtest.h>

namespace dure {
namespace {

const absl::TimeZone kUtc = absl::UTCTimeZone();

Hours Of(std::string_view text) {
  absl::StatusOr<Hours> hours = Hours::Parse(text);
  EXPECT_TRUE(hours.ok()) << text << ": " << hours.status();
  return hours.value_or(Hours());
}

// 2026-11-23 is a Monday.
absl::Time At(int day, int hour, int minute = 0) {
  return absl::FromCivil(absl::CivilMinute(2026, 11, day, hour, minute), kUtc);
}

TEST(HoursTest, AlwaysIsTheDefault) {
  EXPECT_TRUE(Hours().always());
  EXPECT_TRUE(Of("always").always());
  EXPECT_TRUE(Of("mon-sun").always());
  EXPECT_TRUE(Of("0:00-24:00").always());
  EXPECT_EQ(Hours().NextChange(At(23, 12), kUtc), absl::InfiniteFuture());
}

TEST(HoursTest, ANightGoesPastMidnight) {
  const Hours night = Of("22:00-07:00");
  EXPECT_FALSE(night.Contains(At(23, 21, 59), kUtc));
  EXPECT_TRUE(night.Contains(At(23, 22), kUtc));
  EXPECT_TRUE(night.Contains(At(24, 6, 59), kUtc));
  EXPECT_FALSE(night.Contains(At(24, 7), kUtc));
  EXPECT_EQ(night.NextChange(At(23, 12), kUtc), At(23, 22));
  EXPECT_EQ(night.NextChange(At(23, 22), kUtc), At(24, 7));
}

TEST(HoursTest, ANightBelongsToTheDayItBeginsOn) {
  const Hours hours = Of("mon-fri 20:00-06:00,sat,sun");
  EXPECT_FALSE(hours.Contains(At(23, 5), kUtc));  // Monday morning: Sunday is a whole day only
  EXPECT_TRUE(hours.Contains(At(24, 5), kUtc));
  EXPECT_FALSE(hours.Contains(At(24, 12), kUtc));
  EXPECT_TRUE(hours.Contains(At(28, 5), kUtc));  // Saturday
  EXPECT_TRUE(hours.Contains(At(29, 23, 59), kUtc));
  EXPECT_EQ(hours.NextChange(At(27, 20), kUtc), At(30, 0));  // from Friday through the weekend
}

TEST(HoursTest, SeveralRangesAndDaysPastSunday) {
  const Hours hours = Of(" 12:00-13:00 , sun-mon  8:30-9:00");
  EXPECT_EQ(hours.text(), "12:00-13:00,sun-mon 8:30-9:00");
  EXPECT_TRUE(hours.Contains(At(25, 12, 30), kUtc));
  EXPECT_TRUE(hours.Contains(At(23, 8, 45), kUtc));
  EXPECT_TRUE(hours.Contains(At(29, 8, 45), kUtc));
  EXPECT_FALSE(hours.Contains(At(24, 8, 45), kUtc));
  EXPECT_EQ(Of(hours.text()), hours);
}

TEST(HoursTest, TheTimeIsThatOfTheMachine) {
  const absl::TimeZone east = absl::FixedTimeZone(9 * 3600);
  const Hours morning = Of("06:00-08:00");
  EXPECT_TRUE(morning.Contains(At(23, 21), east));  // 06:00 on Tuesday there
  EXPECT_FALSE(morning.Contains(At(23, 6), east));
  EXPECT_EQ(morning.NextChange(At(23, 21), east), At(23, 23));
}

TEST(HoursTest, NextChangeIsNeverInThePast) {
  absl::TimeZone berlin;
  if (!absl::LoadTimeZone("Europe/Berlin", &berlin)) GTEST_SKIP() << "no time zones are installed";
  const Hours night = Of("02:00-03:00");
  // Through both changes of the clock of 2026, minute by minute.
  for (const absl::CivilDay day : {absl::CivilDay(2026, 3, 28), absl::CivilDay(2026, 10, 24)}) {
    const absl::Time begin = absl::FromCivil(day, berlin);
    for (int minute = 0; minute < 3 * 24 * 60; minute += 7) {
      const absl::Time now = begin + absl::Minutes(minute);
      EXPECT_GE(night.NextChange(now, berlin), now);
      EXPECT_LE(night.NextChange(now, berlin), now + absl::Hours(26));
    }
  }
}

TEST(HoursTest, WhatMeansNothingIsRefusedByItsPart) {
  for (const char* text : {"", ",", "22:00", "22:00-", "22:00-22:00", "25:00-26:00", "12:60-13:00",
                           "monday", "mon-", "mon 22:00", "22:00-23:00 mon", "mon tue 1:00-2:00",
                           "24:00-01:00", "1:0-2:00", "-1:00-2:00", "mon,,tue"}) {
    const absl::Status status = Hours::Parse(text).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << text;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(Hours::Parse(std::string(201, 'm')).status()));
}

}  // namespace
}  // namespace dure
