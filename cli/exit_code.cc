#include "cli/exit_code.h"

#include <algorithm>
#include <cstdio>
#include <string>

#include "absl/strings/ascii.h"
#include "base/log.h"

namespace dure::cli {

std::string OneLine(std::string text) {
  std::replace_if(
      text.begin(), text.end(),
      [](char c) { return absl::ascii_iscntrl(static_cast<unsigned char>(c)); }, ' ');
  return text;
}

int Fail(const absl::Status& status, ExitCode code) {
  const std::string line = OneLine(std::string(status.message()));
  if (CurrentLogFormat() == LogFormat::kJson) {
    LogError(line);
  } else {
    std::fprintf(stderr, "dure: %s\n", line.c_str());
  }
  return code;
}

int Fail(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return Fail(status, kUnreachable);
    case absl::StatusCode::kInvalidArgument:
      return Fail(status, kUsage);
    default:
      return Fail(status, kFailure);
  }
}

}  // namespace dure::cli
