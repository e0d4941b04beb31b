// `dure simulate` is a program of its own, dure-simulate, because it needs LibTorch and MPI.
#include <string>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/programs.h"

namespace dure::cli {

void AddSimulateCommand(CLI::App& app, int* exit_code) {
  CLI::App* command =
      AddCommand(app, "simulate", "Runs a federation on this machine: dure simulate --help", "");
  command->prefix_command();
  command->set_help_flag();  // dure-simulate has its own
  command->callback([command, exit_code] {
    absl::StatusOr<std::string> program = FindProgram("dure-simulate");
    *exit_code =
        program.ok() ? Fail(BecomeProgram(*program, command->remaining())) : Fail(program.status());
  });
}

}  // namespace dure::cli
