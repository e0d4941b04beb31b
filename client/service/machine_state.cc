#include "client/service/machine_state.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <string_view>
#include <system_error>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "client/service/login_idle.h"

namespace dure {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxSmallFile = 1 << 14;
constexpr size_t kMaxEntries = 10'000;  // of a folder that is looked at

std::vector<fs::path> EntriesOf(const std::string& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    entries.push_back(at->path());
    if (entries.size() >= kMaxEntries) break;
  }
  return entries;
}

std::string WordIn(const std::string& path) {
  absl::StatusOr<std::string> text = ReadFile(path, kMaxSmallFile);
  return text.ok() ? std::string(absl::StripAsciiWhitespace(*text)) : "";
}

bool OnBattery(const std::string& sys) {
  bool battery = false, discharging = false, mains = false, online = false;
  for (const fs::path& supply : EntriesOf(sys + "/class/power_supply")) {
    const std::string folder = supply.string();
    const std::string type = WordIn(folder + "/type");
    if (type == "Battery" || type == "UPS") {
      if (WordIn(folder + "/scope") == "Device") continue;  // of a mouse
      battery = true;
      discharging |= WordIn(folder + "/status") == "Discharging";
    } else if (type == "Mains" || type == "USB") {
      mains |= type == "Mains";
      online |= WordIn(folder + "/online") == "1";
    }
  }
  return battery && !online && (discharging || mains);
}

// Whether a file of logind is of a person at a screen of this machine.
bool IsAtScreen(const std::string& session) {
  absl::StatusOr<std::string> text = ReadFile(session, kMaxSmallFile);
  if (!text.ok()) return false;
  std::map<std::string, std::string> values;
  for (absl::string_view line : absl::StrSplit(*text, '\n')) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits('=', 1));
    if (parts.size() == 2) values[parts[0]] = parts[1];
  }
  return values["CLASS"] == "user" && !values["SEAT"].empty() && values["STATE"] != "closing";
}

bool SomebodyAtScreen(const std::string& run) {
  const std::vector<fs::path> sessions = EntriesOf(run + "/systemd/sessions");
  return std::any_of(sessions.begin(), sessions.end(),
                     [](const fs::path& path) { return IsAtScreen(path.string()); });
}

bool IsNumber(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::optional<absl::Time> NewestTyped(const std::string& dev) {
  std::optional<absl::Time> newest;
  const auto look = [&](const fs::path& path) {
    struct stat info;
    if (stat(path.c_str(), &info) != 0) return;
    const absl::Time typed = absl::TimeFromTimespec(info.st_atim);
    if (!newest || typed > *newest) newest = typed;
  };
  for (const fs::path& path : EntriesOf(dev)) {
    const std::string name = path.filename().string();
    if (name.starts_with("tty") && IsNumber(std::string_view(name).substr(3))) look(path);
  }
  for (const fs::path& path : EntriesOf(dev + "/pts")) {
    if (IsNumber(path.filename().string())) look(path);
  }
  return newest;
}

}  // namespace

MachinePlaces RealPlaces() { return {.login_idle = LoginIdleSince}; }

uint64_t BytesBelow(const std::string& folder) {
  uint64_t bytes = 0;
  std::error_code error;
  fs::recursive_directory_iterator at(folder, fs::directory_options::skip_permission_denied, error);
  for (size_t seen = 0; !error && at != fs::recursive_directory_iterator() && seen < kMaxEntries;
       at.increment(error), ++seen) {
    struct stat info;
    if (lstat(at->path().c_str(), &info) == 0 && S_ISREG(info.st_mode)) {
      bytes += static_cast<uint64_t>(info.st_size);
    }
  }
  return bytes;
}

uint64_t BytesFree(const std::string& path) {
  struct statvfs info;
  if (statvfs(path.c_str(), &info) != 0) return UINT64_MAX;
  return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
}

MachineState LookAtMachine(const std::string& node_folder, const GuestLimits& limits,
                           absl::Time now, const MachinePlaces& places) {
  MachineState state{.now = now};
  if (limits.pause_on_battery) state.on_battery = OnBattery(places.sys);
  if (limits.pause_when_used != GuestLimits::WhenUsed::kNo) {
    state.desktop = SomebodyAtScreen(places.run);
    if (state.desktop || limits.pause_when_used == GuestLimits::WhenUsed::kYes) {
      state.last_used = NewestTyped(places.dev);
    }
    if (state.desktop && places.login_idle) {
      const std::optional<absl::Time> since = places.login_idle(now);
      if (since && (!state.last_used || *since > *state.last_used)) state.last_used = since;
    }
  }
  state.free_disk = BytesFree(node_folder);
  if (limits.max_disk != 0) state.used_disk = BytesBelow(node_folder);
  return state;
}

}  // namespace dure
