// dure client pause|resume|install|uninstall: what the owner of a machine wants of the client that
// is a guest on it.
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "cli/client_unit.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/node_folder.h"
#include "client/service/guest_file.h"
#include "client/service/node.h"
#include "transport/control_socket.h"

namespace dure::cli {
namespace {

struct UnitFlags {
  std::string node = DefaultNodeFolder();
  std::string trainer;
  bool print = false;
};

int RunPause(const std::string& folder, bool paused) {
  if (absl::Status status = ReadNode(folder).status(); !status.ok()) return Fail(status);
  ControlRequest request;
  request.mutable_pause()->set_paused(paused);
  absl::StatusOr<ControlReply> reply = CallControl(PrivateFolder(folder), request);
  const bool runs = !absl::IsUnavailable(reply.status());
  if (runs && !reply.ok()) return Fail(reply.status());
  if (!runs) {
    if (absl::Status set = SetPausedHere(folder, paused); !set.ok()) return Fail(set, kFailure);
  }
  const char* when = runs ? "" : "; no client runs now, and it holds when one does";
  if (paused) {
    std::printf(
        "paused%s. What is under way is finished, and nothing is begun until `dure client "
        "resume`\n",
        when);
  } else {
    std::printf("no longer paused%s\n", when);
  }
  return kSuccess;
}

int RunInstall(const UnitFlags& flags) {
  absl::StatusOr<Node> node = ReadNode(flags.node);
  if (!node.ok()) return Fail(node.status());
  absl::StatusOr<ClientUnit> unit =
      MakeClientUnit(*node, {.trainer = flags.trainer, .default_folder = DefaultNodeFolder()});
  if (!unit.ok()) return Fail(unit.status(), kFailure);
  if (flags.print) {
    std::fputs(unit->text.c_str(), stdout);
    return kSuccess;
  }
  const std::string folder = unit->path.substr(0, unit->path.rfind('/'));
  absl::Status written = MakeFolder(folder);
  if (written.ok()) written = WriteFileAtomic(unit->path, unit->text);
  if (!written.ok()) return Fail(written, kFailure);
  std::printf("wrote %s\n", unit->path.c_str());
  for (const std::string& note : unit->notes) std::printf("note: %s\n", note.c_str());
  std::printf(
      "Nothing runs yet. To start it now, and with every session of yours:\n"
      "  systemctl --user daemon-reload\n"
      "  systemctl --user enable --now %s\n"
      "To let it run from the start of the machine, also while you are not logged in:\n"
      "  loginctl enable-linger\n"
      "What it says: journalctl --user --unit %s; how it stands: dure client status\n",
      unit->name.c_str(), unit->name.c_str());
  return kSuccess;
}

int RunUninstall(const UnitFlags& flags) {
  absl::StatusOr<std::string> path = ClientUnitPath(flags.node, DefaultNodeFolder());
  if (!path.ok()) return Fail(path.status(), kFailure);
  const std::string name = path->substr(path->rfind('/') + 1);
  if (!FileExists(*path)) {
    return Fail(absl::NotFoundError(absl::StrCat("there is no ", *path, ": nothing to remove")),
                kFailure);
  }
  if (unlink(path->c_str()) != 0) {
    return Fail(ErrnoStatus(errno, absl::StrCat("cannot remove ", *path)), kFailure);
  }
  std::printf(
      "removed %s\nIf it runs still, and for systemd to forget it:\n"
      "  systemctl --user disable --now %s\n  systemctl --user daemon-reload\n",
      path->c_str(), name.c_str());
  return kSuccess;
}

}  // namespace

void AddGuestCommands(CLI::App& client, const std::function<std::string()>& parents_node,
                      int* exit_code) {
  for (const bool paused : {true, false}) {
    auto folder = std::make_shared<std::string>(DefaultNodeFolder());
    const std::string name = paused ? "pause" : "resume";
    CLI::App* command = AddCommand(
        client, name,
        paused ? "Takes no part until resume, also after a restart; the client stays connected"
               : "Ends a pause",
        "dure client " + name);
    AddNodeOption(command, folder.get());
    command->callback([command, folder, parents_node, paused, exit_code] {
      *exit_code = RunPause(command->count("--node") == 0 ? parents_node() : *folder, paused);
    });
  }
  auto install = std::make_shared<UnitFlags>();
  CLI::App* command = AddCommand(
      client, "install", "Writes a systemd user unit that runs this client", "dure client install");
  AddNodeOption(command, &install->node);
  command->add_option("--trainer", install->trainer, "as for dure client");
  command->add_flag("--print", install->print, "prints the unit and writes nothing");
  command->callback([command, install, parents_node, exit_code] {
    if (command->count("--node") == 0) install->node = parents_node();
    *exit_code = RunInstall(*install);
  });
  auto uninstall = std::make_shared<UnitFlags>();
  command = AddCommand(client, "uninstall", "Removes the unit that install has written",
                       "dure client uninstall");
  AddNodeOption(command, &uninstall->node);
  command->callback([command, uninstall, parents_node, exit_code] {
    if (command->count("--node") == 0) uninstall->node = parents_node();
    *exit_code = RunUninstall(*uninstall);
  });
}

}  // namespace dure::cli
