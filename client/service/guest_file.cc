#include "client/service/guest_file.h"

#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/printable.h"
#include "base/status_macros.h"
#include "federation/suggest.h"
#include "nlohmann/json.hpp"

namespace dure {
namespace {

using json = nlohmann::ordered_json;

constexpr size_t kMaxOriginBytes = 100;
constexpr char kSetHere[] = "set here";

std::string PausedPath(const std::string& node_folder) { return node_folder + "/paused"; }

}  // namespace

absl::StatusOr<GuestFile> ParseGuestFile(std::string_view text, const std::string& name) {
  const auto damaged = [&](absl::string_view why) {
    return absl::DataLossError(absl::StrCat(name, " is damaged: ", why));
  };
  const json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto limits = object.is_object() ? object.find("limits") : object.end();
  if (!object.is_object() || limits == object.end() || !limits->is_object()) {
    return damaged("it has no \"limits\"");
  }
  GuestFile file;
  for (const auto& [key, limit] : limits->items()) {
    if (FindGuestKey(key) == nullptr) {
      std::vector<std::string> names;
      for (const GuestKey& known : GuestKeys()) names.push_back(known.name);
      return damaged(Printable(NoSuchWord("limit", key, names)));
    }
    const auto value = limit.is_object() ? limit.find("value") : limit.end();
    if (!limit.is_object() || value == limit.end() || !value->is_string()) {
      return damaged(absl::StrCat("\"", key, "\" has no \"value\" in quotes"));
    }
    const absl::Status set = SetGuestValue(key, value->get<std::string>(), &file.limits);
    if (!set.ok()) return damaged(set.message());
    const auto origin = limit.find("origin");
    file.origins[key] = origin != limit.end() && origin->is_string()
                            ? Printable(origin->get<std::string>(), kMaxOriginBytes)
                            : kSetHere;
  }
  return file;
}

std::string GuestFileText(const GuestFile& file) {
  json written = {{"limits", json::object()}};
  for (const auto& [key, origin] : file.origins) {
    written["limits"][key] = {{"value", GuestValue(file.limits, key)}, {"origin", origin}};
  }
  return written.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

absl::StatusOr<GuestFile> ReadGuestFile(const std::string& node_folder) {
  const std::string path = GuestPath(node_folder);
  absl::StatusOr<std::string> text = ReadFile(path, kMaxGuestFileBytes);
  if (absl::IsNotFound(text.status())) return GuestFile();
  DURE_RETURN_IF_ERROR(text.status());
  return ParseGuestFile(*text, path);
}

absl::Status WriteGuestFile(const std::string& node_folder, const GuestFile& file) {
  return WriteFileAtomic(GuestPath(node_folder), GuestFileText(file), 0600);
}

bool IsPausedHere(const std::string& node_folder) { return FileExists(PausedPath(node_folder)); }

absl::Status SetPausedHere(const std::string& node_folder, bool paused) {
  const std::string path = PausedPath(node_folder);
  if (paused) return WriteFileAtomic(path, "by `dure client pause`\n", 0600);
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("cannot remove ", path));
}

}  // namespace dure
