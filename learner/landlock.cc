#include "learner/landlock.h"

#include <dirent.h>
#include <linux/landlock.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/file.h"

namespace dure {
namespace {

constexpr int kSignal = SIGURG;  // ignored by default, so that a late one does no harm
constexpr int kLooks = 2000;
constexpr unsigned kPauseUs = 1000;

// struct landlock_ruleset_attr as newer kernels have it.
struct Handled {
  uint64_t files = 0;
  uint64_t network = 0;
  uint64_t scoped = 0;
};

// What each version of the interface can forbid (kernel documentation, userspace-api/landlock).
Handled Everything(int version) {
  Handled handled{.files = (uint64_t{1} << 13) - 1};
  if (version >= 2) handled.files |= uint64_t{1} << 13;  // linking across folders
  if (version >= 3) handled.files |= uint64_t{1} << 14;  // truncation
  if (version >= 4) handled.network = 3;                 // bind and connect of TCP
  if (version >= 5) handled.files |= uint64_t{1} << 15;  // ioctl of devices
  if (version >= 6) handled.scoped = 3;                  // abstract Unix sockets, signals
  return handled;
}
size_t SizeOf(int version) { return version >= 6 ? 24 : version >= 4 ? 16 : 8; }

// Shared with the handler: one call at a time.
std::atomic<int> ruleset = -1;
std::atomic<int> restricted = 0;
std::atomic<int> failed = 0;

bool RestrictThisThread() {
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         syscall(SYS_landlock_restrict_self, ruleset.load(), 0) == 0;
}

void OnSignal(int) {
  const int kept = errno;
  if (!RestrictThisThread()) ++failed;
  ++restricted;
  errno = kept;
}

std::set<pid_t> Threads() {
  std::set<pid_t> threads;
  DIR* folder = opendir("/proc/self/task");
  if (folder == nullptr) return threads;
  while (const dirent* entry = readdir(folder)) {
    if (const int id = std::atoi(entry->d_name); id > 0) threads.insert(id);
  }
  closedir(folder);
  return threads;
}

// "" when all others are under it.
std::string RestrictOthers(pid_t self) {
  std::set<pid_t> asked = {self};
  int expected = 0;
  for (int look = 0; look < kLooks; ++look) {
    bool new_ones = false;
    for (const pid_t thread : Threads()) {
      if (!asked.insert(thread).second) continue;
      new_ones = true;
      if (syscall(SYS_tgkill, getpid(), thread, kSignal) == 0) ++expected;
    }
    // Threads that a restricted one started are under it, too.
    if (!new_ones && restricted >= expected) {
      return failed == 0 ? "" : "a thread could not be put under it";
    }
    usleep(kPauseUs);
  }
  return "a thread did not answer";
}

}  // namespace

std::string EnterLandlock() {
  const long version =
      syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < 1) return absl::StrCat("this kernel has no Landlock: ", std::strerror(errno));
  const Handled handled = Everything(static_cast<int>(version));
  const FileDescriptor rules(static_cast<int>(
      syscall(SYS_landlock_create_ruleset, &handled, SizeOf(static_cast<int>(version)), 0)));
  if (!rules.valid()) return absl::StrCat("Landlock cannot be used: ", std::strerror(errno));
  ruleset = rules.get();
  restricted = 0;
  failed = 0;
  struct sigaction action {
  }, former{};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  if (sigaction(kSignal, &action, &former) != 0) return std::strerror(errno);
  // The others first: under Landlock this thread could not look for them in /proc.
  std::string why = RestrictOthers(static_cast<pid_t>(syscall(SYS_gettid)));
  sigaction(kSignal, &former, nullptr);
  if (!RestrictThisThread() && why.empty()) {
    why = absl::StrCat("Landlock cannot be entered: ", std::strerror(errno));
  }
  return why;
}

}  // namespace dure
