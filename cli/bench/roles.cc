#include "cli/bench/roles.h"

#include <sys/prctl.h>

#include <csignal>
#include <cstdio>

#include "absl/status/status.h"
#include "cli/exit_code.h"

namespace dure::bench {

namespace {

int Play(const std::vector<std::string>& arguments) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::signal(SIGINT, SIG_IGN);  // Ctrl-C is for the process that started this one
  std::signal(SIGPIPE, SIG_IGN);
  const std::vector<std::string> rest(arguments.begin() + 1, arguments.end());
  if (arguments[0] == kCoordinatorRole) return RunCoordinator(rest);
  if (arguments[0] == kMemberRole) return RunMember(rest);
  if (arguments[0] == kLoadMembersRole) return RunLoadMembers(rest);
  if (arguments[0] == kEncodeRole) return RunEncode(rest);
  if (arguments[0] == kStreamServerRole) return RunStreamServer(rest);
  if (arguments[0] == kStreamClientRole) return RunStreamClient(rest);
  return cli::kUsage;
}

}  // namespace

int RunRole(const std::vector<std::string>& arguments) {
  const int code = arguments.empty() ? cli::kUsage : Play(arguments);
  if (code == cli::kUsage) {
    return cli::Fail(absl::InvalidArgumentError(
        "\"role\" is what dure-bench tells itself; see dure bench --help"));
  }
  return code;
}

void Say(const std::string& line) {
  std::fprintf(stdout, "%s\n", line.c_str());
  std::fflush(stdout);
}

}  // namespace dure::bench
