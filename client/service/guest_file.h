// NODE/guest.json: what the owner of this machine has set of client/guest.h, with the day; what is
// not in it has its default. NODE/paused: `dure client pause` holds. Functions read and write those
// files; not thread-safe for one node.
//
//   {"limits": {"hours": {"value": "22:00-07:00", "origin": "set here 2026-11-23"}}}
#ifndef DURE_CLIENT_SERVICE_GUEST_FILE_H_
#define DURE_CLIENT_SERVICE_GUEST_FILE_H_

#include <map>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/guest.h"

namespace dure {

inline constexpr uint64_t kMaxGuestFileBytes = 1 << 14;

struct GuestFile {
  GuestLimits limits;
  std::map<std::string, std::string> origins;  // of those that are set
};

inline std::string GuestPath(const std::string& node_folder) { return node_folder + "/guest.json"; }

// DataLoss, naming `name` and the limit, for anything that cannot be understood.
absl::StatusOr<GuestFile> ParseGuestFile(std::string_view text, const std::string& name);
std::string GuestFileText(const GuestFile& file);

// Defaults if there is no such file.
absl::StatusOr<GuestFile> ReadGuestFile(const std::string& node_folder);
absl::Status WriteGuestFile(const std::string& node_folder, const GuestFile& file);

bool IsPausedHere(const std::string& node_folder);
absl::Status SetPausedHere(const std::string& node_folder, bool paused);

}  // namespace dure

#endif  // DURE_CLIENT_SERVICE_GUEST_FILE_H_
