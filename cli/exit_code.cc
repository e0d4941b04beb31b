#include "cli/exit_code.h"

#include <cstdio>
#include <string>

namespace dure::cli {

int Fail(const absl::Status& status, ExitCode code) {
  std::fprintf(stderr, "dure: %s\n", std::string(status.message()).c_str());
  return code;
}

int Fail(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded: return Fail(status, kUnreachable);
    case absl::StatusCode::kInvalidArgument: return Fail(status, kUsage);
    default: return Fail(status, kFailure);
  }
}

}  // namespace dure::cli
