// Completion scripts and manual pages, made from the commands themselves (base/command_tree.h).
// Pure functions of the tree; thread-safe.
#ifndef DURE_CLI_REFERENCE_H_
#define DURE_CLI_REFERENCE_H_

#include <map>
#include <string>

#include "base/command_tree.h"

namespace dure::cli {

// What is typed for the value of an option or an argument.
enum class ValueKind { kWord, kChoice, kFolder, kFile };
ValueKind KindOf(const CommandOption& option);

// A script to source in bash; works with the package bash-completion and without it.
std::string BashCompletion(const CommandTree& tree);
// A function for a folder of zsh's fpath, or to be sourced after compinit.
std::string ZshCompletion(const CommandTree& tree);

// One page a command, by file name ("dure-invite.1"), in the man macros of roff. `date` is
// YYYY-MM-DD.
std::map<std::string, std::string> ManualPages(const CommandTree& tree, const std::string& version,
                                               const std::string& date);

}  // namespace dure::cli

#endif  // DURE_CLI_REFERENCE_H_
