// A question to the person at the terminal.
#ifndef DURE_CLI_ASK_H_
#define DURE_CLI_ASK_H_

#include <string>

namespace dure::cli {

// Asks on standard output, reads standard input: true for "yes" or "y". The end of input is a no.
bool AskForYes(const std::string& question);

}  // namespace dure::cli

#endif  // DURE_CLI_ASK_H_
