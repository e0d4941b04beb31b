// Commands of whoever takes part with data of their own.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/paragraph.h"
#include "base/status_macros.h"
#include "base/terminal.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/join_command.h"
#include "cli/log_flag.h"
#include "cli/node_folder.h"
#include "cli/programs.h"
#include "cli/spending_text.h"
#include "cli/stop_signal.h"
#include "client/service/client_service.h"
#include "client/service/last_end.h"
#include "client/service/node.h"
#include "federation/spec.h"
#include "federation/spec_fields.h"
#include "federation/terms/check.h"
#include "nlohmann/json.hpp"
#include "transport/control_socket.h"

namespace dure::cli {
namespace {

using json = nlohmann::ordered_json;

constexpr absl::Duration kRefresh = absl::Milliseconds(500);
// Piped, a client says how it is getting on this often.
constexpr uint32_t kProgressEvery = 50;

// ---- dure client ----

struct ClientFlags {
  std::string node = DefaultNodeFolder();
  int threads = 0;
  std::string trainer;
  bool as_json = false;
  bool charge_missing = false;
  std::string log = "text";
};

// Entries in JSON say which attempt they belong to.
void FollowOffers(const ServerMessage& message) {
  if (!message.has_offer()) return;
  const secagg::RoundConfig& config = message.offer().offer().config();
  SetLogRound(config.round(), config.attempt());
}

// Lines for a person: the live one moves on a terminal; piped, it is said now and then.
class Narrator {
 public:
  Narrator() : terminal_(IsTerminal(STDOUT_FILENO)) {}

  void operator()(const member::Tell& tell) {
    if (CurrentLogFormat() == LogFormat::kJson) {
      tell.level == member::Tell::Level::kWarning ? LogWarning(tell.text) : LogInfo(tell.text);
      return;
    }
    if (tell.level == member::Tell::Level::kProgress) {
      ++progress_;
      if (terminal_) {
        std::printf("\r\033[K%s", tell.text.c_str());
        live_ = true;
      } else if (progress_ % kProgressEvery == 0) {
        std::printf("%s\n", tell.text.c_str());
      }
    } else {
      EndLine();
      FILE* out = tell.level == member::Tell::Level::kWarning ? stderr : stdout;
      std::fprintf(out, "%s\n", tell.text.c_str());
    }
    std::fflush(stdout);
  }
  void EndLine() {
    if (live_) std::printf("\n");
    live_ = false;
  }

