// `dure bench` is a program of its own, dure-bench: it needs nothing that other commands need.
#include <string>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/programs.h"

namespace dure::cli {

void AddBenchCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = AddCommand(
      app, "bench", "Measures dure's work beside this machine's limits: dure bench --help", "");
  command->prefix_command();
  command->set_help_flag();  // dure-bench has its own
  command->callback([command, exit_code] {
    absl::StatusOr<std::string> program = FindProgram("dure-bench");
    *exit_code =
        program.ok() ? Fail(BecomeProgram(*program, command->remaining())) : Fail(program.status());
  });
}

}  // namespace dure::cli
