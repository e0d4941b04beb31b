#include "client/service/machine_state.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace dure {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

// A machine of folders.
class MachineStateTest : public ::testing::Test {
 protected:
  MachineStateTest() {
    places_ = {.sys = root_ + "/sys", .dev = root_ + "/dev", .run = root_ + "/run"};
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_ + "/node");
  }
  ~MachineStateTest() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) {
    const std::string full = root_ + "/" + path;
    std::filesystem::create_directories(std::filesystem::path(full).parent_path());
    std::ofstream(full) << text;
  }
  void Typed(const std::string& path, absl::Time when) {
    Write(path, "");
    const timespec times[2] = {absl::ToTimespec(when), absl::ToTimespec(kNow)};
    ASSERT_EQ(utimensat(AT_FDCWD, (root_ + "/" + path).c_str(), times, 0), 0);
  }
  void SomebodyAtScreen() {
    Write("run/systemd/sessions/c1", "UID=1000\nCLASS=user\nSEAT=seat0\nSTATE=active\n");
  }
  MachineState Look(const GuestLimits& limits = {}) {
    return LookAtMachine(root_ + "/node", limits, kNow, places_);
  }

  const std::string root_ = ::testing::TempDir() + "/machine_state_test";
  MachinePlaces places_;
};

TEST_F(MachineStateTest, AMachineThatSaysNothingIsFree) {
  const MachineState state = Look();
  EXPECT_FALSE(state.on_battery);
  EXPECT_FALSE(state.desktop);
  EXPECT_FALSE(state.last_used);
  EXPECT_GT(state.free_disk, 0u);
  EXPECT_LT(state.free_disk, UINT64_MAX);
}

TEST_F(MachineStateTest, ALaptop) {
  Write("sys/class/power_supply/AC/type", "Mains\n");
  Write("sys/class/power_supply/AC/online", "1\n");
  Write("sys/class/power_supply/BAT0/type", "Battery\n");
  Write("sys/class/power_supply/BAT0/status", "Discharging\n");
  EXPECT_FALSE(Look().on_battery) << "a weak charger";
  Write("sys/class/power_supply/AC/online", "0\n");
  EXPECT_TRUE(Look().on_battery);
  EXPECT_FALSE(Look({.pause_on_battery = false}).on_battery) << "nobody asked";
  // A charger of another kind.
  Write("sys/class/power_supply/ucsi/type", "USB\n");
  Write("sys/class/power_supply/ucsi/online", "1\n");
  EXPECT_FALSE(Look().on_battery);
}

TEST_F(MachineStateTest, ABatteryWithoutAWordOfMains) {
  Write("sys/class/power_supply/BAT0/type", "Battery\n");
  Write("sys/class/power_supply/BAT0/status", "Full\n");
  EXPECT_FALSE(Look().on_battery);
  Write("sys/class/power_supply/BAT0/status", "Discharging\n");
  EXPECT_TRUE(Look().on_battery);
}

TEST_F(MachineStateTest, TheBatteryOfAMouseIsNotTheMachines) {
  Write("sys/class/power_supply/hidpp/type", "Battery\n");
  Write("sys/class/power_supply/hidpp/scope", "Device\n");
  Write("sys/class/power_supply/hidpp/status", "Discharging\n");
  EXPECT_FALSE(Look().on_battery);
}

TEST_F(MachineStateTest, TypingCountsOnceSomebodyIsAtAScreen) {
  Typed("dev/pts/0", kNow - absl::Minutes(5));
  Typed("dev/tty2", kNow - absl::Minutes(3));
  Typed("dev/ttyS0", kNow);  // a line, not a person
  Typed("dev/pts/ptmx", kNow);
  EXPECT_FALSE(Look().desktop);
  EXPECT_FALSE(Look().last_used);
  EXPECT_EQ(Look({.pause_when_used = GuestLimits::WhenUsed::kYes}).last_used,
            kNow - absl::Minutes(3));
  SomebodyAtScreen();
  EXPECT_TRUE(Look().desktop);
  EXPECT_EQ(Look().last_used, kNow - absl::Minutes(3));
  EXPECT_FALSE(Look({.pause_when_used = GuestLimits::WhenUsed::kNo}).last_used);
}

TEST_F(MachineStateTest, GreetersAndSessionsThatEndAreNobody) {
  Write("run/systemd/sessions/c1", "CLASS=greeter\nSEAT=seat0\nSTATE=active\n");
  Write("run/systemd/sessions/4", "CLASS=user\nSTATE=active\nREMOTE=1\n");
  Write("run/systemd/sessions/5", "CLASS=user\nSEAT=seat0\nSTATE=closing\n");
  EXPECT_FALSE(Look().desktop);
}

TEST_F(MachineStateTest, WhatLogindSaysOfADesktopCounts) {
  Typed("dev/pts/0", kNow - absl::Minutes(30));
  places_.login_idle = [](absl::Time now) { return now; };
  EXPECT_FALSE(Look().last_used) << "nobody is at a screen";
  SomebodyAtScreen();
  EXPECT_EQ(Look().last_used, kNow);
  places_.login_idle = [](absl::Time now) { return now - absl::Hours(2); };
  EXPECT_EQ(Look().last_used, kNow - absl::Minutes(30));
  places_.login_idle = [](absl::Time) { return std::nullopt; };
  EXPECT_EQ(Look().last_used, kNow - absl::Minutes(30));
}

TEST_F(MachineStateTest, TheFolderIsMeasuredUnderALimit) {
  Write("node/files/a", std::string(1000, 'a'));
  Write("node/b", std::string(234, 'b'));
  EXPECT_EQ(Look().used_disk, 0u);
  EXPECT_EQ(Look({.max_disk = 1}).used_disk, 1234u);
}

}  // namespace
}  // namespace dure
