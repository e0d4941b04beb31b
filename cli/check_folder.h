// dure coordinator DIR --check.
#ifndef DURE_CLI_CHECK_FOLDER_H_
#define DURE_CLI_CHECK_FOLDER_H_

#include <string>

namespace dure::cli {

// Prints a line a check, or one JSON object; the exit code.
int CheckFolder(const std::string& folder, bool as_json);

}  // namespace dure::cli

#endif  // DURE_CLI_CHECK_FOLDER_H_
