// `dure completion`, and the hidden `dure manual` with which an installation makes its pages.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/command_tree.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "base/version.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/programs.h"
#include "cli/reference.h"

namespace dure::cli {
namespace {

// Commands that are programs of their own.
constexpr const char* kPrograms[] = {"model", "simulate", "bench"};

// Puts what the program says of itself in the place of the command that starts it. Commands that
// `dure` handles itself stay.
void Adopt(CommandTree program, CommandTree* command) {
  command->description = std::move(program.description);
  command->footer = std::move(program.footer);
  command->options = std::move(program.options);
  for (CommandTree& below : program.commands) {
    const bool known = std::any_of(command->commands.begin(), command->commands.end(),
                                   [&](const CommandTree& own) { return own.name == below.name; });
    if (!known) command->commands.push_back(std::move(below));
  }
}

// The whole tree. A program that is not installed has no options in it.
absl::StatusOr<CommandTree> WholeTree(CLI::App& app) {
  CommandTree tree = CommandTreeOf(app);
  for (CommandTree& command : tree.commands) {
    if (std::find(std::begin(kPrograms), std::end(kPrograms), command.name) ==
        std::end(kPrograms)) {
      continue;
    }
    const absl::StatusOr<std::string> path = FindProgram("dure-" + command.name);
    if (!path.ok()) continue;
    DURE_ASSIGN_OR_RETURN(const std::string text,
                          OutputOf(*path, {std::string(kCommandTreeWord)}, kMaxCommandTreeBytes));
    DURE_ASSIGN_OR_RETURN(CommandTree program, DecodeCommandTree(text));
    Adopt(std::move(program), &command);
  }
  return tree;
}

struct ReferenceFlags {
  std::string shell, out, date;
};

int RunCompletion(CLI::App& app, const ReferenceFlags& flags) {
  const absl::StatusOr<CommandTree> tree = WholeTree(app);
  if (!tree.ok()) return Fail(tree.status());
  const std::string script = flags.shell == "bash" ? BashCompletion(*tree) : ZshCompletion(*tree);
  std::fputs(script.c_str(), stdout);
  return kSuccess;
}

absl::Status WriteManual(CLI::App& app, const ReferenceFlags& flags) {
  DURE_ASSIGN_OR_RETURN(const CommandTree tree, WholeTree(app));
  DURE_RETURN_IF_ERROR(MakeFolder(flags.out));
  const std::string date = flags.date.empty()
                               ? absl::FormatTime("%Y-%m-%d", absl::Now(), absl::UTCTimeZone())
                               : flags.date;
  for (const auto& [name, page] : ManualPages(tree, kVersion, date)) {
    DURE_RETURN_IF_ERROR(WriteFileAtomic(absl::StrCat(flags.out, "/", name), page));
  }
  return absl::OkStatus();
}

}  // namespace

void AddReferenceCommands(CLI::App& app, int* exit_code) {
  auto flags = std::make_shared<ReferenceFlags>();
  CLI::App* command =
      AddCommand(app, "completion", "Prints what completes these commands in a shell",
                 "source <(dure completion bash)\n"
                 "  dure completion zsh > ~/.zfunc/_dure");
  command->add_option("SHELL", flags->shell, "bash or zsh")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh"}));
  command->callback([&app, flags, exit_code] { *exit_code = RunCompletion(app, *flags); });

  command = AddCommand(app, "manual", "Writes the manual pages of these commands",
                       "dure manual --out man1");
  command->group("");  // for installations
  command->add_option("--out", flags->out, "the folder to write")->required();
  command->add_option("--date", flags->date, "YYYY-MM-DD of the pages; default: today");
  command->callback([&app, flags, exit_code] {
    const absl::Status written = WriteManual(app, *flags);
    *exit_code = written.ok() ? kSuccess : Fail(written);
  });
}

}  // namespace dure::cli
