#include "client/guest.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <variant>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/paragraph.h"
#include "base/printable.h"
#include "base/quantity.h"

namespace dure {
namespace {

constexpr char kNone[] = "none";
constexpr uint64_t kMostBytes = uint64_t{1} << 50;

struct Unit {
  std::string_view name;
  uint64_t bytes;
};
constexpr Unit kUnits[] = {{"TB", uint64_t{1} << 40},
                           {"GB", uint64_t{1} << 30},
                           {"MB", uint64_t{1} << 20},
                           {"KB", uint64_t{1} << 10}};
// Of rates, as networks are sold.
constexpr Unit kBitUnits[] = {{"Gbit", 125'000'000}, {"Mbit", 125'000}, {"kbit", 125}};

enum class Kind { kCount, kSize, kRate };
using Value = std::variant<uint32_t GuestLimits::*, uint64_t GuestLimits::*, bool GuestLimits::*,
                           Hours GuestLimits::*, GuestLimits::WhenUsed GuestLimits::*>;

struct Row {
  const char* name;
  Value value;
  Kind kind;
  uint64_t least;
  uint64_t most;
  const char* none;    // the word for 0, or nullptr
  const char* limits;  // in words
  const char* meaning;
};

const Row kRows[] = {
    {"max_threads", &GuestLimits::max_threads, Kind::kCount, 1, 1024, "all",
     "an integer, 1 to 1024, or all", "threads of the trainer"},
    {"max_memory", &GuestLimits::max_memory, Kind::kSize, uint64_t{256} << 20, kMostBytes, nullptr,
     "a size from 256MB, as 4GB", "memory of the trainer"},
    {"max_upload", &GuestLimits::max_upload, Kind::kRate, 1024, kMostBytes, kNone,
     "bytes a second from 1KB, as 500KB, or 4Mbit, or none", "sent to the coordinator, a second"},
    {"max_download", &GuestLimits::max_download, Kind::kRate, 1024, kMostBytes, kNone,
     "bytes a second from 1KB, as 500KB, or 4Mbit, or none",
     "fetched from the coordinator, a second"},
    {"max_disk", &GuestLimits::max_disk, Kind::kSize, uint64_t{1} << 20, kMostBytes, kNone,
     "a size from 1MB, as 2GB, or none", "size of the member's folder"},
    {"keep_free", &GuestLimits::keep_free, Kind::kSize, 0, kMostBytes, kNone,
     "a size, as 500MB, or none", "what stays free on its disk"},
    {"hours", &GuestLimits::hours, Kind::kCount, 0, 0, nullptr,
     "always, or hours in this machine's time, as 22:00-07:00 or mon-fri 20:00-06:00,sat,sun",
     "when it takes part"},
    {"pause_on_battery", &GuestLimits::pause_on_battery, Kind::kCount, 0, 0, nullptr,
     "true or false", "no training on battery power"},
    {"pause_when_used", &GuestLimits::pause_when_used, Kind::kCount, 0, 0, nullptr,
     "auto, true or false", "no training while somebody uses the machine"},
    {"idle_minutes", &GuestLimits::idle_minutes, Kind::kCount, 1, 240, nullptr,
     "an integer, 1 to 240", "unused for so long, the machine is free"},
};

const Row* FindRow(std::string_view name) {
  for (const Row& row : kRows) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

const Row& RowOf(std::string_view name) {
  const Row* row = FindRow(name);
  DURE_CHECK(row != nullptr);
  return *row;
}

// "500MB", "1.5 GB", "4Mbit", "1048576".
bool ReadBytes(std::string text, bool rate, uint64_t* bytes) {
  uint64_t unit = 1;
  const auto cut = [&](const Unit& known) {
    if (unit != 1 ||
        !absl::EndsWithIgnoreCase(text, absl::string_view(known.name.data(), known.name.size()))) {
      return;
    }
    unit = known.bytes;
    text.resize(text.size() - known.name.size());
  };
  if (rate) {
    for (const Unit& known : kBitUnits) cut(known);
  }
  for (const Unit& known : kUnits) cut(known);
  text = std::string(absl::StripAsciiWhitespace(text));
  double number = 0;
  if (text.empty() || text.find_first_not_of("0123456789.") != std::string::npos ||
      !absl::SimpleAtod(text, &number)) {
    return false;
  }
  const double total = number * static_cast<double>(unit);
  if (!(total <= static_cast<double>(kMostBytes))) return false;
  *bytes = static_cast<uint64_t>(std::llround(total));
  return true;
}

std::string BytesAsText(uint64_t bytes, bool rate) {
  for (const Unit& unit : kUnits) {
    if (bytes >= unit.bytes && bytes % unit.bytes == 0) {
      return absl::StrCat(bytes / unit.bytes, std::string(unit.name));
    }
  }
  for (const Unit& unit : kBitUnits) {
    if (rate && bytes >= unit.bytes && bytes % unit.bytes == 0) {
      return absl::StrCat(bytes / unit.bytes, std::string(unit.name));
    }
  }
  return absl::StrCat(bytes);
}

bool ReadCount(const std::string& text, uint64_t* count) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos &&
         absl::SimpleAtoi(text, count);
}

bool ReadNumber(const Row& row, const std::string& text, uint64_t* number) {
  *number = 0;
  if (row.none != nullptr && text == row.none) return true;
  const bool read = row.kind == Kind::kCount ? ReadCount(text, number)
                                             : ReadBytes(text, row.kind == Kind::kRate, number);
  return read && *number >= row.least && *number <= row.most;
}

absl::Status ReadValue(const Row& row, const std::string& text, GuestLimits* limits) {
  const absl::Status wrong = absl::InvalidArgumentError("");
  uint64_t number = 0;
  if (const auto* count = std::get_if<uint32_t GuestLimits::*>(&row.value)) {
    if (!ReadNumber(row, text, &number)) return wrong;
    limits->** count = static_cast<uint32_t>(number);
  } else if (const auto* bytes = std::get_if<uint64_t GuestLimits::*>(&row.value)) {
    if (!ReadNumber(row, text, &number)) return wrong;
    limits->** bytes = number;
  } else if (const auto* flag = std::get_if<bool GuestLimits::*>(&row.value)) {
    if (text != "true" && text != "false") return wrong;
    limits->** flag = text == "true";
  } else if (const auto* hours = std::get_if<Hours GuestLimits::*>(&row.value)) {
    absl::StatusOr<Hours> read = Hours::Parse(text);
    if (!read.ok()) return read.status();
    limits->** hours = *std::move(read);
  } else {
    if (text != "auto" && text != "true" && text != "false") return wrong;
    limits->pause_when_used = text == "auto"   ? GuestLimits::WhenUsed::kAuto
                              : text == "true" ? GuestLimits::WhenUsed::kYes
                                               : GuestLimits::WhenUsed::kNo;
  }
  return absl::OkStatus();
}

std::string ClockText(absl::Time time, absl::Time now, absl::TimeZone zone) {
  const bool soon = time - now < absl::Hours(20);
  return absl::FormatTime(soon ? "%H:%M" : "%a %H:%M", time, zone);
}

bool LooksAtUse(const GuestLimits& limits, const MachineState& state) {
  return limits.pause_when_used == GuestLimits::WhenUsed::kYes ||
         (limits.pause_when_used == GuestLimits::WhenUsed::kAuto && state.desktop);
}

std::optional<Pause> DiskPause(const GuestLimits& limits, const MachineState& state) {
  if (state.free_disk < limits.keep_free) {
    return Pause{
        .why = Pause::Why::kDiskFull,
        .text = absl::StrCat("the disk is full: ", BytesInWords(state.free_disk),
                             " are free, and keep_free is ", BytesAsText(limits.keep_free, false),
                             "; it goes on when there is room")};
  }
  if (limits.max_disk != 0 && state.used_disk > limits.max_disk) {
    return Pause{.why = Pause::Why::kDiskFull,
                 .text = absl::StrCat("the member's folder has ", BytesInWords(state.used_disk),
                                      ", and max_disk is ", BytesAsText(limits.max_disk, false),
                                      "; raise it with `dure policy set max_disk SIZE`")};
  }
  return std::nullopt;
}

}  // namespace

const std::vector<GuestKey>& GuestKeys() {
  static const std::vector<GuestKey>& keys = *[] {
    auto* made = new std::vector<GuestKey>();
    for (const Row& row : kRows) made->push_back({row.name, row.limits, row.meaning});
    return made;
  }();
  return keys;
}

const GuestKey* FindGuestKey(std::string_view name) {
  for (const GuestKey& key : GuestKeys()) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

std::string GuestValue(const GuestLimits& limits, std::string_view key) {
  const Row& row = RowOf(key);
  if (const auto* count = std::get_if<uint32_t GuestLimits::*>(&row.value)) {
    return limits.**count == 0 && row.none != nullptr ? row.none : absl::StrCat(limits.**count);
  }
  if (const auto* bytes = std::get_if<uint64_t GuestLimits::*>(&row.value)) {
    return limits.**bytes == 0 && row.none != nullptr
               ? row.none
               : BytesAsText(limits.**bytes, row.kind == Kind::kRate);
  }
  if (const auto* flag = std::get_if<bool GuestLimits::*>(&row.value)) {
    return limits.**flag ? "true" : "false";
  }
  if (std::holds_alternative<Hours GuestLimits::*>(row.value)) return limits.hours.text();
  return limits.pause_when_used == GuestLimits::WhenUsed::kAuto  ? "auto"
         : limits.pause_when_used == GuestLimits::WhenUsed::kYes ? "true"
                                                                 : "false";
}

absl::Status SetGuestValue(std::string_view key, std::string_view text, GuestLimits* limits) {
  const Row& row = RowOf(key);
  GuestLimits changed = *limits;
  if (absl::Status wrong = ReadValue(row, std::string(text), &changed); !wrong.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(row.name, " = \"", Printable(text, 100), "\": it must be ", row.limits,
                     wrong.message().empty() ? "" : absl::StrCat(" (", wrong.message(), ")")));
  }
  *limits = std::move(changed);
  return absl::OkStatus();
}

std::string_view PauseWord(Pause::Why why) {
  switch (why) {
    case Pause::Why::kAsked:
      return "paused";
    case Pause::Why::kDiskFull:
      return "disk_full";
    case Pause::Why::kBattery:
      return "on_battery";
    case Pause::Why::kInUse:
      return "in_use";
    case Pause::Why::kHours:
      return "outside_hours";
  }
  return "";
}

std::optional<Pause> WhyPaused(const GuestLimits& limits, bool asked, const MachineState& state,
                               absl::TimeZone zone) {
  if (asked) {
    return Pause{.why = Pause::Why::kAsked,
                 .text = "paused by `dure client pause`, until `dure client resume`"};
  }
  if (std::optional<Pause> full = DiskPause(limits, state)) return full;
  if (limits.pause_on_battery && state.on_battery) {
    return Pause{.why = Pause::Why::kBattery,
                 .text =
                     "paused: this machine runs on battery; it goes on with mains power "
                     "(pause_on_battery)"};
  }
  if (!limits.hours.Contains(state.now, zone)) {
    const absl::Time until = limits.hours.NextChange(state.now, zone);
    return Pause{
        .why = Pause::Why::kHours,
        .text = absl::StrCat("paused until ", ClockText(until, state.now, zone),
                             ": outside the hours of this machine (", limits.hours.text(), ")"),
        .until = until};
  }
  const absl::Duration idle = absl::Minutes(limits.idle_minutes);
  if (LooksAtUse(limits, state) && state.last_used && state.now - *state.last_used < idle) {
    // A clock that was put back must not keep it paused for long.
    const absl::Time until = std::min(*state.last_used, state.now) + idle;
    return Pause{.why = Pause::Why::kInUse,
                 .text = absl::StrCat("paused: somebody uses this machine; it goes on when nobody "
                                      "has for ",
                                      Counted(limits.idle_minutes, "minute"), ", at ",
                                      ClockText(until, state.now, zone),
                                      " at the earliest (pause_when_used)"),
                 .until = until};
  }
  return std::nullopt;
}

bool EndsTraining(Pause::Why why) {
  return why == Pause::Why::kBattery || why == Pause::Why::kInUse;
}

}  // namespace dure
