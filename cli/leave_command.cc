// dure leave: the end of a membership.
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/paragraph.h"
#include "cli/ask.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/node_folder.h"
#include "client/service/data_ledger_file.h"
#include "client/service/leaving.h"
#include "client/service/node.h"

namespace dure::cli {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(15);

struct LeaveFlags {
  std::string node = DefaultNodeFolder();
  bool purge = false;
  bool yes = false;
};

void PrintPlan(const Node& node, const LeaveFlags& flags, const ForgetPlan& plan) {
  std::printf("This ends the membership of \"%s\" in \"%s\" on this machine. Removed in %s:\n",
              node.membership.name.c_str(), node.spec.federation().name().c_str(),
              flags.node.c_str());
  for (const std::string& name : plan.files) {
    std::printf("  %s%s\n", name.c_str(),
                name.starts_with("private/") ? " (overwritten first)" : "");
  }
  if (!plan.kept.empty()) {
    std::printf("Kept there%s:\n",
                flags.purge ? ", as dure has not made it" : "; --purge removes it");
    for (const std::string& name : plan.kept) std::printf("  %s\n", name.c_str());
  }
  if (node.registration) {
    const absl::StatusOr<std::string> root = DataLedgersFolder();
    std::printf(
        "Kept: the data, and the ledger of what was learned of them, which leaving does not "
        "unlearn%s\n",
        root.ok()
            ? absl::StrCat(":\n  ", DataLedgerPath(*root, node.registration->identity)).c_str()
            : "");
  }
}

int RunLeave(const LeaveFlags& flags) {
  absl::StatusOr<Node> node = ReadNode(flags.node);
  if (!node.ok()) return Fail(node.status());
  const auto plan = [&] { return PlanForgetting(flags.node, flags.purge); };
  PrintPlan(*node, flags, plan());
  if (!flags.yes && !AskForYes("Leave?")) {
    return Fail(absl::PermissionDeniedError("not left; nothing was changed"), kRefused);
  }
  absl::StatusOr<FileLock> lock = StopClient(flags.node, kPatience);
  if (!lock.ok()) return Fail(lock.status(), kFailure);
  const absl::Status told = SayFarewell(*node, kPatience);
  if (!told.ok()) {
    std::fprintf(
        stderr,
        "dure: the coordinator could not be told (%s): write to the organiser, who ends the "
        "membership there with `dure revoke DIR %s`\n",
        OneLine(std::string(told.message())).c_str(), node->membership.name.c_str());
  }
  const ForgetPlan last = plan();  // the client may have written something meanwhile
  const size_t files = last.files.size();
  if (absl::Status forgotten = Forget(flags.node, last); !forgotten.ok()) {
    return Fail(forgotten, kFailure);
  }
  std::printf("left; %s removed%s\n", Counted(files, "file").c_str(),
              told.ok() ? ". The organiser can read it in the coordinator's log, and ends the "
                          "certificate with `dure revoke`"
                        : "");
  return kSuccess;
}

}  // namespace

void AddLeaveCommand(CLI::App& app, int* exit_code) {
  auto flags = std::make_shared<LeaveFlags>();
  CLI::App* command = AddCommand(
      app, "leave", "Ends a membership: stops the client, says goodbye, overwrites the keys",
      "dure leave --purge");
  AddNodeOption(command, &flags->node);
  command->add_flag("--purge", flags->purge,
                    "also removes terms, limits, the node's ledger, evidence and fetched files");
  command->add_flag("--yes", flags->yes, "leave without being asked");
  command->callback([flags, exit_code] { *exit_code = RunLeave(*flags); });
}

}  // namespace dure::cli
