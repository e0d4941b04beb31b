#include "cli/programs.h"

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

absl::StatusOr<int> RunProgram(const std::string& path, const std::vector<std::string>& arguments) {
  std::vector<char*> pointers = ArgumentPointers(path, arguments);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;  // of the signals that this process holds back
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t pid = 0;
  int error = ECANCELED;
  {
    std::lock_guard lock(starting);
    if (!ended) {
      error = posix_spawn(&pid, path.c_str(), nullptr, &attributes, pointers.data(), environ);
    }
    if (error == 0) running = pid;
  }
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return ErrnoStatus(error, absl::StrCat("cannot start ", path));
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
