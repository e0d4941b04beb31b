#include "cli/client_unit.h"

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/printable.h"
#include "base/status_macros.h"
#include "client/service/data_ledger_file.h"
#include "client/service/guest_file.h"

namespace dure::cli {
namespace {

namespace fs = std::filesystem;

// Beside the trainer: the client itself, with what travels.
constexpr uint64_t kClientBytes = uint64_t{1} << 30;

absl::StatusOr<std::string> Absolute(const std::string& path) {
  std::error_code error;
  fs::path absolute = fs::absolute(path, error);
  if (error) return absl::FailedPreconditionError(absl::StrCat(path, ": ", error.message()));
  std::string text = absolute.lexically_normal().string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  for (unsigned char c : text) {
    if (std::iscntrl(c) != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", Printable(path), "\" has a control character: no unit can name it"));
    }
  }
  return text;
}

// Whether this user may have namespaces, as the unit's file system wants.
bool NamespacesWork() {
  const pid_t child = fork();
  if (child < 0) return false;
  if (child == 0) _exit(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 ? 0 : 1);
  int how = 0;
  while (waitpid(child, &how, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(how) && WEXITSTATUS(how) == 0;
}

std::string WithPercent(std::string_view text) {
  std::string out;
  for (char c : text) out += c == '%' ? std::string("%%") : std::string(1, c);
  return out;
}

}  // namespace

std::string QuotedForUnit(std::string_view word) {
  std::string out = "\"";
  for (char c : word) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '%' || c == '$') out += c;  // doubled
    out += c;
  }
  return out + "\"";
}

absl::StatusOr<std::string> ClientUnitPath(const std::string& node_folder,
                                           const std::string& default_folder) {
  const char* config = std::getenv("XDG_CONFIG_HOME");
  const char* home = std::getenv("HOME");
  std::string folder;
  if (config != nullptr && *config == '/') {
    folder = config;
  } else if (home != nullptr && *home != '\0') {
    folder = absl::StrCat(home, "/.config");
  } else {
    return absl::FailedPreconditionError("$HOME is not set: systemd looks for units there");
  }
  DURE_ASSIGN_OR_RETURN(const std::string node, Absolute(node_folder));
  DURE_ASSIGN_OR_RETURN(const std::string usual, Absolute(default_folder));
  std::string name = "dure-client";
  if (node != usual) {
    name += '-';
    for (unsigned char c : node.substr(node.rfind('/') + 1)) {
      name += std::isalnum(c) != 0 || c == '_' ? static_cast<char>(c) : '-';
    }
  }
  return absl::StrCat(folder, "/systemd/user/", name, ".service");
}

absl::StatusOr<ClientUnit> MakeClientUnit(const Node& node, const ClientUnitOptions& options) {
  ClientUnit unit;
  DURE_ASSIGN_OR_RETURN(unit.path, ClientUnitPath(node.folder, options.default_folder));
  unit.name = unit.path.substr(unit.path.rfind('/') + 1);
  DURE_ASSIGN_OR_RETURN(const std::string folder, Absolute(node.folder));
  DURE_ASSIGN_OR_RETURN(const std::string ledgers, DataLedgersFolder());
  DURE_ASSIGN_OR_RETURN(const GuestFile guest, ReadGuestFile(node.folder));
  std::error_code error;
  const std::string program = fs::read_symlink("/proc/self/exe", error).string();
  if (error) return absl::FailedPreconditionError("cannot find this program in /proc");
  std::string command =
      absl::StrCat(QuotedForUnit(program), " client --node ", QuotedForUnit(folder));
  if (!options.trainer.empty()) {
    DURE_ASSIGN_OR_RETURN(const std::string trainer, Absolute(options.trainer));
    absl::StrAppend(&command, " --trainer ", QuotedForUnit(trainer));
  }
  std::string places;
  if (NamespacesWork()) {
    places = absl::StrCat(
        "# Nothing can be written but the member's folder and the ledgers of its data. /dev stays "
        "as "
        "it is:\n# its terminals say whether somebody uses the machine.\n"
        "PrivateUsers=yes\nProtectSystem=strict\nProtectHome=read-only\nPrivateTmp=yes\n"
        "ReadWritePaths=",
        QuotedForUnit(folder), " -", QuotedForUnit(ledgers), "\n");
  } else {
    unit.notes.push_back(
        "this system allows no user namespaces: the unit has no file system of its own");
  }
  unit.text = absl::StrCat(
      "# Written by `dure client install`; `dure client uninstall` removes it.\n"
      "[Unit]\nDescription=dure: takes part in \"",
      WithPercent(Printable(node.spec.federation().name())),
      "\"\nDocumentation=man:dure(1)\nStartLimitIntervalSec=0\n\n"
      "[Service]\nType=exec\nExecStart=",
      command,
      "\n# 0: the run is over. 2 and 3: somebody has to decide something.\n"
      "Restart=on-failure\nRestartSec=60\nRestartPreventExitStatus=2 3\n"
      "TimeoutStopSec=30\nUMask=0077\n\n"
      "# What others leave of the machine.\n"
      "Nice=10\nIOSchedulingClass=idle\nCPUWeight=20\nTasksMax=512\n"
      "# The trainer's max_memory and 1 GB. A trainer that is ended for it costs a round, no "
      "more.\n"
      "MemoryMax=",
      guest.limits.max_memory + kClientBytes, "\nOOMPolicy=continue\nLimitCORE=0\n\n", places,
      "NoNewPrivileges=yes\nLockPersonality=yes\nMemoryDenyWriteExecute=yes\n"
      "RestrictRealtime=yes\nRestrictSUIDSGID=yes\n"
      "# The trainer leaves the network for namespaces of its own.\n"
      "RestrictNamespaces=user net ipc uts\n"
      "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK\n"
      "SystemCallArchitectures=native\nSystemCallFilter=@system-service landlock_create_ruleset "
      "landlock_restrict_self seccomp\n"
      "SystemCallErrorNumber=EPERM\n\n"
      "[Install]\nWantedBy=default.target\n");
  return unit;
}

}  // namespace dure::cli
