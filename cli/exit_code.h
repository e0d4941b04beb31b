// How a command ends: the exit codes that scripts rely on, and the one line that says why.
#ifndef DURE_CLI_EXIT_CODE_H_
#define DURE_CLI_EXIT_CODE_H_

#include <string>

#include "absl/status/status.h"

namespace dure::cli {

enum ExitCode {
  kSuccess = 0,
  kFailure = 1,
  kUsage = 2,        // the command line or the federation file is wrong
  kRefused = 3,      // by policy or budget
  kUnreachable = 4,  // nobody answers
};

// `text` without line breaks and other control characters, which file names may bring along.
std::string OneLine(std::string text);

// Prints "dure: MESSAGE" on standard error (with `--log json` an entry) and returns kFailure, or kUnreachable for Unavailable
// and DeadlineExceeded, kUsage for InvalidArgument.
int Fail(const absl::Status& status);
// The same with a code of the caller's choice.
int Fail(const absl::Status& status, ExitCode code);

}  // namespace dure::cli

#endif  // DURE_CLI_EXIT_CODE_H_
