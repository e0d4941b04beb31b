#include "learner/confined.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "learner/namespaces.h"

namespace dure {
namespace {

// The answer on the pipe: a status code in four bytes, then what was returned, or why not.
constexpr size_t kCodeBytes = sizeof(int32_t);

bool WriteAll(int fd, const char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t wrote = write(fd, bytes, size);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return false;
    bytes += wrote;
    size -= static_cast<size_t>(wrote);
  }
  return true;
}

absl::StatusOr<std::string> Work(const ConfinedOptions& options,
                                 const std::function<absl::StatusOr<std::string>()>& work) {
  for (const SandboxLayer& layer : EnterSandbox(options.sandbox)) {
    if (layer.applied || IsSpareLayer(layer.name)) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("this system has no sandbox for files of strangers (", layer.name, ": ",
                     layer.detail, ")"));
  }
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("it asks for more memory than there may be");
  }
}

[[noreturn]] void RunChild(int pipe, const ConfinedOptions& options,
                           const std::function<absl::StatusOr<std::string>()>& work) {
  signal(SIGPIPE, SIG_DFL);
  LeaveNamespaces();
  const absl::StatusOr<std::string> result = Work(options, work);
  const auto code = static_cast<int32_t>(result.status().code());
  const std::string text = result.ok() ? "" : std::string(result.status().message());
  const std::string& answer = result.ok() ? *result : text;
  const bool written = WriteAll(pipe, reinterpret_cast<const char*>(&code), kCodeBytes) &&
                       WriteAll(pipe, answer.data(), answer.size());
  // Without the static destructors of the libraries.
  _exit(written ? 0 : 1);
}

// Reads until the other end closes. DeadlineExceeded; ResourceExhausted above the limit.
absl::StatusOr<std::string> ReadAnswer(int fd, const std::string& what,
                                       const ConfinedOptions& options) {
  const absl::Time deadline = absl::Now() + options.timeout;
  std::string answer;
  for (;;) {
    const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
    pollfd entry = {.fd = fd, .events = POLLIN, .revents = 0};
    const int ready = poll(&entry, 1, static_cast<int>(std::clamp<int64_t>(left, 0, 3'600'000)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      return absl::DeadlineExceededError(
          absl::StrCat(what, ": it was not done after ", absl::FormatDuration(options.timeout)));
    }
    char buffer[1 << 16];
    const ssize_t got = read(fd, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return answer;
    answer.append(buffer, static_cast<size_t>(got));
    if (answer.size() > options.max_answer_bytes + kCodeBytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat(what, ": more than ", options.max_answer_bytes, " bytes came out"));
    }
  }
}

}  // namespace

absl::StatusOr<std::string> RunConfined(const std::string& what, const ConfinedOptions& options,
                                        const std::function<absl::StatusOr<std::string>()>& work) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "cannot make a pipe");
  const FileDescriptor reading(ends[0]);
  FileDescriptor writing(ends[1]);
  const pid_t child = fork();
  if (child < 0) return ErrnoStatus(errno, "cannot start a process");
  if (child == 0) RunChild(writing.get(), options, work);
  writing = FileDescriptor();
  absl::StatusOr<std::string> answer = ReadAnswer(reading.get(), what, options);
  if (!answer.ok()) kill(child, SIGKILL);
  int how = 0;
  while (waitpid(child, &how, 0) < 0 && errno == EINTR) {
  }
  if (!answer.ok()) return answer;
  if (answer->size() < kCodeBytes || !WIFEXITED(how) || WEXITSTATUS(how) != 0) {
    return absl::AbortedError(absl::StrCat(
        what, ": the process that read it ended ",
        WIFSIGNALED(how)
            ? absl::StrCat("by signal ", WTERMSIG(how), " (", strsignal(WTERMSIG(how)), ")")
            : "before it was done"));
  }
  int32_t code = 0;
  std::memcpy(&code, answer->data(), kCodeBytes);
  answer->erase(0, kCodeBytes);
  if (code == 0) return answer;
  return absl::Status(static_cast<absl::StatusCode>(code), *answer);
}

}  // namespace dure