 private:
  const bool terminal_;
  bool live_ = false;
  uint32_t progress_ = 0;
};

int RunClient(const ClientFlags& flags) {
  if (absl::Status status = AwaitMembership(flags.node); !status.ok()) return Fail(status);
  if (IsJsonLog(flags.log)) SetLogFormat(LogFormat::kJson);
  absl::StatusOr<std::string> program =
      flags.trainer.empty() ? FindProgram("dure-trainer") : flags.trainer;
  if (!program.ok()) return Fail(program.status());
  auto narrator = std::make_shared<Narrator>();
  absl::StatusOr<std::unique_ptr<ClientService>> started = ClientService::Start(
      {.node_folder = flags.node,
       .trainer_program = *program,
       .threads = flags.threads > 0
                      ? flags.threads
                      : static_cast<int>(std::max(1u, std::thread::hardware_concurrency())),
       .charge_missing = flags.charge_missing,
       .tell = [narrator](const member::Tell& tell) { (*narrator)(tell); },
       .on_receive = IsJsonLog(flags.log) ? FollowOffers : nullptr});
  if (!started.ok()) {
    // Not that another one runs there.
    if (IsNode(flags.node) && FileLock::Acquire(PrivateFolder(flags.node) + "/lock").ok()) {
      KeepLastEnd(flags.node, std::string(started.status().message()), absl::Now());
    }
    return Fail(started.status(), IsRefusal(started.status()) ? kRefused : kFailure);
  }
  ForgetLastEnd(flags.node);
  StopSignal stop;  // from here on there is something to bring to an end
  ClientService& service = **started;
  SetLogFederation(service.node().spec.federation().name());
  SetLogMember(service.node().membership.name);
  absl::PrintF("%s \"%s\" of \"%s\", %s in %s\n",
               service.node().membership.role == EVALUATOR ? "evaluator" : "member",
               service.node().membership.name, service.node().spec.federation().name(),
               Counted(service.data().records, "record"), *service.node().data_folder);
  for (const SandboxLayer& layer : service.sandbox()) {
    if (layer.applied || IsSpareLayer(layer.name)) continue;
    const std::string text = absl::StrCat("the trainer runs without one layer of its sandbox (",
                                          layer.name, "): ", layer.detail);
    if (CurrentLogFormat() == LogFormat::kJson) {
      LogWarning(text);
    } else {
      std::fprintf(stderr, "%s\n", text.c_str());
    }
  }
  std::fflush(stdout);
  std::optional<absl::Status> end;
  while (!(end = service.Wait(kRefresh))) {
    if (stop.Requested()) service.Stop();
  }
  narrator->EndLine();
  if (absl::IsCancelled(*end)) {
    std::printf("stopped; nothing is lost, the same command takes part again\n");
    EndSoon(kSuccess);
    return kSuccess;
  }
  KeepLastEnd(flags.node,
              end->ok() ? absl::StrCat("the run is over: ", service.end_text())
                        : std::string(end->message()),
              absl::Now());
  if (!end->ok()) {
    return Fail(*end, absl::IsPermissionDenied(*end) ? kRefused : kFailure);
  }
  std::printf("the run is over: %s\n", service.end_text().c_str());
  return kSuccess;
}

json WaitingToJson(const WaitingReport::Item& item) {
  return {{"reason", item.reason()},
          {"text", item.text()},
          {"until_unix", item.until_unix() == 0 ? json(nullptr) : json(item.until_unix())}};
}

json NotesToJson(const WaitingReport& waiting) {
  json notes = json::array();
  for (const WaitingReport::Item& note : waiting.notes()) notes.push_back(WaitingToJson(note));
  return notes;
}

int RunClientStatus(const ClientFlags& flags) {
  if (absl::Status status = ReadNode(flags.node).status(); !status.ok()) return Fail(status);
  ControlRequest request;
  request.mutable_status();
  absl::StatusOr<ControlReply> reply = CallControl(PrivateFolder(flags.node), request);
  if (absl::IsUnavailable(reply.status())) {
    const std::string last = LastEnd(flags.node);
    return Fail(absl::UnavailableError(
        absl::StrCat("no client is running in ", flags.node,
                     last.empty() ? "" : absl::StrCat(", the last one ended on ", last),
                     ": start it with `dure client --node ", flags.node,
                     "`; what was spent: `dure policy show --node ", flags.node, "`")));
  }
  if (!reply.ok()) return Fail(reply.status());
  const RunStatus& status = reply->status();
  if (flags.as_json) {
    std::printf("%s\n",
                json({{"federation", status.federation()},
                      {"state", status.state()},
                      {"waiting", WaitingToJson(status.waiting().now())},
                      {"notes", NotesToJson(status.waiting())},
                      {"clock_ahead_seconds", status.waiting().clock_known()
                                                  ? json(status.waiting().clock_ahead_ms() / 1000.0)
                                                  : json(nullptr)},
                      {"round", status.round()},
                      {"rounds", status.rounds()},
                      {"charged_attempts", status.attempt()},
                      {"epsilon", status.epsilon()},
                      {"max_epsilon", status.max_epsilon()},
                      {"delta", status.delta()},
                      {"unit", status.unit()},
                      {"epsilon_left", std::max(0.0, status.max_epsilon() - status.epsilon())},
                      {"data", status.has_data() ? SpendingToJson(status.data()) : nullptr}})
                    .dump()
                    .c_str());
    return kSuccess;
  }
  absl::PrintF("%s: %s; round %d of %d\n", status.federation(), status.phase(), status.round(),
               status.rounds());
  for (const WaitingReport::Item& note : status.waiting().notes()) {
    absl::PrintF("note: %s\n", note.text());
  }
  PrivacySection section;
  const Field& unit = *PrivacySection::descriptor()->FindFieldByName("unit");
  if (!SetChoice(status.unit(), &section, unit)) section.set_unit(PrivacySection::RECORD);
  std::fputs(FederationSpendingText({.federation = status.federation(),
                                     .unit = section.unit(),
                                     .secure_aggregation = status.secure_aggregation(),
                                     .epsilon = status.epsilon(),
                                     .max_epsilon = status.max_epsilon(),
                                     .delta = status.delta(),
                                     .charges = status.attempt()})
                 .c_str(),
             stdout);
  if (status.has_data()) std::fputs(DataSpendingText(status.data()).c_str(), stdout);
  return kSuccess;
}

}  // namespace

void AddMemberCommands(CLI::App& app, int* exit_code) {
  AddJoinCommand(app, exit_code);
  auto client = std::make_shared<ClientFlags>();
  CLI::App* command = AddCommand(app, "client", "Takes part, until the run is over", "dure client");
  AddNodeOption(command, &client->node);
  command->add_option("--trainer", client->trainer,
                      "program that trains in the place of dure-trainer: one of your own");
  command->add_option("--threads", client->threads, "of the trainer; default: every core")
      ->check(CLI::Range(1, 1024));
  AddLogOption(command, &client->log);
  command->add_flag("--charge-missing", client->charge_missing,
                    "charges in full what a ledger lacks because it is an old copy, and goes on");
  auto status_flags = std::make_shared<ClientFlags>();
  CLI::App* status = AddCommand(*command, "status", "Prints how the running client is getting on",
                                "dure client status");
  AddNodeOption(status, &status_flags->node);
  status->add_flag("--json", status_flags->as_json, "one JSON object");
  status->callback([status, status_flags, client, exit_code] {
    // `dure client --node DIR status` means the same.
    if (status->count("--node") == 0) status_flags->node = client->node;
    *exit_code = RunClientStatus(*status_flags);
  });
  AddGuestCommands(
      *command, [client] { return client->node; }, exit_code);
  command->callback([client, command, exit_code] {
    if (command->get_subcommands().empty()) *exit_code = RunClient(*client);
  });
}

}  // namespace dure::cli
