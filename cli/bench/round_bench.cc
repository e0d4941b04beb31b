// Rounds as people run them: a coordinator and members, each a process, over mutual TLS, with
// ledgers and database on disk. Only training takes no time.
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "cli/bench/child.h"
#include "cli/bench/figure.h"
#include "cli/bench/fixture.h"
#include "cli/bench/roles.h"
#include "cli/bench/stream_limit.h"
#include "cli/bench/timing.h"
#include "federation/terms/terms.h"

namespace dure::bench {
namespace {

constexpr uint32_t kMembers = 10;
// The first rounds have no noise drawn ahead, and connections that are new.
constexpr uint32_t kWarmUp = 3;
constexpr absl::Duration kPatience = absl::Minutes(5);

struct Run {
  std::vector<double> seconds;    // of each round
  double received = 0, sent = 0;  // bytes, without the warm-up
  double coordinator_cpu = 0;     // seconds, without the warm-up
  double members_cpu = 0;         // of all together
};

double CpuOf(const std::vector<std::unique_ptr<Child>>& members) {
  double sum = 0;
  for (const auto& member : members) sum += member->CpuSeconds();
  return sum;
}

// Follows the coordinator until the run is over.
absl::StatusOr<Run> Follow(Child& coordinator, const std::vector<std::unique_ptr<Child>>& members) {
  Run run;
  double received = 0, sent = 0;
  for (uint32_t round = 0;;) {
    DURE_ASSIGN_OR_RETURN(std::string line, coordinator.ReadLine(kPatience));
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    if (words[0] == "end") break;
    if (words[0] == "failed") return absl::InternalError(absl::StrCat("the run failed: ", line));
    double seconds = 0, received_now = 0, sent_now = 0;
    if (words[0] != "round") continue;
    if (words.size() != 4 || !absl::SimpleAtod(words[1], &seconds) ||
        !absl::SimpleAtod(words[2], &received_now) || !absl::SimpleAtod(words[3], &sent_now)) {
      return absl::InternalError(absl::StrCat("a round that makes no sense: ", line));
    }
    ++round;
    if (round > kWarmUp) {
      run.seconds.push_back(seconds);
    } else {
      received = received_now, sent = sent_now;
      run.coordinator_cpu = -coordinator.CpuSeconds(), run.members_cpu = -CpuOf(members);
    }
    run.received = received_now - received, run.sent = sent_now - sent;
  }
  run.coordinator_cpu += coordinator.CpuSeconds(), run.members_cpu += CpuOf(members);
  return run;
}

absl::StatusOr<Figure> MeasureRounds(const Settings& settings, FixtureOptions options) {
  options.folder = absl::StrCat(settings.folder, "/round");
  DURE_RETURN_IF_ERROR(MakeFixture(options));
  DURE_ASSIGN_OR_RETURN(FederationFolder federation, ReadFixtureFederation(options.folder));
  DURE_ASSIGN_OR_RETURN(
      RoundTerms terms,
      DeriveTerms(federation.spec, uint64_t{options.features + 1} * options.classes, kMembers));
  DURE_ASSIGN_OR_RETURN(StreamRates rates, MeasureStreams(settings, options.folder));
  DURE_ASSIGN_OR_RETURN(std::unique_ptr<Child> coordinator,
                        Child::StartRole(settings, kCoordinatorRole, {options.folder}));
  DURE_ASSIGN_OR_RETURN(std::string listening, coordinator->ReadLine(kPatience));
  const std::string address = listening.substr(listening.find(' ') + 1);
  std::vector<std::unique_ptr<Child>> members;
  for (uint32_t i = 0; i < kMembers; ++i) {
    DURE_ASSIGN_OR_RETURN(
        std::unique_ptr<Child> member,
        Child::StartRole(settings, kMemberRole, {options.folder, absl::StrCat(i), address}));
    members.push_back(std::move(member));
  }
  DURE_ASSIGN_OR_RETURN(Run run, Follow(*coordinator, members));
  const double rounds = static_cast<double>(run.seconds.size());
  const double up = run.received / rounds, down = run.sent / rounds;
  return Figure{
      .value = Median(run.seconds),
      .limit = up / rates.up + down / rates.down,
      .more = {{"bytes_up", up},
               {"of_packed_inputs", up / kMembers / static_cast<double>(terms.upload_bytes)},
               {"bytes_down", down},
               {"limit_up_bytes_per_s", rates.up},
               {"limit_down_bytes_per_s", rates.down},
               {"coordinator_cpu_s", run.coordinator_cpu / rounds},
               {"member_cpu_s", run.members_cpu / rounds / kMembers},
               {"coordinator_resident_bytes", coordinator->Memory("VmRSS")},
               {"coordinator_peak_bytes", coordinator->Memory("VmHWM")},
               {"member_resident_bytes", members[0]->Memory("VmRSS")},
               {"member_peak_bytes", members[0]->Memory("VmHWM")}}};
}

// A model of (features + 1) classes parameters.
Benchmark Rounds(const char* name, const FixtureOptions& options) {
  return {.name = name, .unit = "s", .run = [=](const Settings& settings) {
            FixtureOptions fixture = options;
            fixture.members = fixture.cohort = kMembers;
            fixture.rounds = kWarmUp + (settings.quick ? 2 : options.rounds);
            return MeasureRounds(settings, fixture);
          }};
}

}  // namespace

std::vector<Benchmark> RoundBenchmarks() {
  return {Rounds("round/10x26000", {.features = 2599, .classes = 10, .rounds = 20}),
          Rounds("round/10x1000000", {.features = 62'499, .classes = 16, .rounds = 20}),
          Rounds("round/10x1000000/no-noise",
                 {.features = 62'499, .classes = 16, .rounds = 20, .noiseless = true}),
          Rounds("round/10x10000000/no-noise",
                 {.features = 62'499, .classes = 160, .rounds = 7, .noiseless = true})};
}

}  // namespace dure::bench
