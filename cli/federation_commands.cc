// Commands about a federation that exists: they ask the running coordinator, or the store while
// none runs.
#include <unistd.h>

#include <cstdio>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "base/terminal.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/progress.h"
#include "cli/run_report.h"
#include "cli/stop_signal.h"
#include "client/member_list.h"
#include "coordinator/service/coordinator_service.h"
#include "coordinator/service/federation_folder.h"
#include "coordinator/service/federation_schema.h"
#include "coordinator/service/membership.h"
#include "coordinator/service/own_certificate.h"
#include "coordinator/service/signing_folder.h"
#include "coordinator/service/store.h"
#include "federation/spec.h"
#include "nlohmann/json.hpp"
#include "transport/control_socket.h"

namespace dure::cli {
namespace {

using nlohmann::json;

constexpr absl::Duration kRefresh = absl::Milliseconds(250);

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

// Who has asked to join and waits for the CA's signature.
void PrintWaiting(const std::string& folder, bool as_json) {
  for (const WaitingRequest& waiting : ListWaiting(FederationPrivateFolder(folder))) {
    const SigningRequest& request = waiting.request;
    if (request.role == CertificateRole::kCoordinator || request.invitation.empty()) continue;
    const std::string role(RoleName(request.role));
    if (as_json) {
      std::printf("%s\n", json({{"name", request.name},
                                {"organisation", request.organisation},
                                {"role", role},
                                {"state", "unsigned"},
                                {"last_seen_unix", absl::ToUnixSeconds(request.asked)},
                                {"request", waiting.path}})
                              .dump()
                              .c_str());
    } else {
      absl::PrintF("%-20s  %-20s  %-9s  %-9s  dure sign CA_DIR %s\n", request.name,
                   request.organisation, role, "unsigned", waiting.path);
    }
  }
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
  PrintWaiting(folder, as_json);
  return kSuccess;
}

// Members, not evaluators, as docs/formats/member-list.md has them.
absl::StatusOr<MemberList> ListFrom(const MembersReply& reply) {
  MemberList list;
  for (const MembersReply::Member& member : reply.members()) {
    if (member.role() != MEMBER) continue;
    const std::string bytes = absl::HexStringToBytes(member.client_id());
    const std::optional<Digest> id = DigestFromBytes(bytes);
    if (!id) return absl::DataLossError(absl::StrCat(member.name(), " has no client id"));
    list.push_back({.id = *id,
                    .name = member.name(),
                    .organisation = member.organisation(),
                    .revoked = member.revoked()});
  }
  if (list.size() > kMaxListedMembers) {
    return absl::ResourceExhaustedError(absl::StrCat(list.size(), " members are above the ",
                                                     kMaxListedMembers, " that a list may have"));
  }
  return list;
}

int RunExportMembers(const std::string& folder, const std::string& path) {
  absl::StatusOr<MembersReply> reply = MembersAnyhow(folder);
  if (!reply.ok()) return Fail(reply.status());
  absl::StatusOr<MemberList> list = ListFrom(*reply);
  if (!list.ok()) return Fail(list.status());
  absl::Status written = WriteFileAtomic(path, EncodeMemberList(*list));
  if (!written.ok()) return Fail(written, kFailure);
  const size_t active = CountActive(*list);
  std::printf("%zu members and %zu revoked ones are in %s\nsha256 %s\n", active,
              list->size() - active, path.c_str(), MemberListDigest(*list).c_str());
  std::fputs(
      "Send it to the members. They compare it with what they know of each other, and the sha256 "
      "among\nthemselves, not with you alone; then each runs\n  dure policy set members FILE\n",
      stderr);
  return kSuccess;
}

int RunRevoke(const std::string& folder, const std::string& name) {
  ControlRequest request;
  request.mutable_revoke()->set_name(name);
  absl::StatusOr<ControlReply> reply = Ask(folder, request);
  absl::Status status = reply.status();
  if (absl::IsUnavailable(status)) {
    absl::StatusOr<Stopped> stopped = OpenStopped(folder);
    status = stopped.status();
    if (stopped.ok()) {
      const size_t waited = WithdrawWaiting(FederationPrivateFolder(folder), name);
      status = stopped->store->Revoke(name, absl::Now()).status();
      if (absl::IsNotFound(status) && waited > 0) status = absl::OkStatus();
    }
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
  DURE_ASSIGN_OR_RETURN(ModelParts parts,
                        ModelParts::Create(std::move(initial.manifest), federation.spec.model()));
  DURE_ASSIGN_OR_RETURN(std::optional<Schema> schema,
                        ReadFederationSchema(folder, federation.spec));
  SystemRandom random;
  DURE_ASSIGN_OR_RETURN(std::unique_ptr<FederationEngine> engine,
                        FederationEngine::Create({.spec = federation.spec,
                                                  .spec_digest = federation.spec_digest,
                                                  .initial_model = std::move(initial.params),
                                                  .parts = std::move(parts),
                                                  .schema = std::move(schema),
                                                  .random = &random},
                                                 std::move(state)));
  RunStatus status = engine->Status(RoundNumber(after_round), std::numeric_limits<size_t>::max());
  const bool early = status.patience() > 0 && status.without_improvement() >= status.patience();
  const bool finished = early || status.round() == status.rounds();
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

// What ends soon, and what waits for the CA's signature.
void PrintCertificateNotes(const std::string& folder) {
  const absl::StatusOr<FederationFolder> federation = ReadFederationFolder(folder);
  if (!federation.ok()) return;  // told by others
  for (const std::string& warning : CertificateWarnings(*federation, absl::Now())) {
    std::printf("note: %s\n", warning.c_str());
  }
  const size_t waiting = ListWaiting(FederationPrivateFolder(folder)).size();
  if (waiting == 0) return;
  std::printf("note: %zu of %s/requests wait for a signature: see dure sign --help\n", waiting,
              FederationPrivateFolder(folder).c_str());
}

int RunStatusCommand(const std::string& folder, bool as_json, bool watch) {
  if (watch) return WatchStatus(folder);
  absl::StatusOr<RunStatus> status = StatusAnyhow(folder, 0);
  if (!status.ok()) return Fail(status.status());
  std::fputs(as_json ? (StatusToJson(*status) + "\n").c_str() : StatusToText(*status).c_str(),
             stdout);
  if (!as_json) PrintCertificateNotes(folder);
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

void AddFederationCommands(CLI::App& app, int* exit_code) {
  AddInvite(app, exit_code);

  struct MembersFlags {
    std::string folder, path;
    bool as_json = false;
  };
  auto members = std::make_shared<MembersFlags>();
  CLI::App* command = AddCommand(app, "members", "Lists who has joined", "dure members clinics");
  AddFolder(command, members->folder);
  auto* as_json = command->add_flag("--json", members->as_json, "one JSON object a line");
  command
      ->add_option("--export", members->path,
                   "write the list that members pin with `dure policy set members FILE`")
      ->type_name("FILE")
      ->excludes(as_json);
  command->callback([=] {
    *exit_code = members->path.empty() ? RunMembers(members->folder, members->as_json)
                                       : RunExportMembers(members->folder, members->path);
  });

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
