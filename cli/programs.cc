#include "cli/programs.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <mutex>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "federation/suggest.h"

extern char** environ;

namespace dure::cli {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kPauseUs = 1000;

// What RunProgram waits for; 0: nothing.
std::atomic<pid_t> running = 0;
// Held while a program starts; `ended`: none does any more.
std::mutex starting;
bool ended = false;

// The folder above the one that holds this program.
fs::path Prefix() {
  std::error_code error;
  return fs::read_symlink("/proc/self/exe", error).parent_path().parent_path();
}

std::vector<char*> ArgumentPointers(const std::string& path,
                                    const std::vector<std::string>& arguments) {
  std::vector<char*> pointers = {const_cast<char*>(path.c_str())};
  for (const std::string& argument : arguments) {
    pointers.push_back(const_cast<char*>(argument.c_str()));
  }
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

absl::StatusOr<std::string> FindProgram(const std::string& name) {
  fs::path path = Prefix() / "libexec" / "dure" / name;
  if (!FileExists(path.string())) {
    return absl::NotFoundError(
        absl::StrCat("the program ", name, " is missing: it should be at ", path.string(),
                     "; build or install dure with LibTorch (DURE_TORCH=ON)"));
  }
  return path.string();
}

absl::StatusOr<std::string> FindExample(const std::string& example) {
  if (fs::is_regular_file(example)) return example;
  fs::path folder = Prefix() / "share" / "dure" / "examples";
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".toml") names.push_back(entry.path().stem().string());
  }
  if (std::find(names.begin(), names.end(), example) != names.end()) {
    return (folder / (example + ".toml")).string();
  }
  std::sort(names.begin(), names.end());
  return absl::NotFoundError(NoSuchWord("file or example", example, names));
}

namespace {

// Starts the program, with `output` in the place of standard output if it is valid. 0 or errno.
int Spawn(const std::string& path, const std::vector<std::string>& arguments, int output,
          pid_t* pid) {
  std::vector<char*> pointers = ArgumentPointers(path, arguments);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (output >= 0) posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;  // of the signals that this process holds back
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  int error = ECANCELED;
  {
    std::lock_guard lock(starting);
    if (!ended) {
      error = posix_spawn(pid, path.c_str(), &actions, &attributes, pointers.data(), environ);
    }
    if (error == 0) running = *pid;
  }
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

absl::StatusOr<int> AwaitProgram(const std::string& path, pid_t pid) {
  int status = 0;
  pid_t waited;
  while ((waited = waitpid(pid, &status, 0)) < 0 && errno == EINTR) {
  }
  running = 0;
  if (waited < 0) return ErrnoStatus(errno, absl::StrCat("lost ", path));
  if (!WIFEXITED(status)) {
    return absl::UnavailableError(absl::StrCat(path, " was ended by signal ", WTERMSIG(status)));
  }
  return WEXITSTATUS(status);
}

}  // namespace

absl::StatusOr<int> RunProgram(const std::string& path, const std::vector<std::string>& arguments) {
  pid_t pid = 0;
  const int error = Spawn(path, arguments, -1, &pid);
  if (error != 0) return ErrnoStatus(error, absl::StrCat("cannot start ", path));
  return AwaitProgram(path, pid);
}

absl::StatusOr<std::string> OutputOf(const std::string& path,
                                     const std::vector<std::string>& arguments, size_t max_bytes) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "cannot make a pipe");
  const FileDescriptor from(ends[0]);
  FileDescriptor to(ends[1]);
  pid_t pid = 0;
  const int error = Spawn(path, arguments, to.get(), &pid);
  if (error != 0) return ErrnoStatus(error, absl::StrCat("cannot start ", path));
  to.Close();
  std::string output;
  char part[4096];
  for (ssize_t got; (got = read(from.get(), part, sizeof(part))) != 0;) {
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) break;
    // What is too long is read to its end, so that the program ends.
    if (output.size() <= max_bytes) output.append(part, static_cast<size_t>(got));
  }
  DURE_ASSIGN_OR_RETURN(const int code, AwaitProgram(path, pid));
  if (code != 0) return absl::AbortedError(absl::StrCat(path, " failed, and said why"));
  if (output.size() <= max_bytes) return output;
  return absl::ResourceExhaustedError(absl::StrCat(path, " wrote more than ", max_bytes, " bytes"));
}

pid_t EndRunningProgram() {
  std::lock_guard lock(starting);
  ended = true;
  const pid_t pid = running;
  if (pid == 0) return 0;
  kill(pid, SIGKILL);
  while (running == pid) usleep(kPauseUs);
  return pid;
}

absl::Status BecomeProgram(const std::string& path, const std::vector<std::string>& arguments) {
  std::vector<char*> pointers = ArgumentPointers(path, arguments);
  execv(path.c_str(), pointers.data());
  return ErrnoStatus(errno, absl::StrCat("cannot start ", path));
}

}  // namespace dure::cli
