// Which folder is the member's, for every command of a member.
#ifndef DURE_CLI_NODE_FOLDER_H_
#define DURE_CLI_NODE_FOLDER_H_

#include <cstdlib>
#include <string>

#include "CLI/CLI.hpp"

namespace dure::cli {

// $DURE_NODE, or .dure in the home folder.
inline std::string DefaultNodeFolder() {
  if (const char* node = std::getenv("DURE_NODE"); node != nullptr && *node != '\0') return node;
  const char* home = std::getenv("HOME");
  return std::string(home == nullptr ? "." : home) + "/.dure";
}

inline void AddNodeOption(CLI::App* command, std::string* folder) {
  command->add_option("--node", *folder, "the member's folder; $DURE_NODE changes the default")
      ->capture_default_str();
}

}  // namespace dure::cli

#endif  // DURE_CLI_NODE_FOLDER_H_
