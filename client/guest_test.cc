#include "client/guest.h"

#include <gtest/gtest.h>

namespace dure {
namespace {

const absl::TimeZone kUtc = absl::UTCTimeZone();
const absl::Time kMondayNoon =
    absl::FromCivil(absl::CivilHour(2026, 11, 23, 12), absl::UTCTimeZone());

GuestLimits With(std::string_view key, std::string_view value) {
  GuestLimits limits;
  const absl::Status set = SetGuestValue(key, value, &limits);
  EXPECT_TRUE(set.ok()) << set;
  return limits;
}

MachineState Quiet() { return {.now = kMondayNoon}; }

std::optional<Pause> Why(const GuestLimits& limits, const MachineState& state) {
  return WhyPaused(limits, false, state, kUtc);
}

TEST(GuestTest, EveryValueIsReadAsItIsWritten) {
  for (const GuestKey& key : GuestKeys()) {
    const std::string text = GuestValue(GuestLimits(), key.name);
    EXPECT_EQ(With(key.name, text), GuestLimits()) << key.name << " = " << text;
    EXPECT_EQ(FindGuestKey(key.name)->name, key.name);
  }
  EXPECT_EQ(FindGuestKey("max_epsilon"), nullptr);
}

TEST(GuestTest, SizesAndRatesHaveUnits) {
  EXPECT_EQ(With("max_memory", "4GB").max_memory, uint64_t{4} << 30);
  EXPECT_EQ(With("max_memory", "1.5 gb").max_memory, uint64_t{3} << 29);
  EXPECT_EQ(With("max_upload", "1Mbit").max_upload, 125'000u);
  EXPECT_EQ(With("max_upload", "500KB").max_upload, 512'000u);
  EXPECT_EQ(GuestValue(With("max_upload", "1Mbit"), "max_upload"), "1Mbit");
  EXPECT_EQ(GuestValue(With("keep_free", "1000000"), "keep_free"), "1000000");
  EXPECT_EQ(GuestValue(With("max_threads", "all"), "max_threads"), "all");
}

TEST(GuestTest, WhatMeansNothingIsRefusedWithWhatItMayBe) {
  const struct {
    const char* key;
    const char* value;
  } wrong[] = {{"max_threads", "0"},     {"max_threads", "-1"},     {"max_threads", "1025"},
               {"max_memory", "255MB"},  {"max_memory", "nan"},     {"max_memory", "inf"},
               {"max_memory", "4Mbit"},  {"max_memory", "none"},    {"max_upload", "1"},
               {"max_upload", "1e99GB"}, {"hours", "25:00-26:00"},  {"pause_on_battery", "yes"},
               {"keep_free", "2000TB"},  {"pause_when_used", "on"}, {"idle_minutes", "0"},
               {"max_disk", ""}};
  for (const auto& [key, value] : wrong) {
    GuestLimits limits;
    const absl::Status status = SetGuestValue(key, value, &limits);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << key << " = " << value;
    EXPECT_NE(status.message().find(key), absl::string_view::npos) << status;
    EXPECT_NE(status.message().find("it must be"), absl::string_view::npos) << status;
    EXPECT_EQ(limits, GuestLimits());
  }
}

TEST(GuestTest, AQuietMachineIsFree) { EXPECT_FALSE(Why(GuestLimits(), Quiet())); }

TEST(GuestTest, WhatWasAskedForComesFirst) {
  MachineState state = Quiet();
  state.on_battery = true;
  const std::optional<Pause> pause = WhyPaused(GuestLimits(), true, state, kUtc);
  ASSERT_TRUE(pause);
  EXPECT_EQ(PauseWord(pause->why), "paused");
  EXPECT_EQ(pause->until, absl::InfiniteFuture());
  EXPECT_FALSE(EndsTraining(pause->why));
}

TEST(GuestTest, OnBatteryUnlessSwitchedOff) {
  MachineState state = Quiet();
  state.on_battery = true;
  ASSERT_TRUE(Why(GuestLimits(), state));
  EXPECT_EQ(Why(GuestLimits(), state)->why, Pause::Why::kBattery);
  EXPECT_TRUE(EndsTraining(Pause::Why::kBattery));
  EXPECT_FALSE(Why(With("pause_on_battery", "false"), state));
}

TEST(GuestTest, OutsideItsHoursItSaysUntilWhen) {
  const std::optional<Pause> pause = Why(With("hours", "22:00-07:00"), Quiet());
  ASSERT_TRUE(pause);
  EXPECT_EQ(pause->why, Pause::Why::kHours);
  EXPECT_EQ(pause->until, kMondayNoon + absl::Hours(10));
  EXPECT_EQ(pause->text, "paused until 22:00: outside the hours of this machine (22:00-07:00)");
  EXPECT_EQ(Why(With("hours", "sat"), Quiet())->text,
            "paused until Sat 00:00: outside the hours of this machine (sat)");
}

TEST(GuestTest, WhileSomebodyIsThere) {
  MachineState state = Quiet();
  state.last_used = kMondayNoon - absl::Minutes(3);
  EXPECT_FALSE(Why(GuestLimits(), state)) << "nobody is logged in at a screen";
  ASSERT_TRUE(Why(With("pause_when_used", "true"), state));
  state.desktop = true;
  const std::optional<Pause> pause = Why(GuestLimits(), state);
  ASSERT_TRUE(pause);
  EXPECT_EQ(pause->why, Pause::Why::kInUse);
  EXPECT_EQ(pause->until, kMondayNoon + absl::Minutes(7));
  EXPECT_FALSE(Why(With("pause_when_used", "false"), state));
  EXPECT_FALSE(Why(With("idle_minutes", "3"), state));
  state.last_used.reset();
  EXPECT_FALSE(Why(GuestLimits(), state));
}

TEST(GuestTest, AClockThatWasPutBackKeepsItPausedForNoLongerThanIdleMinutes) {
  MachineState state = Quiet();
  state.desktop = true;
  state.last_used = kMondayNoon + absl::Hours(24);
  EXPECT_EQ(Why(GuestLimits(), state)->until, kMondayNoon + absl::Minutes(10));
}

TEST(GuestTest, ADiskThatIsFull) {
  MachineState state = Quiet();
  state.free_disk = uint64_t{12} << 20;
  ASSERT_TRUE(Why(GuestLimits(), state));
  EXPECT_EQ(Why(GuestLimits(), state)->text,
            "the disk is full: 12.0 MB are free, and keep_free is 100MB; it goes on when there is "
            "room");
  EXPECT_FALSE(Why(With("keep_free", "none"), state));
  state = Quiet();
  state.used_disk = uint64_t{2} << 30;
  EXPECT_FALSE(Why(GuestLimits(), state));
  ASSERT_TRUE(Why(With("max_disk", "1GB"), state));
  EXPECT_EQ(Why(With("max_disk", "1GB"), state)->why, Pause::Why::kDiskFull);
}

}  // namespace
}  // namespace dure
