// --log text|json, of the programs that run for long.
#ifndef DURE_CLI_LOG_FLAG_H_
#define DURE_CLI_LOG_FLAG_H_

#include <string>

#include "CLI/CLI.hpp"
#include "base/log.h"

namespace dure::cli {

inline void AddLogOption(CLI::App* command, std::string* format) {
  command
      ->add_option("--log", *format,
                   "text, or json: one object a line on standard error, docs/web.md")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
}

inline bool IsJsonLog(const std::string& format) { return format == "json"; }

}  // namespace dure::cli

#endif  // DURE_CLI_LOG_FLAG_H_
