// dure preflight: one line a check.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>

#include "base/paragraph.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/node_folder.h"
#include "cli/programs.h"
#include "client/service/preflight.h"
#include "nlohmann/json.hpp"

namespace dure::cli {
namespace {

using json = nlohmann::ordered_json;

struct PreflightFlags {
  std::string node = DefaultNodeFolder();
  std::string trainer;
  bool as_json = false;
};

int RunPreflightCommand(const PreflightFlags& flags) {
  absl::StatusOr<std::string> program =
      flags.trainer.empty() ? FindProgram("dure-trainer") : flags.trainer;
  if (!program.ok()) return Fail(program.status());
  int failed = 0;
  json checks = json::array();
  RunPreflight({.node_folder = flags.node,
                .trainer_program = *program,
                .threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()))},
               [&](const PreflightCheck& check) {
                 failed += check.result == PreflightCheck::Result::kFail;
                 if (flags.as_json) {
                   checks.push_back({{"check", check.name},
                                     {"result", ResultWord(check.result)},
                                     {"text", check.text},
                                     {"remedy", check.remedy}});
                   return;
                 }
                 std::printf("%s  %-30s %s%s\n", ResultWord(check.result), check.name.c_str(),
                             OneLine(check.text).c_str(),
                             check.remedy.empty() ? "" : ("; " + OneLine(check.remedy)).c_str());
                 std::fflush(stdout);
               });
  if (flags.as_json) {
    std::printf("%s\n", json({{"ready", failed == 0}, {"checks", checks}})
                            .dump(-1, ' ', false, json::error_handler_t::replace)
                            .c_str());
  } else if (failed == 0) {
    std::printf("ready: `dure client` can take part\n");
  } else {
    std::printf("not ready: %s failed\n", Counted(static_cast<uint64_t>(failed), "check").c_str());
  }
  return failed == 0 ? kSuccess : kFailure;
}

}  // namespace

void AddPreflightCommand(CLI::App& app, int* exit_code) {
  auto flags = std::make_shared<PreflightFlags>();
  CLI::App* command = AddCommand(
      app, "preflight", "Tries everything that a client needs, with cause and remedy of what fails",
      "dure preflight");
  AddNodeOption(command, &flags->node);
  command->add_option("--trainer", flags->trainer, "as for dure client");
  command->add_flag("--json", flags->as_json, "one JSON object");
  command->callback([flags, exit_code] { *exit_code = RunPreflightCommand(*flags); });
}

}  // namespace dure::cli
