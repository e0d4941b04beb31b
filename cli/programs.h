// Programs that need LibTorch are beside `dure`, in ../libexec/dure, found through /proc/self/exe,
// so that an installation can be moved. Thread-safe.
#ifndef DURE_CLI_PROGRAMS_H_
#define DURE_CLI_PROGRAMS_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace dure::cli {

// The path of a program in libexec. NotFound, naming the place, if it is not there.
absl::StatusOr<std::string> FindProgram(const std::string& name);

// The path of an example federation file: `example` itself if it is a file, else the example of
// that name that came with dure. NotFound, with the names there are.
absl::StatusOr<std::string> FindExample(const std::string& example);

// Runs a program and waits. `arguments` without the program's name. Returns its exit code, or
// Unavailable if it cannot be started or was ended by a signal.
absl::StatusOr<int> RunProgram(const std::string& path, const std::vector<std::string>& arguments);

// Runs a program and gives what it wrote on standard output, if it ended well. Aborted if it did
// not, having said why on standard error; ResourceExhausted if it writes more than `max_bytes`.
absl::StatusOr<std::string> OutputOf(const std::string& path,
                                     const std::vector<std::string>& arguments, size_t max_bytes);

// Ends the program that another thread runs, and lets none start any more; its process id, or 0.
pid_t EndRunningProgram();

// Becomes the program; returns only if that fails.
absl::Status BecomeProgram(const std::string& path, const std::vector<std::string>& arguments);

}  // namespace dure::cli

#endif  // DURE_CLI_PROGRAMS_H_
