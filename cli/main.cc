// dure: the one command that people type.
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string_view>

#include "cli/commands.h"
#include "cli/exit_code.h"

namespace dure::cli {

CLI::App* AddCommand(CLI::App& app, const std::string& name, const std::string& description,
                     const std::string& example) {
  CLI::App* command = app.add_subcommand(name, description);
  if (!example.empty()) command->footer("Example:\n  " + example);
  return command;
}

bool IsTerminal(int fd) {
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  return isatty(fd) == 1 && (no_color == nullptr || *no_color == '\0') &&
         (term == nullptr || std::string_view(term) != "dumb");
}

}  // namespace dure::cli

int main(int argc, char** argv) {
  using namespace dure::cli;
  // No other process of this user may read keys from this one's memory or core.
  prctl(PR_SET_DUMPABLE, 0);
  std::signal(SIGPIPE, SIG_IGN);

  CLI::App app(
      "dure: train one open model together, while everybody's data stays at home.\n"
      "Organisers: init, check, coordinator, invite, members, status. Members: join, data, client.",
      "dure");
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::simple);
  int exit_code = kSuccess;
  AddOrganiserCommands(app, &exit_code);
  AddMemberCommands(app, &exit_code);
  AddDataCommands(app, &exit_code);
  AddModelCommand(app, &exit_code);
  AddPrivacyCommands(app, &exit_code);
  AddVersionCommand(app, &exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // Help is no error; every mistake on the command line is a wrong usage.
    return app.exit(error) == 0 ? kSuccess : kUsage;
  }
  return exit_code;
}
