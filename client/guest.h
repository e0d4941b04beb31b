// What a client may take of the machine that it is a guest on, and when it takes nothing: limits of
// the machine's owner, which no coordinator sees or sets, and the rules that say why it pauses and
// until when. How the machine is doing is looked up elsewhere (client/service/machine_state.h).
// Thread-safe: values and pure functions.
#ifndef DURE_CLIENT_GUEST_H_
#define DURE_CLIENT_GUEST_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/hours.h"

namespace dure {

struct GuestLimits {
  enum class WhenUsed { kAuto, kYes, kNo };

  uint32_t max_threads = 0;                  // of the trainer; 0: as many as the machine has
  uint64_t max_memory = uint64_t{8} << 30;   // of the trainer, in bytes
  uint64_t max_upload = 0;                   // bytes a second; 0: no limit
  uint64_t max_download = 0;                 // bytes a second; 0: no limit
  uint64_t max_disk = 0;                     // bytes of the node's folder; 0: no limit
  uint64_t keep_free = uint64_t{100} << 20;  // bytes that stay free on its disk
  Hours hours;
  bool pause_on_battery = true;
  WhenUsed pause_when_used = WhenUsed::kAuto;  // auto: if somebody is logged in at a screen
  uint32_t idle_minutes = 10;                  // unused for so long, the machine is free

  friend bool operator==(const GuestLimits&, const GuestLimits&) = default;
};

// The limits by name, for `dure policy` and for the file.
struct GuestKey {
  std::string name;     // "max_threads"
  std::string limits;   // what it may be, in words
  std::string meaning;  // for people, a few words
};
const std::vector<GuestKey>& GuestKeys();
// nullptr if there is none of that name.
const GuestKey* FindGuestKey(std::string_view name);
// The value as text: "2", "8GB", "1Mbit", "22:00-07:00", "auto", "none". Precondition of this and
// the next: `key` is the name of a limit.
std::string GuestValue(const GuestLimits& limits, std::string_view key);
// InvalidArgument, naming the limit, what it may be and what was given.
absl::Status SetGuestValue(std::string_view key, std::string_view text, GuestLimits* limits);

// How the machine is doing.
struct MachineState {
  absl::Time now;
  bool on_battery = false;
  bool desktop = false;                 // somebody is logged in at a screen of this machine
  std::optional<absl::Time> last_used;  // newest sign of somebody at a keyboard; absent: none
  uint64_t free_disk = UINT64_MAX;      // bytes free on the disk of the node's folder
  uint64_t used_disk = 0;               // bytes in the node's folder
};

// Why this member is not to be asked.
struct Pause {
  enum class Why { kAsked, kDiskFull, kBattery, kInUse, kHours };
  Why why = Why::kAsked;
  std::string text;                           // a sentence for people
  absl::Time until = absl::InfiniteFuture();  // if it is known
};
// "paused", "disk_full", "on_battery", "in_use", "outside_hours": words for scripts.
std::string_view PauseWord(Pause::Why why);

// Nothing: the machine may be used. `asked`: `dure client pause` holds.
std::optional<Pause> WhyPaused(const GuestLimits& limits, bool asked, const MachineState& state,
                               absl::TimeZone zone);

// A training under way goes on through a pause, which it does not outlast by much, but for these
// reasons: then it ends kPauseGrace after the pause began, and the round gets noise alone.
bool EndsTraining(Pause::Why why);
inline constexpr absl::Duration kPauseGrace = absl::Minutes(1);

}  // namespace dure

#endif  // DURE_CLIENT_GUEST_H_
