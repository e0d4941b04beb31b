#include "cli/bench/child.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/bench/roles.h"
#include "cli/bench/timing.h"

extern char** environ;

namespace dure::bench {
namespace {

namespace fs = std::filesystem;

constexpr int kPollMs = 100;

std::string LogPath(const Settings& settings) { return settings.folder + "/log"; }

std::string LastLineOf(const std::string& path) {
  std::ifstream file(path);
  std::string last;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) last = line;
  }
  return last;
}

}  // namespace

std::string OwnPath() {
  std::error_code error;
  return fs::read_symlink("/proc/self/exe", error).string();
}

std::string DurePath() {
  return (fs::path(OwnPath()).parent_path().parent_path().parent_path() / "bin" / "dure").string();
}

absl::StatusOr<std::unique_ptr<Child>> Child::Start(const Settings& settings,
                                                    const std::string& program,
                                                    const std::vector<std::string>& arguments) {
  std::vector<char*> pointers = {const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) {
    pointers.push_back(const_cast<char*>(argument.c_str()));
  }
  pointers.push_back(nullptr);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "cannot make a pipe");
  FileDescriptor read_end(ends[0]), write_end(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDOUT_FILENO);
  const std::string log = LogPath(settings);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log.c_str(),
                                   O_WRONLY | O_CREAT | O_APPEND, 0600);
  pid_t pid = 0;
  int error = posix_spawn(&pid, program.c_str(), &actions, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return ErrnoStatus(error, absl::StrCat("cannot start ", program));
  return std::unique_ptr<Child>(new Child(settings, pid, std::move(read_end)));
}

absl::StatusOr<std::unique_ptr<Child>> Child::StartRole(const Settings& settings,
                                                        const std::string& role,
                                                        const std::vector<std::string>& arguments) {
  std::vector<std::string> all = {kRoleWord, role};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return Start(settings, OwnPath(), all);
}

Child::~Child() {
  if (ended_) return;
  kill(pid_, SIGKILL);
  Wait();
}

int Child::Wait() {
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  ended_ = true;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

absl::StatusOr<std::string> Child::ReadLine(absl::Duration timeout) {
  const double deadline = Now() + absl::ToDoubleSeconds(timeout);
  for (;;) {
    if (size_t end = pending_.find('\n'); end != std::string::npos) {
      std::string line = pending_.substr(0, end);
      pending_.erase(0, end + 1);
      return line;
    }
    if (settings_.stop->Requested()) return absl::CancelledError("stopped");
    if (Now() >= deadline) {
      return absl::DeadlineExceededError(absl::StrCat(
          "a process of the benchmark said nothing for ", absl::FormatDuration(timeout),
          "; its last words: ", LastLineOf(LogPath(settings_))));
    }
    pollfd ready{.fd = output_.get(), .events = POLLIN, .revents = 0};
    if (poll(&ready, 1, kPollMs) <= 0) continue;
    char buffer[4096];
    ssize_t got = read(output_.get(), buffer, sizeof(buffer));
    if (got <= 0) {
      return absl::UnavailableError(
          absl::StrCat("a process of the benchmark has ended: ", LastLineOf(LogPath(settings_))));
    }
    pending_.append(buffer, static_cast<size_t>(got));
  }
}

uint64_t Child::Memory(const std::string& which) const {
  std::ifstream file(absl::StrCat("/proc/", pid_, "/status"));
  for (std::string line; std::getline(file, line);) {
    if (line.compare(0, which.size() + 1, which + ":") == 0) {
      return std::strtoull(line.c_str() + which.size() + 1, nullptr, 10) * 1024;
    }
  }
  return 0;
}

double Child::CpuSeconds() const {
  clockid_t clock;
  timespec time;
  if (clock_getcpuclockid(pid_, &clock) != 0 || clock_gettime(clock, &time) != 0) return 0;
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

}  // namespace dure::bench
