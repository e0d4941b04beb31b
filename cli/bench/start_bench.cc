// How quickly programs are there, and what they hold while nothing happens.
#include <cstdint>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cli/bench/child.h"
#include "cli/bench/figure.h"
#include "cli/bench/fixture.h"
#include "cli/bench/roles.h"
#include "cli/bench/timing.h"

namespace dure::bench {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(20);
// The goals for memory at rest, and for the coordinator of a model of a million parameters.
constexpr double kIdleClientGoal = 30e6;
constexpr double kCoordinatorGoal = 120e6;

// Median seconds from the start of a program to its end.
absl::StatusOr<double> RunTime(const Settings& settings, const std::string& program,
                               const std::vector<std::string>& arguments) {
  absl::Status status;
  const double seconds = MedianSeconds(settings.quick ? 1 : 15, [&] {
    absl::StatusOr<std::unique_ptr<Child>> child = Child::Start(settings, program, arguments);
    status.Update(child.status());
    if (!child.ok()) return;
    if (int code = (*child)->Wait(); code != 0) {
      status.Update(absl::InternalError(absl::StrCat(program, " ended with ", code)));
    }
  });
  DURE_RETURN_IF_ERROR(status);
  return seconds;
}

absl::StatusOr<Figure> Version(const Settings& settings) {
  DURE_ASSIGN_OR_RETURN(double seconds, RunTime(settings, DurePath(), {"version"}));
  DURE_ASSIGN_OR_RETURN(double least, RunTime(settings, "/bin/true", {}));
  return Figure{.value = seconds, .limit = least};
}

// A coordinator with one member of ten: it waits, and so does the member.
struct Waiting {
  std::unique_ptr<Child> coordinator, member;
  double seconds = 0;  // from the coordinator's start until the member was accepted
};

absl::StatusOr<Waiting> StartWaiting(const Settings& settings, const std::string& folder) {
  Waiting waiting;
  const double start = Now();
  DURE_ASSIGN_OR_RETURN(waiting.coordinator,
                        Child::StartRole(settings, kCoordinatorRole, {folder}));
  DURE_ASSIGN_OR_RETURN(std::string listening, waiting.coordinator->ReadLine(kPatience));
  const std::string address = listening.substr(listening.find(' ') + 1);
  DURE_ASSIGN_OR_RETURN(waiting.member,
                        Child::StartRole(settings, kMemberRole, {folder, "0", address}));
  DURE_RETURN_IF_ERROR(waiting.coordinator->ReadLine(kPatience).status());
  waiting.seconds = Now() - start;
  DURE_RETURN_IF_ERROR(waiting.member->ReadLine(kPatience).status());
  return waiting;
}

absl::Status MakeWaitingFixture(const std::string& folder, uint32_t features, uint32_t classes) {
  return MakeFixture({.folder = folder, .features = features, .classes = classes});
}

absl::StatusOr<Figure> FirstMember(const Settings& settings) {
  const std::string folder = settings.folder + "/start";
  DURE_RETURN_IF_ERROR(MakeWaitingFixture(folder, 2599, 10));
  std::vector<double> seconds;
  for (int run = 0; run <= settings.runs(); ++run) {
    DURE_ASSIGN_OR_RETURN(Waiting waiting, StartWaiting(settings, folder));
    if (run > 0) seconds.push_back(waiting.seconds);
  }
  // Two programs have to start, one after the other.
  DURE_ASSIGN_OR_RETURN(double version, RunTime(settings, DurePath(), {"version"}));
  return Figure{.value = Median(seconds), .limit = 2 * version};
}

absl::StatusOr<Figure> ClientIdleMemory(const Settings& settings) {
  const std::string folder = settings.folder + "/start";
  DURE_RETURN_IF_ERROR(MakeWaitingFixture(folder, 2599, 10));
  DURE_ASSIGN_OR_RETURN(Waiting waiting, StartWaiting(settings, folder));
  return Figure{.value = static_cast<double>(waiting.member->Memory("VmRSS")),
                .limit = kIdleClientGoal,
                .more = {{"anonymous_bytes", waiting.member->Memory("RssAnon")},
                         {"peak_bytes", waiting.member->Memory("VmHWM")}}};
}

// Before the first round; round/10x1000000 says what rounds need.
absl::StatusOr<Figure> CoordinatorMemory(const Settings& settings) {
  const std::string folder = settings.folder + "/start";
  DURE_RETURN_IF_ERROR(MakeWaitingFixture(folder, 62499, 16));
  DURE_ASSIGN_OR_RETURN(Waiting waiting, StartWaiting(settings, folder));
  return Figure{.value = static_cast<double>(waiting.coordinator->Memory("VmRSS")),
                .limit = kCoordinatorGoal,
                .more = {{"anonymous_bytes", waiting.coordinator->Memory("RssAnon")},
                         {"peak_bytes", waiting.coordinator->Memory("VmHWM")}}};
}

}  // namespace

std::vector<Benchmark> StartBenchmarks() {
  return {{.name = "start/version", .unit = "s", .run = Version},
          {.name = "start/coordinator-to-first-member", .unit = "s", .run = FirstMember},
          {.name = "start/client-idle-memory", .unit = "B", .run = ClientIdleMemory},
          {.name = "start/coordinator-memory", .unit = "B", .run = CoordinatorMemory}};
}

}  // namespace dure::bench
