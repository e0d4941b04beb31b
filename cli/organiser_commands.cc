// Commands of whoever organises a federation.
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/memory.h"
#include "cli/programs.h"
#include "cli/progress.h"
#include "cli/run_report.h"
#include "cli/stop_signal.h"
#include "coordinator/service/coordinator_service.h"
#include "coordinator/service/federation_folder.h"
#include "coordinator/service/membership.h"
#include "coordinator/service/store.h"
#include "crypto/x509.h"
#include "federation/manifest.h"
#include "federation/spec.h"
#include "federation/terms/check.h"
#include "nlohmann/json.hpp"
#include "transport/control_socket.h"

namespace dure::cli {
namespace {

using nlohmann::json;

constexpr absl::Duration kRefresh = absl::Milliseconds(250);
constexpr int kMostRemovals = 100;
constexpr char kDefaultExample[] = "fashion";

// ---- dure init ----

struct InitFlags {
  std::string folder;
  std::string from = kDefaultExample;
  std::string name;
  std::string address;
};

// Runs `dure model init`, which says on standard error what it does not like.
absl::StatusOr<int> MakeInitialWeights(const InitFlags& flags, const std::string& example,
                                       const FederationSpec& spec) {
  DURE_ASSIGN_OR_RETURN(std::string program, FindProgram("dure-model"));
  return RunProgram(
      program, {"init", "--federation", example, "--out", InitialModelPath(flags.folder), "--seed",
                absl::StrCat(spec.model().seed())});
}

// federation.toml comes last: a folder without it is no federation, and can be tried again. A
// signal leaves no new folder behind. `code` is that of `dure model init`.
absl::StatusOr<FederationFolder> MakeFederation(const InitFlags& flags, const std::string& example,
                                                const FederationSpec& spec, int* code) {
  namespace fs = std::filesystem;
  const bool fresh = !FileExists(flags.folder);
  UndoOnSignal undo([&] {
    EndRunningProgram();
    std::error_code ignored;
    // More than once: the command may be writing.
    for (int i = 0; fresh && i < kMostRemovals && FileExists(flags.folder); ++i) {
      fs::remove_all(flags.folder, ignored);
    }
  });
  DURE_RETURN_IF_ERROR(MakeFolder(FederationPrivateFolder(flags.folder), 0700));
  std::error_code ignored;
  fs::remove(InitialModelPath(flags.folder), ignored);  // of an init that was killed
  DURE_ASSIGN_OR_RETURN(*code, MakeInitialWeights(flags, example, spec));
  if (*code != kSuccess) return absl::AbortedError("dure model init failed, and said why");
  SystemRandom random;
  return MakeFederationFolder(flags.folder, spec, absl::Now(), random);
}

int RunInit(const InitFlags& flags) {
  absl::StatusOr<std::string> example = FindExample(flags.from);
  if (!example.ok()) return Fail(example.status());
  absl::StatusOr<FederationSpec> spec = ReadFederationFile(*example);
  if (!spec.ok()) return Fail(spec.status());
  if (!flags.name.empty()) spec->mutable_federation()->set_name(flags.name);
  if (!flags.address.empty()) spec->mutable_federation()->set_address(flags.address);
  if (absl::Status status = ValidateFederation(*spec); !status.ok()) return Fail(status, kUsage);
  if (FileExists(FederationFilePath(flags.folder))) {
    return Fail(HasFederationAlready(flags.folder));
  }
  if (absl::Status status = BuiltInManifest(spec->model()).status(); !status.ok()) {
    return Fail(absl::InvalidArgumentError(absl::StrCat(*example, ": ", status.message())));
  }
  int code = kSuccess;
  absl::StatusOr<FederationFolder> federation = MakeFederation(flags, *example, *spec, &code);
  if (code != kSuccess) return code;
  if (!federation.ok()) return Fail(federation.status());
  std::printf(
      "A federation called \"%s\" is in %s.\n"
      "  federation.toml            its terms: read them, change them now; later they are fixed\n"
      "  private/                   its keys: keep them secret, keep a copy\n"
      "  model/initial.safetensors  the weights that training starts from\n"
      "Fingerprint of its enrolment CA, for members to compare:\n  %s\n"
      "Next: dure check %s, then dure coordinator %s\n",
      federation->spec.federation().name().c_str(), flags.folder.c_str(),
      CertificateFingerprint(federation->ca_certificate).c_str(),
      FederationFilePath(flags.folder).c_str(), flags.folder.c_str());
  return kSuccess;
}

// ---- dure check ----

// What the file at `path` means. InvalidArgument if it is wrong or cannot work.
absl::StatusOr<CheckReport> CheckFile(const std::string& path, const CheckOptions& options = {}) {
  DURE_ASSIGN_OR_RETURN(FederationSpec spec, ReadFederationFile(path));
  absl::StatusOr<CheckReport> report = CheckFederation(spec, options);
  if (report.ok()) return report;
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", report.status().message()));
}

struct CheckFlags {
  std::string path;
  std::optional<double> target_epsilon;
  bool as_json = false;
};

int RunCheck(const CheckFlags& flags) {
  CheckOptions options;
  if (flags.target_epsilon) {
    options.target_epsilon = *flags.target_epsilon;
    if (!(std::isfinite(options.target_epsilon) && options.target_epsilon > 0)) {
      return Fail(absl::InvalidArgumentError(absl::StrCat(
          "--target-epsilon is ", options.target_epsilon, " and must be a number above 0")));
    }
  }
  absl::StatusOr<CheckReport> report = CheckFile(flags.path, options);
  if (!report.ok()) return Fail(report.status());
  std::fputs(flags.as_json ? (CheckToJson(*report) + "\n").c_str() : CheckToText(*report).c_str(),
             stdout);
  return kSuccess;
}

// ---- dure coordinator ----

int RunCoordinator(const CoordinatorOptions& options) {
  // Block the signals before any thread is there.
  StopSignal stop;
  GiveMemoryBack();
  absl::Status checked = ExpectFederation(options.folder);
  if (checked.ok()) checked = CheckFile(FederationFilePath(options.folder)).status();
  if (!checked.ok()) return Fail(checked);
  absl::StatusOr<std::unique_ptr<CoordinatorService>> started = CoordinatorService::Start(options);
  if (!started.ok()) return Fail(started.status());
  CoordinatorService& service = **started;
  std::printf("coordinator of \"%s\", listening on %s\n",
              service.spec().federation().name().c_str(), service.listening().c_str());
  if (options.listen.empty() && HostOf(service.address()) != "127.0.0.1") {
    std::printf(
        "only programs on this machine can reach it; for members elsewhere: "
        "dure coordinator %s --listen 0.0.0.0:%s\n",
        options.folder.c_str(), PortOf(service.address()).c_str());
  }
  const RunStatus before = service.Status(RoundNumber(0));
  if (before.round() > 0) {
    std::printf("going on after round %u of %u; what was before: dure status %s\n", before.round(),
                before.rounds(), options.folder.c_str());
  }
  if (before.state() == "paused") {
    std::printf("paused: dure resume %s goes on\n", options.folder.c_str());
  }
  const uint32_t shown = before.evaluations().empty() ? 0 : before.evaluations().rbegin()->round();
  std::fflush(stdout);
  const bool terminal = IsTerminal(STDOUT_FILENO);
  if (terminal) SetLogLevel(LogLevel::kWarning);  // the table says the rest
  ProgressTable table(stdout, terminal, shown);
  std::optional<absl::Status> end;
  while (!(end = service.Wait(kRefresh))) {
    table.Update(service.Status(RoundNumber(table.last_round())));
    if (stop.Requested()) service.Stop();
  }
  table.Update(service.Status(RoundNumber(table.last_round())));
  table.Finish();
  RunStatus status = service.Status(RoundNumber(0));
  if (absl::IsCancelled(*end)) {
    std::printf("stopped after round %d of %d; the same command goes on from there\n",
                status.round(), status.rounds());
    EndSoon(kSuccess);
    return kSuccess;
  }
  if (!end->ok()) return Fail(*end, absl::IsResourceExhausted(*end) ? kRefused : kFailure);
  std::fputs(EndOfRun(status, options.folder).c_str(), stdout);
  return kSuccess;
}

// ---- commands that ask a running coordinator, or the store while none runs ----

absl::StatusOr<ControlReply> Ask(const std::string& folder, const ControlRequest& request) {
  DURE_RETURN_IF_ERROR(ExpectFederation(folder));
  absl::StatusOr<ControlReply> reply = CallControl(FederationPrivateFolder(folder), request);
  if (!absl::IsUnavailable(reply.status())) return reply;
  return absl::UnavailableError(absl::StrCat("no coordinator is running in ", folder,
                                             ": start it with `dure coordinator ", folder, "`"));
}

struct Stopped {
  FederationFolder federation;
  std::unique_ptr<Store> store;
};

absl::StatusOr<Stopped> OpenStopped(const std::string& folder) {
  DURE_ASSIGN_OR_RETURN(FederationFolder federation, ReadFederationFolder(folder));
  DURE_ASSIGN_OR_RETURN(std::unique_ptr<Store> store,
                        Store::Open(folder + "/state", federation.spec_digest));
  return Stopped{std::move(federation), std::move(store)};
}

absl::StatusOr<InviteReply> InviteAnyhow(const std::string& folder, const InviteRequest& request) {
  ControlRequest asked;
  *asked.mutable_invite() = request;
  absl::StatusOr<ControlReply> reply = Ask(folder, asked);
  if (reply.ok()) return reply->invite();
  if (!absl::IsUnavailable(reply.status())) return reply.status();
  DURE_ASSIGN_OR_RETURN(Stopped stopped, OpenStopped(folder));
  DURE_ASSIGN_OR_RETURN(const int port, stopped.store->SavedPort());
  SystemRandom random;
  return Invite(stopped.federation, *stopped.store,
                {.address = WithPort(stopped.federation.spec.federation().address(), port),
                 .now = absl::Now()},
                request, random);
}

int RunInvite(const std::string& folder, const InviteRequest& request, bool as_json) {
  absl::StatusOr<InviteReply> reply = InviteAnyhow(folder, request);
  if (!reply.ok()) return Fail(reply.status());
  if (as_json) {
    std::printf("%s\n", json({{"name", request.name()},
                              {"token", reply->token()},
                              {"expires_unix", reply->expires_unix()}})
                            .dump()
                            .c_str());
    return kSuccess;
  }
  // The token alone on standard output, so that it can be piped.
  std::printf("%s\n", reply->token().c_str());
  std::fprintf(
      stderr,
      "Give this to %s over a channel you trust. It works once, until %s:\n  dure join TOKEN\n",
      request.name().c_str(),
      absl::FormatTime("%Y-%m-%d %H:%M UTC", absl::FromUnixSeconds(reply->expires_unix()),
                       absl::UTCTimeZone())
          .c_str());
  return kSuccess;
}

absl::StatusOr<MembersReply> MembersAnyhow(const std::string& folder) {
  ControlRequest request;
  request.mutable_members();
  absl::StatusOr<ControlReply> reply = Ask(folder, request);
  if (reply.ok()) return reply->members();
  if (!absl::IsUnavailable(reply.status())) return reply.status();
  // Read only: a look at a folder changes nothing in it.
  absl::StatusOr<std::unique_ptr<Store>> store = Store::OpenForReading(folder + "/state");
  if (absl::IsNotFound(store.status())) return MembersReply();  // nobody can have joined yet
  DURE_RETURN_IF_ERROR(store.status());
  return ListMembers(**store);
}

int RunMembers(const std::string& folder, bool as_json) {
  absl::StatusOr<MembersReply> reply = MembersAnyhow(folder);
  if (!reply.ok()) return Fail(reply.status());
  if (!as_json) {
    absl::PrintF("%-20s  %-20s  %-9s  %-9s  %s\n", "name", "organisation", "role", "state",
                 "last seen");
  }
  for (const MembersReply::Member& member : reply->members()) {
    const char* role = member.role() == EVALUATOR ? "evaluator" : "member";
    const char* state = member.revoked() ? "revoked" : member.connected() ? "here" : "away";
    std::string seen = absl::FormatTime(
        "%Y-%m-%d %H:%M UTC", absl::FromUnixSeconds(member.last_seen_unix()), absl::UTCTimeZone());
    if (as_json) {
      std::printf("%s\n", json({{"name", member.name()},
                                {"organisation", member.organisation()},
                                {"role", role},
                                {"state", state},
                                {"last_seen_unix", member.last_seen_unix()},
                                {"client_id", member.client_id()}})
                              .dump()
                              .c_str());
    } else {
      absl::PrintF("%-20s  %-20s  %-9s  %-9s  %s\n", member.name(), member.organisation(), role,
                   state, seen);
    }
  }
  return kSuccess;
}

int RunRevoke(const std::string& folder, const std::string& name) {
  ControlRequest request;
  request.mutable_revoke()->set_name(name);
  absl::StatusOr<ControlReply> reply = Ask(folder, request);
  absl::Status status = reply.status();
  if (absl::IsUnavailable(status)) {
    absl::StatusOr<Stopped> stopped = OpenStopped(folder);
    status = stopped.ok() ? stopped->store->Revoke(name, absl::Now()).status() : stopped.status();
  }
  if (!status.ok()) return Fail(status);
  std::printf("%s is no member any more, and no token of that name works\n", name.c_str());
  return kSuccess;
}

// The state of a run that nobody is running.
absl::StatusOr<RunStatus> StatusOfStopped(const std::string& folder, uint32_t after_round) {
  DURE_ASSIGN_OR_RETURN(FederationFolder federation, ReadFederationFolder(folder));
  DURE_ASSIGN_OR_RETURN(std::unique_ptr<Store> store, Store::OpenForReading(folder + "/state"));
  DURE_ASSIGN_OR_RETURN(RunState state, store->LoadRun());
  DURE_ASSIGN_OR_RETURN(ModelFile initial, ReadInitialModel(folder, federation.spec));
  SystemRandom random;
  DURE_ASSIGN_OR_RETURN(std::unique_ptr<FederationEngine> engine,
                        FederationEngine::Create({.spec = federation.spec,
                                                  .spec_digest = federation.spec_digest,
                                                  .initial_model = std::move(initial.params),
                                                  .random = &random},
                                                 std::move(state)));
  RunStatus status = engine->Status(RoundNumber(after_round), std::numeric_limits<size_t>::max());
  const bool finished = status.round() == status.rounds();
  status.set_state(finished ? "finished" : "stopped");
  status.set_phase(finished ? "finished" : "no coordinator is running");
  status.set_eta_seconds(-1);
  return status;
}

// With all released rounds after `after_round`, whether a coordinator is running or not.
absl::StatusOr<RunStatus> StatusAnyhow(const std::string& folder, uint32_t after_round) {
  ControlRequest request;
  request.mutable_status()->set_after_round(after_round);
  absl::StatusOr<ControlReply> reply = Ask(folder, request);
  if (absl::IsUnavailable(reply.status())) return StatusOfStopped(folder, after_round);
  if (!reply.ok()) return reply.status();
  RunStatus status = reply->status();
  while (status.more() && status.history_size() > 0) {
    request.mutable_status()->set_after_round(status.history().rbegin()->round());
    DURE_ASSIGN_OR_RETURN(ControlReply next, Ask(folder, request));
    status.mutable_history()->MergeFrom(next.status().history());
    status.mutable_evaluations()->MergeFrom(next.status().evaluations());
    status.set_more(next.status().more());
  }
  return status;
}

// Follows a run to its end.
int WatchStatus(const std::string& folder) {
  StopSignal stop;
  ProgressTable table(stdout, IsTerminal(STDOUT_FILENO));
  while (!stop.Requested()) {
    absl::StatusOr<RunStatus> status = StatusAnyhow(folder, table.last_round());
    if (!status.ok()) {
      table.Finish();
      return Fail(status.status());
    }
    table.Update(*status);
    if (status->state() == "finished" || status->state() == "failed" ||
        status->state() == "stopped") {
      table.Finish();
      if (status->state() == "finished") {
        absl::StatusOr<RunStatus> whole = StatusAnyhow(folder, 0);
        if (!whole.ok()) return Fail(whole.status());
        std::fputs(EndOfRun(*whole, folder).c_str(), stdout);
        return kSuccess;
      }
      return Fail(absl::UnknownError(status->text().empty() ? status->phase() : status->text()));
    }
    absl::SleepFor(kRefresh);
  }
  table.Finish();
  return kSuccess;
}

int RunStatusCommand(const std::string& folder, bool as_json, bool watch) {
  if (watch) return WatchStatus(folder);
  absl::StatusOr<RunStatus> status = StatusAnyhow(folder, 0);
  if (!status.ok()) return Fail(status.status());
  std::fputs(as_json ? (StatusToJson(*status) + "\n").c_str() : StatusToText(*status).c_str(),
             stdout);
  return kSuccess;
}

int RunControl(const std::string& folder, const ControlRequest& request, const char* done) {
  absl::StatusOr<ControlReply> reply = Ask(folder, request);
  if (absl::IsUnavailable(reply.status())) {
    absl::StatusOr<RunStatus> stopped = StatusOfStopped(folder, 0);
    if (stopped.ok() && stopped->state() == "finished") {
      return Fail(absl::FailedPreconditionError(
          absl::StrCat("the run in ", folder, " is finished, and nothing is running")));
    }
  }
  if (!reply.ok()) return Fail(reply.status());
  std::printf("%s\n", done);
  return kSuccess;
}

CLI::Option* AddFolder(CLI::App* command, std::string& folder) {
  return command->add_option("DIR", folder, "the federation's folder")->required();
}

void AddInvite(CLI::App& app, int* exit_code) {
  struct Flags {
    std::string folder, role = "member", expires = "24h";
    InviteRequest request;
    bool as_json = false;
  };
  auto flags = std::make_shared<Flags>();
  CLI::App* command = AddCommand(app, "invite", "Prints a token with which one member can join",
                                 "dure invite clinics --name clinic-1 --org \"City Hospital\"");
  AddFolder(command, flags->folder);
  command
      ->add_option_function<std::string>(
          "--name", [flags](const std::string& name) { flags->request.set_name(name); },
          "of the member, unique in the federation")
      ->required();
  command->add_option_function<std::string>(
      "--org", [flags](const std::string& org) { flags->request.set_organisation(org); },
      "the member's organisation");
  command->add_option("--role", flags->role, "member or evaluator")
      ->check(CLI::IsMember({"member", "evaluator"}))
      ->capture_default_str();
  command->add_option("--expires", flags->expires, "how long the token works, such as 90m or 24h")
      ->capture_default_str();
  command->add_flag("--json", flags->as_json, "one JSON object");
  command->callback([flags, exit_code] {
    absl::Duration valid;
    if (!absl::ParseDuration(flags->expires, &valid)) {
      *exit_code = Fail(absl::InvalidArgumentError(absl::StrCat(
          "--expires ", flags->expires, " is no duration: write for example 90m or 24h")));
      return;
    }
    flags->request.set_role(flags->role == "evaluator" ? EVALUATOR : MEMBER);
    flags->request.set_valid_seconds(absl::ToInt64Seconds(valid));
    *exit_code = RunInvite(flags->folder, flags->request, flags->as_json);
  });
}

void AddStatus(CLI::App& app, int* exit_code) {
  struct Flags {
    std::string folder;
    bool as_json = false, watch = false;
  };
  auto flags = std::make_shared<Flags>();
  CLI::App* command =
      AddCommand(app, "status", "Prints where the run is", "dure status clinics --watch");
  AddFolder(command, flags->folder);
  auto* as_json = command->add_flag("--json", flags->as_json, "one JSON object");
  command->add_flag("--watch", flags->watch, "a live table, until the run ends")->excludes(as_json);
  command->callback([flags, exit_code] {
    *exit_code = RunStatusCommand(flags->folder, flags->as_json, flags->watch);
  });
}

void AddControls(CLI::App& app, int* exit_code) {
  struct Control {
    const char* name;
    const char* description;
    const char* done;
    ControlRequest request;
  };
  Control controls[3] = {
      {"pause", "Starts no further attempt, after the one under way", "pausing", {}},
      {"resume", "Goes on after dure pause", "going on", {}},
      {"stop",
       "Ends the coordinator; the same command starts it again where it stopped",
       "stopping",
       {}}};
  controls[0].request.mutable_pause()->set_paused(true);
  controls[1].request.mutable_pause()->set_paused(false);
  controls[2].request.mutable_stop();
  for (const Control& control : controls) {
    auto folder = std::make_shared<std::string>();
    CLI::App* command = AddCommand(app, control.name, control.description,
                                   absl::StrCat("dure ", control.name, " clinics"));
    AddFolder(command, *folder);
    command->callback([folder, control, exit_code] {
      *exit_code = RunControl(*folder, control.request, control.done);
    });
  }
}

}  // namespace

void AddOrganiserCommands(CLI::App& app, int* exit_code) {
  auto init = std::make_shared<InitFlags>();
  CLI::App* command = AddCommand(app, "init", "Makes a federation's folder: terms, keys, weights",
                                 "dure init clinics --address coordinator.example.org:7443");
  command->add_option("DIR", init->folder, "the folder to make")->required();
  command->add_option("--from", init->from, "an example's name, or a federation file")
      ->capture_default_str();
  command->add_option("--name", init->name, "of the federation");
  command->add_option("--address", init->address, "HOST:PORT that members will dial");
  command->callback([init, exit_code] { *exit_code = RunInit(*init); });

  auto check = std::make_shared<CheckFlags>();
  command =
      AddCommand(app, "check", "Says what a federation file means, and refuses what cannot work",
                 "dure check clinics/federation.toml");
  command->add_option("FEDERATION.toml", check->path, "the file")->required();
  command->add_option("--target-epsilon", check->target_epsilon,
                      "say what would reach this epsilon: how much noise, or how many rounds");
  command->add_flag("--json", check->as_json, "one JSON object");
  command->callback([=] { *exit_code = RunCheck(*check); });

  auto coordinator = std::make_shared<CoordinatorOptions>();
  command = AddCommand(app, "coordinator", "Runs a federation; after a crash it goes on by itself",
                       "dure coordinator clinics --listen 0.0.0.0:7443");
  AddFolder(command, coordinator->folder);
  command->add_flag("--new-terms", coordinator->new_terms,
                    "federation.toml has changed since members agreed to it: ask them again");
  command->add_option("--listen", coordinator->listen,
                      "HOST:PORT; without it 127.0.0.1 and the port of federation.address");
  command->callback([=] { *exit_code = RunCoordinator(*coordinator); });

  AddInvite(app, exit_code);

  auto members = std::make_shared<std::string>();
  auto members_json = std::make_shared<bool>(false);
  command = AddCommand(app, "members", "Lists who has joined", "dure members clinics");
  AddFolder(command, *members);
  command->add_flag("--json", *members_json, "one JSON object a line");
  command->callback([=] { *exit_code = RunMembers(*members, *members_json); });

  auto revoked = std::make_shared<std::pair<std::string, std::string>>();
  command = AddCommand(app, "revoke", "Ends a membership, or an invitation",
                       "dure revoke clinics clinic-3");
  AddFolder(command, revoked->first);
  command->add_option("NAME", revoked->second, "of the member or the invitation")->required();
  command->callback([=] { *exit_code = RunRevoke(revoked->first, revoked->second); });

  AddStatus(app, exit_code);
  AddControls(app, exit_code);
}

}  // namespace dure::cli
