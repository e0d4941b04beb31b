// dure coordinator.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "base/terminal.h"
#include "cli/check_folder.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/federation_files.h"
#include "cli/log_flag.h"
#include "cli/memory.h"
#include "cli/progress.h"
#include "cli/run_report.h"
#include "cli/stop_signal.h"
#include "coordinator/service/coordinator_service.h"
#include "coordinator/service/federation_folder.h"
#include "coordinator/service/membership.h"
#include "coordinator/service/web_server.h"
#include "federation/terms/check.h"

namespace dure::cli {
namespace {

constexpr absl::Duration kRefresh = absl::Milliseconds(250);

struct CoordinatorFlags {
  CoordinatorOptions options;
  std::string web;
  bool check = false;
  bool as_json = false;
  std::string log = "text";
};

// What is wrong with the federation file in `folder`. Aborted if another program has said so.
absl::Status CheckTerms(const std::string& folder) {
  DURE_RETURN_IF_ERROR(ExpectFederation(folder));
  const std::string path = FederationFilePath(folder);
  DURE_ASSIGN_OR_RETURN(const FederationSpec spec, ReadOrganisersFile(path));
  const absl::Status checked = CheckFederation(spec, {}).status();
  if (checked.ok()) return checked;
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", checked.message()));
}

// Entries say which round and attempt they belong to.
void FollowAttempts(const run::Output& output) {
  const auto* write = std::get_if<run::Write>(&output);
  if (write == nullptr) return;
  if (const auto* begun = std::get_if<AttemptBegun>(&write->fact)) {
    SetLogRound(begun->round.value(), begun->attempt.value());
  }
}

absl::StatusOr<std::unique_ptr<WebServer>> StartWeb(const WebAddress& address,
                                                    CoordinatorService& service, Clock* clock) {
  const FederationSection& federation = service.spec().federation();
  return WebServer::Start(
      {.address = address,
       .views = {.federation = {.purpose = federation.purpose(), .license = federation.license()},
                 .status = [&service](RoundNumber after) { return service.Status(after); },
                 .members = [&service] { return service.Members().value_or(MembersReply()); },
                 .clock = clock}});
}

// Says where the page is, and who can see it.
void Announce(const WebServer& web) {
  std::printf("web page: %s\n", web.url().c_str());
  if (CurrentLogFormat() == LogFormat::kJson) LogInfo(absl::StrCat("web page: ", web.url()));
  if (!web.address().loopback) {
    LogWarning(absl::StrCat("anybody who reaches ", web.address().ToString(),
                            " sees the web page, the names of members too, and it is not "
                            "encrypted; --web ",
                            web.address().port, " is for this machine alone"));
  }
  if (!web.has_charts()) {
    LogWarning(absl::StrCat("the web page has no curves: ", kChartScript,
                            " is missing; install Debian's libjs-chart.js and start again"));
  }
}

// What a person reads before the table.
void Introduce(const CoordinatorFlags& flags, const CoordinatorService& service,
               const RunStatus& before) {
  const std::string& folder = flags.options.folder;
  std::printf("coordinator of \"%s\", listening on %s\n",
              service.spec().federation().name().c_str(), service.listening().c_str());
  if (flags.options.listen.empty() && HostOf(service.address()) != "127.0.0.1") {
    std::printf(
        "only programs on this machine can reach it; for members elsewhere: "
        "dure coordinator %s --listen 0.0.0.0:%s\n",
        folder.c_str(), PortOf(service.address()).c_str());
  }
  if (before.round() > 0) {
    std::printf("going on after round %u of %u; what was before: dure status %s\n", before.round(),
                before.rounds(), folder.c_str());
  }
  if (before.state() == "paused") {
    std::printf("paused: dure resume %s goes on\n", folder.c_str());
  }
}

// Until the run ends, or is stopped.
absl::Status Follow(CoordinatorService& service, const StopSignal& stop, const RunStatus& before) {
  uint32_t shown = 0;
  for (const Evaluation& evaluation : before.evaluations()) {
    shown = std::max(shown, evaluation.round());
  }
  const bool terminal = IsTerminal(STDOUT_FILENO);
  // On a terminal the table says the rest.
  if (terminal && CurrentLogFormat() == LogFormat::kText) SetLogLevel(LogLevel::kWarning);
  ProgressTable table(stdout, terminal, shown);
  std::optional<absl::Status> end;
  while (!(end = service.Wait(kRefresh))) {
    table.Update(service.Status(RoundNumber(table.last_round())));
    if (stop.Requested()) service.Stop();
  }
  table.Update(service.Status(RoundNumber(table.last_round())));
  table.Finish();
  return *end;
}

int RunCoordinator(const CoordinatorFlags& flags) {
  // Block the signals before any thread is there.
  StopSignal stop;
  GiveMemoryBack();
  CoordinatorOptions options = flags.options;
  if (IsJsonLog(flags.log)) {
    SetLogFormat(LogFormat::kJson);
    options.before = FollowAttempts;
  }
  std::optional<WebAddress> web_address;
  if (!flags.web.empty()) {
    absl::StatusOr<WebAddress> parsed = ParseWebAddress(flags.web);
    if (!parsed.ok()) return Fail(parsed.status());
    web_address = *std::move(parsed);
  }
  const absl::Status checked = CheckTerms(options.folder);
  if (absl::IsAborted(checked)) return kFailure;  // told by another program
  if (!checked.ok()) return Fail(checked);
  absl::StatusOr<std::unique_ptr<CoordinatorService>> started =
      CoordinatorService::Start(std::move(options));
  if (!started.ok()) return Fail(started.status());
  CoordinatorService& service = **started;
  const RunStatus before = service.Status(RoundNumber(0));
  if (IsJsonLog(flags.log)) {
    SetLogFederation(service.spec().federation().name());
    SetLogRound(before.round(), before.attempt());
    LogInfo(absl::StrCat("listening on ", service.listening()));
  }
  EvenClock web_clock;
  std::unique_ptr<WebServer> web;  // ends before the service
  if (web_address) {
    absl::StatusOr<std::unique_ptr<WebServer>> made = StartWeb(*web_address, service, &web_clock);
    if (!made.ok()) return Fail(made.status());
    web = *std::move(made);
  }
  Introduce(flags, service, before);
  if (web != nullptr) Announce(*web);
  std::fflush(stdout);
  const absl::Status end = Follow(service, stop, before);
  const RunStatus status = service.Status(RoundNumber(0));
  if (absl::IsCancelled(end)) {
    std::printf("stopped after round %d of %d; the same command goes on from there\n",
                status.round(), status.rounds());
    EndSoon(kSuccess);
    return kSuccess;
  }
  if (!end.ok()) return Fail(end, absl::IsResourceExhausted(end) ? kRefused : kFailure);
  std::fputs(EndOfRun(status, flags.options.folder).c_str(), stdout);
  return kSuccess;
}

}  // namespace

void AddCoordinatorCommand(CLI::App& app, int* exit_code) {
  auto flags = std::make_shared<CoordinatorFlags>();
  CLI::App* command =
      AddCommand(app, "coordinator", "Runs a federation; after a crash it goes on by itself",
                 "dure coordinator clinics --listen 0.0.0.0:7443 --web 8080");
  AddFolder(command, flags->options.folder);
  command->add_flag("--new-terms", flags->options.new_terms,
                    "federation.toml has changed since members agreed to it: ask them again");
  command->add_option("--listen", flags->options.listen,
                      "HOST:PORT; without it 127.0.0.1 and the port of federation.address");
  command->add_option("--web", flags->web,
                      "PORT of a web page, for this machine alone, or HOST:PORT for others too");
  AddLogOption(command, &flags->log);
  auto* check = command->add_flag("--check", flags->check,
                                  "only look whether all of DIR is whole and fits together");
  command->add_flag("--json", flags->as_json, "of --check: one JSON object")->needs(check);
  command->callback([=] {
    *exit_code =
        flags->check ? CheckFolder(flags->options.folder, flags->as_json) : RunCoordinator(*flags);
  });
}

}  // namespace dure::cli
