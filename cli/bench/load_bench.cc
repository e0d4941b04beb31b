// `dure bench load`: a coordinator as people run it, and as many members as are asked for, who
// connect, stay, and take part in rounds; memory against the goal of docs/benchmarks.md.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "cli/bench/child.h"
#include "cli/bench/figure.h"
#include "cli/bench/fixture.h"
#include "cli/bench/roles.h"
#include "cli/bench/timing.h"

namespace dure::bench {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(5);
// The goal: so much, and so much more for each connection (of which gRPC's own share is most).
constexpr double kGoalBytes = 120e6;
constexpr double kGoalBytesOfConnection = 220e3;
// Members of one process: its threads are few, its handshakes many.
constexpr uint32_t kMembersOfProcess = 500;
constexpr uint32_t kClasses = 16;

struct Rounds {
  std::vector<double> seconds;
  double failed = 0;
  bool ended = false;
};

absl::StatusOr<Rounds> Follow(Child& coordinator, uint32_t count) {
  Rounds rounds;
  while (rounds.seconds.size() < count) {
    DURE_ASSIGN_OR_RETURN(const std::string line, coordinator.ReadLine(kPatience));
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    double seconds = 0;
    if (words[0] == "failed-attempt") ++rounds.failed;
    if (words[0] == "failed") return absl::InternalError(absl::StrCat("the run failed: ", line));
    if (words[0] == "round" && words.size() > 1 && absl::SimpleAtod(words[1], &seconds)) {
      rounds.seconds.push_back(seconds);
    }
  }
  return rounds;
}

absl::StatusOr<std::vector<std::unique_ptr<Child>>> ConnectAll(const Settings& settings,
                                                               const std::string& folder,
                                                               const std::string& address,
                                                               uint32_t members) {
  std::vector<std::unique_ptr<Child>> processes;
  std::vector<uint32_t> counts;
  for (uint32_t first = 0; first < members; first += kMembersOfProcess) {
    counts.push_back(std::min(kMembersOfProcess, members - first));
    DURE_ASSIGN_OR_RETURN(
        std::unique_ptr<Child> process,
        Child::StartRole(settings, kLoadMembersRole,
                         {folder, absl::StrCat(first), absl::StrCat(counts.back()), address}));
    processes.push_back(std::move(process));
  }
  for (size_t i = 0; i < processes.size(); ++i) {
    for (uint32_t here = 0; here < counts[i]; ++here) {
      DURE_RETURN_IF_ERROR(processes[i]->ReadLine(kPatience).status());
    }
  }
  return processes;
}

absl::StatusOr<Figure> Measure(const Settings& settings, const LoadOptions& load) {
  FixtureOptions options{.folder = absl::StrCat(settings.folder, "/load"),
                         .features = std::max(1u, load.parameters / kClasses - 1),
                         .classes = kClasses,
                         .members = load.members,
                         .cohort = std::max(3u, std::min(load.cohort, load.members)),
                         .rounds = std::max(1u, load.rounds),
                         .deadline_seconds = load.deadline_seconds,
                         .nodes = false};
  options.paused = load.rounds == 0;
  DURE_RETURN_IF_ERROR(MakeFixture(options));
  DURE_ASSIGN_OR_RETURN(std::unique_ptr<Child> coordinator,
                        Child::StartRole(settings, kCoordinatorRole, {options.folder}));
  DURE_ASSIGN_OR_RETURN(const std::string listening, coordinator->ReadLine(kPatience));
  const double before = static_cast<double>(coordinator->Memory("VmRSS"));
  const double begin = Now();
  DURE_ASSIGN_OR_RETURN(const std::vector<std::unique_ptr<Child>> members,
                        ConnectAll(settings, options.folder,
                                   listening.substr(listening.find(' ') + 1), load.members));
  const double connected = Now() - begin;
  const double idle = static_cast<double>(coordinator->Memory("VmRSS"));
  DURE_ASSIGN_OR_RETURN(const Rounds rounds, Follow(*coordinator, load.rounds));
  double members_cpu = 0;
  for (const auto& process : members) members_cpu += process->CpuSeconds();
  Figure figure{.value = static_cast<double>(coordinator->Memory("VmHWM")),
                .limit = kGoalBytes + kGoalBytesOfConnection * load.members,
                .more = {{"members", load.members},
                         {"cohort", options.cohort},
                         {"parameters", (options.features + 1) * kClasses},
                         {"rounds", static_cast<double>(rounds.seconds.size())},
                         {"failed_attempts", rounds.failed},
                         {"connect_all_s", connected},
                         {"alone_resident_bytes", before},
                         {"connected_resident_bytes", idle},
                         {"connection_bytes", (idle - before) / load.members},
                         {"coordinator_cpu_s", coordinator->CpuSeconds()},
                         {"members_cpu_s", members_cpu}}};
  if (!rounds.seconds.empty()) {
    // The first one began when a cohort was there, while others were still connecting.
    figure.more.emplace_back("longest_round_s",
                             *std::max_element(rounds.seconds.begin(), rounds.seconds.end()));
    figure.more.emplace_back("round_s", Median(rounds.seconds));
  }
  return figure;
}

// Peak anonymous memory of processes, looked at every few milliseconds.
class MemoryWatch {
 public:
  explicit MemoryWatch(std::vector<const Child*> processes)
      : processes_(std::move(processes)), peaks_(processes_.size()) {
    thread_ = std::jthread([this](const std::stop_token& done) {
      while (!done.stop_requested()) {
        for (size_t i = 0; i < processes_.size(); ++i) {
          peaks_[i] = std::max(peaks_[i], processes_[i]->Memory("RssAnon"));
        }
        absl::SleepFor(absl::Milliseconds(5));
      }
    });
  }
  // Ends the watch.
  const std::vector<uint64_t>& Peaks() {
    thread_ = std::jthread();
    return peaks_;
  }

