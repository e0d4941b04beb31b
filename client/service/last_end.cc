#include "client/service/last_end.h"

#include <unistd.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/printable.h"

namespace dure {
namespace {

constexpr size_t kMaxBytes = 1500;

std::string PathOf(const std::string& node_folder) { return node_folder + "/ended"; }

}  // namespace

void KeepLastEnd(const std::string& node_folder, std::string_view why, absl::Time now) {
  WriteFileAtomic(PathOf(node_folder),
                  absl::StrCat(absl::FormatTime("%Y-%m-%d %H:%M UTC", now, absl::UTCTimeZone()),
                               ": ", Printable(why, kMaxBytes - 100), "\n"),
                  0600)
      .IgnoreError();
}

void ForgetLastEnd(const std::string& node_folder) { unlink(PathOf(node_folder).c_str()); }

std::string LastEnd(const std::string& node_folder) {
  const absl::StatusOr<std::string> text = ReadFile(PathOf(node_folder), kMaxBytes);
  if (!text.ok()) return "";
  return Printable(std::string(absl::StripAsciiWhitespace(*text)), kMaxBytes);
}

}  // namespace dure
