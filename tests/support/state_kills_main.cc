// Kills a run at every operation on its disk, and at random, and looks at what is left:
//
//   state_kills LIBRARY [--rounds N] [--random N] [--seed S]
//
// LIBRARY is kill_at.cc. For every K the run of tests/support/quick_run.h begins in a new folder
// and dies at operation K; odd numbers tear that write. Then --check must pass, what was told
// before must be a prefix of the history, and the run must come to its end. At random: one folder,
// in which a run is killed again and again at any moment. The last line says how many there were.
//
//   state_kills go FOLDER UNTIL
//
// is the run itself, which prints what is told.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "coordinator/service/folder_check.h"
#include "coordinator/service/store.h"
#include "tests/support/quick_run.h"

extern char** environ;

namespace dure {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kEnd = std::numeric_limits<uint32_t>::max();
constexpr uint32_t kRoundsAfterwards = 10;
constexpr uint32_t kRandomRounds = 20'000;  // more than there is time for
constexpr char kInMemory[] = "/dev/shm";
constexpr uint64_t kMaxToldBytes = 16 << 20;

// Removed in the end, whatever the end.
std::string& Folder() {
  static std::string folder;
  return folder;
}

[[noreturn]] void Die(const std::string& what) {
  std::error_code ignored;
  if (!Folder().empty()) fs::remove_all(Folder(), ignored);
  std::fprintf(stderr, "state_kills: %s\n", what.c_str());
  std::exit(1);
}
void OrDie(const absl::Status& status, const std::string& where) {
  if (!status.ok()) Die(absl::StrCat(where, ": ", status.message()));
}

// One line at once, so that it is there even if the process ends after it.
void Print(const std::string& line) {
  const std::string text = line + "\n";
  if (write(STDOUT_FILENO, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    std::_Exit(1);
  }
}

int Go(const std::string& folder, const std::string& until) {
  uint32_t rounds = 0;
  if (!absl::SimpleAtoi(until, &rounds)) Die("no number: " + until);
  const absl::Status status = testing::GoOnQuickly(folder, rounds, Print);
  if (status.ok()) return 0;
  std::fprintf(stderr, "state_kills: %s\n", std::string(status.message()).c_str());
  return 1;
}

class Killer {
 public:
  Killer(std::string program, std::string library)
      : program_(std::move(program)), library_(std::move(library)) {
    // In memory, where there is such a place: what is seen is the order of operations, not the
    // disk.
    const bool memory = access(kInMemory, W_OK) == 0;
    std::string made =
        (memory ? fs::path(kInMemory) : fs::temp_directory_path()) / "state-kills-XXXXXX";
    if (mkdtemp(made.data()) == nullptr) Die("no folder");
    dir_ = fs::canonical(made);
    Folder() = dir_;
    setenv("TMPDIR", dir_.c_str(), 1);
  }
  ~Killer() { fs::remove_all(dir_); }

  std::string Path(const std::string& name) const { return dir_ + "/" + name; }

  // The run in `folder`, with these variables besides; what it tells is appended to its file.
  pid_t Start(const std::string& folder, const std::vector<std::string>& variables) {
    std::vector<std::string> environment = variables;
    for (char** variable = environ; *variable != nullptr; ++variable) {
      environment.emplace_back(*variable);
    }
    std::vector<char*> env;
    for (std::string& variable : environment) env.push_back(variable.data());
    env.push_back(nullptr);
    std::vector<std::string> words = {program_, "go", folder, absl::StrCat(kEnd)};
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    const std::string told = folder + ".told";
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, told.c_str(),
                                     O_WRONLY | O_CREAT | O_APPEND, 0600);
    pid_t pid = 0;
    if (posix_spawn(&pid, program_.c_str(), &actions, nullptr, argv.data(), env.data()) != 0) {
      Die("cannot start " + program_);
    }
    posix_spawn_file_actions_destroy(&actions);
    return pid;
  }
  std::vector<std::string> Preload(const std::string& folder) const {
    return {"LD_PRELOAD=" + library_, "KILL_AT_FOLDER=" + folder};
  }
  // True if it was killed, false if it came to its end.
  bool WasKilled(pid_t pid, const std::string& where) {
    int status = 0;
    if (waitpid(pid, &status, 0) != pid) Die("waitpid");
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) return true;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return false;
    Die(where + ": the run ended with an error");
  }

  // Everything is whole, and what was told is true.
  void Look(const std::string& folder, const std::string& where) {
    const FolderReport report = CheckFederationFolder(folder, absl::Now());
    for (const FolderFinding& finding : report.findings) {
      if (finding.result == FolderFinding::Result::kFail) {
        Die(absl::StrCat(where, ": ", finding.check, ": ", finding.detail));
      }
    }
    auto text = ReadFile(folder + ".told", kMaxToldBytes);
    if (!text.ok() || text->empty()) return;
    auto store = Store::OpenForReading(folder + "/state");
    OrDie(store.status(), where);
    auto run = (*store)->LoadRun();
    OrDie(run.status(), where);
    std::vector<std::string> have;
    for (const RoundSummary& round : run->history) {
      have.push_back(absl::StrFormat("round %d %d %s %.17g", round.round.value(),
                                     round.attempt.value(), round.model_hash, round.epsilon));
    }
    size_t told = 0, evaluations = 0;
    for (const absl::string_view view : absl::StrSplit(*text, '\n', absl::SkipEmpty())) {
      const std::string line(view);
      if (line.starts_with("round ")) {
        if (told >= have.size() || have[told] != line)
          Die(where + ": was told, and is not: " + line);
        ++told;
      } else if (line.starts_with("attempt ")) {
        uint32_t attempt = 0;
        if (!absl::SimpleAtoi(line.substr(8), &attempt) || attempt > run->attempts.value()) {
          Die(where + ": was told, and is not: " + line);
        }
      } else {
        ++evaluations;
      }
    }
    if (evaluations > run->evaluations.size()) Die(where + ": an evaluation is lost");
    // Written down, and nobody was told: at most the one that was under way, and one a kill.
    if (have.size() > told + kills_here_) Die(where + ": rounds that nobody was told of");
    AddUntold(folder, have, told);
  }