 private:
  const std::vector<const Child*> processes_;
  std::vector<uint64_t> peaks_;
  std::jthread thread_;
};

constexpr uint32_t kLargeClasses = 4096;
constexpr uint32_t kLargeMembers = 2;
constexpr double kModelsInMemory = 2.2;  // the goal

// A model that is most of the memory, through a coordinator and two clients; training, which has a
// process of its own, is left out.
absl::StatusOr<Figure> MeasureLarge(const Settings& settings, uint64_t parameters) {
  const FixtureOptions options{.folder = absl::StrCat(settings.folder, "/large"),
                               .features = static_cast<uint32_t>(parameters / kLargeClasses - 1),
                               .classes = kLargeClasses,
                               .members = kLargeMembers,
                               .cohort = kLargeMembers,
                               .rounds = 2,
                               .plain = true};
  DURE_RETURN_IF_ERROR(MakeFixture(options));
  DURE_ASSIGN_OR_RETURN(std::unique_ptr<Child> coordinator,
                        Child::StartRole(settings, kCoordinatorRole, {options.folder}));
  std::vector<std::unique_ptr<Child>> members;
  DURE_ASSIGN_OR_RETURN(const std::string listening, coordinator->ReadLine(kPatience));
  const std::string address = listening.substr(listening.find(' ') + 1);
  std::vector<const Child*> processes = {coordinator.get()};
  for (uint32_t i = 0; i < kLargeMembers; ++i) {
    DURE_ASSIGN_OR_RETURN(
        std::unique_ptr<Child> member,
        Child::StartRole(settings, kMemberRole, {options.folder, absl::StrCat(i), address}));
    processes.push_back(member.get());
    members.push_back(std::move(member));
  }
  MemoryWatch watch(processes);
  DURE_ASSIGN_OR_RETURN(const Rounds rounds, Follow(*coordinator, options.rounds));
  const std::vector<uint64_t> peaks = watch.Peaks();
  const double model = 4.0 * (options.features + 1) * kLargeClasses;
  return Figure{
      .value = static_cast<double>(*std::max_element(peaks.begin(), peaks.end())),
      .limit = kModelsInMemory * model,
      .more = {{"model_bytes", model},
               {"coordinator_models", static_cast<double>(peaks[0]) / model},
               {"member_models", static_cast<double>(std::max(peaks[1], peaks[2])) / model},
               {"round_s", Median(rounds.seconds)}}};
}

}  // namespace

Benchmark LoadBenchmark(const LoadOptions& options) {
  return {.name = absl::StrCat("load/", options.members, "x", options.parameters),
          .unit = "B",
          .run = [options](const Settings& settings) { return Measure(settings, options); }};
}

std::vector<Benchmark> LoadBenchmarks() {
  return {LoadBenchmark({}),
          {.name = "large/2x250000000", .unit = "B", .run = [](const Settings& settings) {
             return MeasureLarge(settings, settings.quick ? 25'000'000 : 250'000'000);
           }}};
}

}  // namespace dure::bench
