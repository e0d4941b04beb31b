// The commands of a program as data: what completion scripts and manual pages are made from, so
// that they say what --help says. Programs beside `dure` print theirs when they are called with the
// one argument kCommandTreeWord. Values without behaviour.
#ifndef DURE_BASE_COMMAND_TREE_H_
#define DURE_BASE_COMMAND_TREE_H_

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace dure {

// The one argument with which a program beside `dure` prints its tree.
inline constexpr std::string_view kCommandTreeWord = "--print-command-tree";
// Longest tree that is read.
inline constexpr size_t kMaxCommandTreeBytes = size_t{1} << 20;

struct CommandOption {
  std::vector<std::string> names;   // "-h", "--help"; of a positional its one name, "DIR"
  std::string type;                 // "TEXT", "INT"; empty for a flag
  std::vector<std::string> values;  // all that are allowed; empty: no such list
  std::string description;
  std::string default_value;
  bool positional = false;
  bool required = false;
  bool repeated = false;  // takes more than one value
};

struct CommandTree {
  std::string name;
  std::string description;
  std::string footer;  // with the examples
  std::vector<CommandOption> options;
  std::vector<CommandTree> commands;
};

// JSON, and back. InvalidArgument for what is no tree, or is longer than the limit.
std::string EncodeCommandTree(const CommandTree& tree);
absl::StatusOr<CommandTree> DecodeCommandTree(std::string_view text);

// The parts of a type as --help shows it: "TEXT:{member,evaluator}".
std::string TypeWord(std::string_view type);
std::vector<std::string> TypeValues(std::string_view type);

// The tree of a CLI::App; hidden commands and options (of the group "") are left out. A template,
// so that this room does not know CLI11.
template <typename App>
CommandTree CommandTreeOf(App& app) {
  CommandTree tree{
      .name = app.get_name(), .description = app.get_description(), .footer = app.get_footer()};
  for (auto* option : app.get_options()) {
    if (option->get_group().empty()) continue;
    CommandOption added{.description = option->get_description(),
                        .default_value = option->get_default_str(),
                        .positional = option->get_positional(),
                        .required = option->get_required(),
                        .repeated = option->get_expected_max() > 1};
    if (added.positional) {
      added.names.push_back(option->get_name(true));
    } else {
      for (const std::string& name : option->get_snames()) added.names.push_back("-" + name);
      for (const std::string& name : option->get_lnames()) added.names.push_back("--" + name);
    }
    if (option->get_type_size_max() > 0) {
      added.type = TypeWord(option->get_type_name());
      added.values = TypeValues(option->get_type_name());
    }
    tree.options.push_back(std::move(added));
  }
  for (auto* command : app.get_subcommands([](auto* any) { return !any->get_group().empty(); })) {
    tree.commands.push_back(CommandTreeOf(*command));
  }
  return tree;
}

// True if the program was asked for its tree, which has then been printed.
template <typename App>
bool PrintedCommandTree(int argc, char** argv, App& app) {
  if (argc != 2 || argv[1] != kCommandTreeWord) return false;
  std::fputs(EncodeCommandTree(CommandTreeOf(app)).c_str(), stdout);
  return true;
}

}  // namespace dure

#endif  // DURE_BASE_COMMAND_TREE_H_