  int EveryOperation(uint32_t rounds) {
    const std::string first = Path("first");
    OrDie(testing::MakeQuickFederation(first, rounds), "first");
    const std::string count = Path("count");
    std::vector<std::string> variables = Preload(first);
    variables.push_back("KILL_AT_COUNT=" + count);
    fs::copy(first, Path("template"), fs::copy_options::recursive);
    if (WasKilled(Start(first, variables), "the first run")) Die("who killed it?");
    Look(first, "the first run");
    int operations = 0;
    if (!absl::SimpleAtoi(ReadFile(count, 100).value_or(""), &operations)) Die("not counted");
    for (int at = 1; at <= operations; ++at) {
      const std::string where = absl::StrCat("operation ", at, " of ", operations);
      const std::string folder = Path(absl::StrCat("at-", at));
      fs::copy(Path("template"), folder, fs::copy_options::recursive);
      variables = Preload(folder);
      variables.push_back(absl::StrCat("KILL_AT=", at));
      if (at % 2 == 1) variables.push_back("KILL_AT_TORN=1");
      kills_here_ = 1;
      // Threads may make the order another one, and the last few are then never reached.
      if (WasKilled(Start(folder, variables), where)) ++kills_;
      Look(folder, where);
      OrDie(testing::GoOnQuickly(folder, kEnd, [](const std::string&) {}), where);
      kills_here_ = static_cast<size_t>(rounds);
      Look(folder, where + ", at the end");
      ExpectEnd(folder, rounds, where);
      fs::remove_all(folder);
      fs::remove(folder + ".told");
    }
    return kills_;
  }

  int AtRandom(int kills, uint32_t seed) {
    std::mt19937 random(seed);
    const std::string folder = Path("random");
    OrDie(testing::MakeQuickFederation(folder, kRandomRounds), "random");
    kills_here_ = 1;
    for (int i = 0; i < kills; ++i) {
      const std::string where = absl::StrCat("random kill ", i + 1, " of seed ", seed);
      const pid_t pid = Start(folder, {});
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 150'000));
      kill(pid, SIGKILL);
      if (!WasKilled(pid, where)) Die(where + ": the run is over before all kills");
      ++kills_;
      Look(folder, where);
    }
    const uint32_t round = RoundOf(folder, "random");
    OrDie(testing::GoOnQuickly(folder, round + kRoundsAfterwards, [](const std::string&) {}),
          "after all random kills");
    kills_here_ = kRoundsAfterwards;
    Look(folder, "after all random kills");
    return kills_;
  }

 private:
  // From now on they are known.
  void AddUntold(const std::string& folder, const std::vector<std::string>& have, size_t told) {
    std::string text = ReadFile(folder + ".told", kMaxToldBytes).value_or("");
    for (size_t i = told; i < have.size(); ++i) absl::StrAppend(&text, have[i], "\n");
    OrDie(WriteFileAtomic(folder + ".told", text), folder);
  }
  uint32_t RoundOf(const std::string& folder, const std::string& where) {
    auto store = Store::OpenForReading(folder + "/state");
    OrDie(store.status(), where);
    auto run = (*store)->LoadRun();
    OrDie(run.status(), where);
    return run->round.value();
  }
  void ExpectEnd(const std::string& folder, uint32_t rounds, const std::string& where) {
    if (RoundOf(folder, where) != rounds) Die(where + ": the run does not come to its end");
  }

  const std::string program_, library_;
  std::string dir_;
  int kills_ = 0;
  size_t kills_here_ = 0;
};

int Main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  SetLogLevel(LogLevel::kOff);
  if (words.size() == 3 && words[0] == "go") return Go(words[1], words[2]);
  if (words.empty() || words.size() % 2 == 0) Die("usage: state_kills LIBRARY [--rounds N] ...");
  uint32_t rounds = 6, random = 40, seed = 1;
  for (size_t i = 1; i < words.size(); i += 2) {
    uint32_t* const flag = words[i] == "--rounds"   ? &rounds
                           : words[i] == "--random" ? &random
                           : words[i] == "--seed"   ? &seed
                                                    : nullptr;
    if (flag == nullptr || !absl::SimpleAtoi(words[i + 1], flag))
      Die("not understood: " + words[i]);
  }
  Killer killer(fs::canonical("/proc/self/exe"), words[0]);
  const int at_operations = killer.EveryOperation(rounds);
  const int all = killer.AtRandom(static_cast<int>(random), seed);
  std::printf("state_kills: %d kills, at each of %d operations and %d at random; nothing is lost\n",
              all, at_operations, all - at_operations);
  return 0;
}

}  // namespace
}  // namespace dure

int main(int argc, char** argv) { return dure::Main(argc, argv); }
