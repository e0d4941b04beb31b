// Looks at this machine for the rules of client/guest.h. It works without a desktop and without
// systemd, and sees what it can:
//   - power: /sys/class/power_supply (supplies that are online, batteries that discharge; not those
//     of mice and keyboards),
//   - who is logged in at a screen: logind's files in /run/systemd/sessions,
//   - when somebody last typed: the newest access time of a terminal (/dev/tty1.., /dev/pts/..),
//     which the kernel sets when a program reads what was typed, and, while somebody is logged in
//     at a screen, logind's idle hint, which desktops keep. A desktop that keeps none is never
//     idle.
//   - the disk of the node's folder, and, under max_disk, what the folder holds.
// What cannot be read is as if it were not there. Thread-safe.
#ifndef DURE_CLIENT_SERVICE_MACHINE_STATE_H_
#define DURE_CLIENT_SERVICE_MACHINE_STATE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "client/guest.h"

namespace dure {

// Where to look; tests have other places.
struct MachinePlaces {
  std::string sys = "/sys";
  std::string dev = "/dev";
  std::string run = "/run";
  // Since when no session of logind is in use: `now` if one is. Nothing if logind does not answer.
  std::function<std::optional<absl::Time>(absl::Time now)> login_idle;
};
// logind is asked over D-Bus with libsystemd, where that is installed.
MachinePlaces RealPlaces();

MachineState LookAtMachine(const std::string& node_folder, const GuestLimits& limits,
                           absl::Time now, const MachinePlaces& places);

// Bytes of the files below `folder`.
uint64_t BytesBelow(const std::string& folder);
// Bytes that are free for this user on the disk of `path`; UINT64_MAX if nobody knows.
uint64_t BytesFree(const std::string& path);

}  // namespace dure

#endif  // DURE_CLIENT_SERVICE_MACHINE_STATE_H_
