// What people and scripts read about a run. Thread-safe: pure functions.
#ifndef DURE_CLI_RUN_REPORT_H_
#define DURE_CLI_RUN_REPORT_H_

#include <string>

#include "proto/control.pb.h"

namespace dure::cli {

// A few lines, each ending in a newline.
std::string StatusToText(const RunStatus& status);
// One JSON object, without a newline.
std::string StatusToJson(const RunStatus& status);
// What is said when all rounds are done: accuracy, epsilon and what it means, where the model is.
std::string EndOfRun(const RunStatus& status, const std::string& folder);

}  // namespace dure::cli

#endif  // DURE_CLI_RUN_REPORT_H_
