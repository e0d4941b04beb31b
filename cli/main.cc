// dure: the one command that people type.
#include <sys/prctl.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/version.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "federation/suggest.h"
#include "transport/quiet.h"

namespace dure::cli {

CLI::App* AddCommand(CLI::App& app, const std::string& name, const std::string& description,
                     const std::string& example) {
  CLI::App* command = app.add_subcommand(name, description);
  if (!example.empty()) command->footer("Example:\n  " + example);
  return command;
}

CLI::Option* AddFolder(CLI::App* command, std::string& folder) {
  return command->add_option("DIR", folder, "the federation's folder")->required();
}

CLI::Validator WholeNumber(uint64_t least) {
  static constexpr uint64_t kMost = 1'000'000'000'000'000;
  return CLI::Validator(
      [least](std::string& text) -> std::string {
        uint64_t number = 0;
        if (absl::SimpleAtoi(text, &number) && number >= least && number <= kMost) return "";
        return absl::StrCat("\"", text, "\" is no whole number from ", least, " to ", kMost);
      },
      "");
}

namespace {

// The command whose arguments were wrong: the deepest that was recognised.
const CLI::App* Deepest(const CLI::App* app) {
  std::vector<CLI::App*> called = app->get_subcommands();
  return called.empty() ? app : Deepest(called.front());
}

std::string CommandLine(const CLI::App* app) {
  return app->get_parent() == nullptr ? app->get_name()
                                      : CommandLine(app->get_parent()) + " " + app->get_name();
}

// The first word that the command did not take; "" if it took all.
std::string Leftover(const CLI::App* command) {
  std::vector<std::string> words = command->remaining();
  return words.empty() ? "" : words.front();
}

// One line: what is wrong, and what to do next.
std::string FailureLine(const CLI::App* app, const CLI::Error& error) {
  const CLI::App* command = Deepest(app);
  std::vector<std::string> names;
  for (const CLI::App* below : command->get_subcommands({})) names.push_back(below->get_name());
  std::string what = error.what();
  const std::string leftover = Leftover(command);
  if (!leftover.empty() && leftover.front() != '-' && !names.empty()) {
    return absl::StrCat("dure: ", OneLine(NoSuchWord("command", leftover, names)), "\n");
  }
  if (!leftover.empty()) {
    what = absl::StrCat("the argument \"", leftover, "\" was not expected");
  } else if (error.get_name() == "RequiredError" && !names.empty()) {
    what = "a command is missing";
  }
  return absl::StrCat("dure: ", OneLine(what), "; see ", CommandLine(command), " --help\n");
}

// A variable of a script that is not set becomes an argument without letters; taken for a path it
// would be the root or the current folder.
bool HasEmptyArgument(int argc, char** argv) {
  return std::any_of(argv + 1, argv + argc, [](const char* word) { return *word == '\0'; });
}

}  // namespace
}  // namespace dure::cli

int main(int argc, char** argv) {
  using namespace dure::cli;
  // No other process of this user may read keys from this one's memory or core.
  prctl(PR_SET_DUMPABLE, 0);
  // A closed pipe and a file at its limit (ulimit -f) are errors of write(), here and in the
  // programs that this one starts.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);

  dure::QuietLibraries();  // an error is one line, and it is ours

  CLI::App app(
      "dure: train one open model together, while everybody's data stays at home.\n"
      "Organisers: init, check, coordinator, invite, members, status, statistics. Members: join, data, "
      "policy, terms, client. Researchers: simulate, report, privacy.",
      "dure");
  app.require_subcommand(1);
  app.failure_message(FailureLine);
  app.set_version_flag("--version", absl::StrCat("dure ", dure::kVersion));
  int exit_code = kSuccess;
  AddOrganiserCommands(app, &exit_code);
  AddFederationCommands(app, &exit_code);
  AddSignCommand(app, &exit_code);
  AddStatisticsCommand(app, &exit_code);
  AddBackupCommands(app, &exit_code);
  AddMemberCommands(app, &exit_code);
  AddDataCommands(app, &exit_code);
  AddPolicyCommand(app, &exit_code);
  AddPreflightCommand(app, &exit_code);
  AddLeaveCommand(app, &exit_code);
  AddTermsCommand(app, &exit_code);
  AddAuditCommands(app, &exit_code);
  AddModelCommand(app, &exit_code);
  AddSimulateCommand(app, &exit_code);
  AddReportCommand(app, &exit_code);
  AddPrivacyCommands(app, &exit_code);
  AddBenchCommand(app, &exit_code);
  AddVersionCommand(app, &exit_code);
  AddReferenceCommands(app, &exit_code);
  if (HasEmptyArgument(argc, argv)) {
    return Fail(absl::InvalidArgumentError("an argument is empty: write it, or leave it out"));
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // Help is no error; every mistake on the command line is a wrong usage.
    return app.exit(error) == 0 ? kSuccess : kUsage;
  }
  return exit_code;
}
