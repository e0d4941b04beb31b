// Every command of `dure`, by who types it. Each Add… function adds its commands to `app`; the one
// that is called leaves its exit code in `exit_code`. Both arguments must outlive the parsing.
#ifndef DURE_CLI_COMMANDS_H_
#define DURE_CLI_COMMANDS_H_

#include <cstdint>
#include <functional>
#include <string>

#include "CLI/CLI.hpp"
#include "base/terminal.h"

namespace dure::cli {

// init, check, coordinator.
void AddOrganiserCommands(CLI::App& app, int* exit_code);
void AddCoordinatorCommand(CLI::App& app, int* exit_code);
// backup, restore.
void AddBackupCommands(CLI::App& app, int* exit_code);
// invite, members, revoke, status, pause, resume, stop.
void AddFederationCommands(CLI::App& app, int* exit_code);
// statistics.
void AddStatisticsCommand(CLI::App& app, int* exit_code);
// join.
void AddJoinCommand(CLI::App& app, int* exit_code);
// join, client.
void AddMemberCommands(CLI::App& app, int* exit_code);
// leave.
void AddLeaveCommand(CLI::App& app, int* exit_code);
// preflight.
void AddPreflightCommand(CLI::App& app, int* exit_code);
// pause, resume, install and uninstall below `client`; `parents_node` is its --node.
void AddGuestCommands(CLI::App& client, const std::function<std::string()>& parents_node,
                      int* exit_code);
// sign.
void AddSignCommand(CLI::App& app, int* exit_code);
// policy show|set.
void AddPolicyCommand(CLI::App& app, int* exit_code);
// terms show|approve|reject.
void AddTermsCommand(CLI::App& app, int* exit_code);
// data add|list|show|partition.
void AddDataCommands(CLI::App& app, int* exit_code);
// privacy epsilon|record|distributed|calibrate|graph.
void AddPrivacyCommands(CLI::App& app, int* exit_code);
// audit evidence.
void AddAuditCommands(CLI::App& app, int* exit_code);
// model …, which is a program of its own.
void AddModelCommand(CLI::App& app, int* exit_code);
// simulate, which is a program of its own.
void AddSimulateCommand(CLI::App& app, int* exit_code);
// report.
void AddReportCommand(CLI::App& app, int* exit_code);
// bench, which is a program of its own.
void AddBenchCommand(CLI::App& app, int* exit_code);
// version.
void AddVersionCommand(CLI::App& app, int* exit_code);
// completion, which describes all of the above, so that it comes last. `app` is borrowed.
void AddReferenceCommands(CLI::App& app, int* exit_code);

// Adds a command with an example, shown by --help.
CLI::App* AddCommand(CLI::App& app, const std::string& name, const std::string& description,
                     const std::string& example);

// Adds DIR, the folder of a federation.
CLI::Option* AddFolder(CLI::App* command, std::string& folder);

// A whole number from `least` to 10^15: what CLI11 alone would take also below 0, modulo 2^64.
CLI::Validator WholeNumber(uint64_t least);

}  // namespace dure::cli

#endif  // DURE_CLI_COMMANDS_H_
