#include "client/service/preflight.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/paragraph.h"
#include "base/quantity.h"
#include "client/policy.h"
#include "client/policy_keys.h"
#include "client/service/data_ledger_file.h"
#include "client/service/guest_file.h"
#include "client/service/ledger_file.h"
#include "client/service/machine_state.h"
#include "client/service/node.h"
#include "client/service/spending.h"
#include "client/service/terms_request.h"
#include "client/service/trainer_options.h"
#include "client/waiting.h"
#include "crypto/x509.h"
#include "federation/spec.h"
#include "federation/terms/check.h"
#include "privacy/secagg/identity.h"
#include "transport/control_socket.h"
#include "transport/look.h"

namespace dure {
namespace {

using Result = PreflightCheck::Result;

constexpr absl::Duration kPatience = absl::Seconds(10);

// One run over a node.
class Preflight {
 public:
  Preflight(const PreflightOptions& options, const std::function<void(PreflightCheck)>& done,
            Node node)
      : options_(options), done_(done), node_(std::move(node)) {}

  void Run() {
    Say("node", Result::kPass,
        absl::StrCat(node_.membership.role == EVALUATOR ? "evaluator \"" : "member \"",
                     node_.membership.name, "\" of \"", node_.spec.federation().name(), "\""));
    running_ = absl::IsFailedPrecondition(
        FileLock::Acquire(PrivateFolder(node_.folder) + "/lock").status());
    const bool reached = CheckAddress();
    CheckCertificate();
    if (running_) {
      AskRunningClient();
    } else if (reached) {
      CheckTerms();
    }
    CheckClock();
    CheckLimits();
    CheckBudget();
    CheckMachine();
    CheckData();
  }

 private:
  void Say(const std::string& name, Result result, std::string text, std::string remedy = "") {
    done_({.name = name, .result = result, .text = std::move(text), .remedy = std::move(remedy)});
  }
  void Fail(const std::string& name, const absl::Status& status, std::string remedy = "") {
    Say(name, Result::kFail, std::string(status.message()), std::move(remedy));
  }

  bool CheckAddress() {
    const std::string& address = node_.membership.address;
    const AddressLook look = LookAtAddress(address, node_.ca_certificate, absl::Now(), kPatience);
    if (!look.reached.ok()) {
      Fail("address", look.reached, "check the network; ask the organiser for the address");
      return false;
    }
    Say("address", Result::kPass, absl::StrCat(address, " answers at ", look.where));
    if (!look.tls.ok()) {
      Fail("tls", look.tls,
           absl::IsFailedPrecondition(look.tls) ? "look at this machine's clock" : "");
      return false;
    }
    Say("tls", Result::kPass,
        absl::StrCat("not opened on the way: the certificate is of the enrolment CA ",
                     CertificateFingerprint(node_.ca_certificate).substr(0, 23), ":..."));
    return true;
  }

  void CheckCertificate() {
    absl::StatusOr<Certificate> own =
        VerifyCertificateAtAnyTime(node_.certificate, node_.ca_certificate);
    if (!own.ok()) {
      return Fail("certificate", own.status(), "ask the organiser for a new invitation");
    }
    const absl::Time now = absl::Now();
    const std::vector<WaitingItem> notes = NotesOf({.now = now,
                                                    .certificate_begins = own->validity.not_before,
                                                    .certificate_ends = own->validity.not_after});
    if (notes.empty()) {
      return Say("certificate", Result::kPass,
                 absl::StrCat("it ends in ", LengthInWords(own->validity.not_after - now)));
    }
    const bool ends = notes.front().reason == "certificate_expires";
    Say("certificate", ends ? Result::kNote : Result::kFail, notes.front().text,
        ends ? "a client that runs renews it by itself" : "");
  }

  void AskRunningClient() {
    ControlRequest request;
    request.mutable_status();
    absl::StatusOr<ControlReply> reply = CallControl(PrivateFolder(node_.folder), request);
    if (!reply.ok()) return Fail("client", reply.status());
    const WaitingReport& waiting = reply->status().waiting();
    Say("client", Result::kPass, absl::StrCat("it runs: ", waiting.now().text()));
    if (waiting.clock_known()) clock_ahead_ = absl::Milliseconds(waiting.clock_ahead_ms());
  }

  void CheckTerms() {
    absl::StatusOr<FederationSpec> newest = AskForTerms(node_, kPatience, &clock_ahead_);
    if (!newest.ok()) return Fail("terms", newest.status());
    if (SpecDigest(*newest) == node_.spec_digest) {
      return Say("terms", Result::kPass, "those that were approved are the newest");
    }
    Say("terms", Result::kFail, "the coordinator now asks for other terms",
        absl::StrCat("dure terms show --node ", node_.folder));
  }

  void CheckClock() {
    if (!clock_ahead_) {
      return Say(
          "clock", Result::kNote,
          absl::StrCat("this machine says ",
                       absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", absl::Now(), absl::UTCTimeZone()),
                       "; nobody was asked what time it is"));
    }
    const std::vector<WaitingItem> notes =
        NotesOf({.now = absl::Now(), .clock_ahead = clock_ahead_});
    if (!notes.empty()) {
      return Say("clock", Result::kFail, notes.front().text, "timedatectl set-ntp true");
    }
    Say("clock", Result::kPass,
        absl::StrFormat("within %.1f s of the coordinator's",
                        std::abs(absl::ToDoubleSeconds(*clock_ahead_))));
  }

  void CheckLimits() {
    absl::StatusOr<CheckReport> report = CheckFederation(node_.spec);
    if (!report.ok()) return Fail("policy", report.status());
    const std::vector<PolicyFault> faults = FaultsOfTerms(node_.policy, node_.spec, report->terms);
    for (const PolicyFault& fault : faults) {
      Fail("policy", fault.status,
           absl::StrCat("dure policy set ", fault.key, " ",
                        PolicyValue(PolicyOf(node_.spec), fault.key), " --node ", node_.folder));
    }
    if (faults.empty()) Say("policy", Result::kPass, "this member's limits allow the terms");
  }

  void CheckBudget() {
    if (node_.membership.role != MEMBER || node_.spec.privacy().unit() == PrivacySection::NONE) {
      return Say("budget", Result::kPass, "nothing is charged here");
    }
    absl::StatusOr<Ledger> ledger = LedgerFile::Read(LedgerPath(node_.folder));
    if (!ledger.ok()) return Fail("budget", ledger.status());
    std::unique_ptr<DataLedgerFile> data;
    if (node_.registration) {
      absl::StatusOr<std::string> root = DataLedgersFolder();
      if (!root.ok()) return Fail("budget", root.status());
      auto opened = DataLedgerFile::Open(*root, node_.registration->identity,
                                         secagg::MemberIdOf(node_.key.public_key()));
      if (!opened.ok()) return Fail("budget", opened.status());
      data = *std::move(opened);
    }
    const DataSpent* spent = data ? &data->spent() : nullptr;
    const double here = SpentInFederation(node_.spec, ledger->charges(), spent);
    const double next = SpentInFederation(node_.spec, ledger->charges() + 1, spent);
    const Policy& policy = node_.policy;
    const std::string text =
        absl::StrFormat("epsilon %.4g of max_epsilon %.4g is spent, %s", here, policy.max_epsilon,
                        Counted(ledger->charges(), "attempt"));
    if (next > policy.max_epsilon) {
      return Say("budget", Result::kFail, text + "; the next attempt does not fit",
                 "dure policy set max_epsilon, if more may be learned of this data");
    }
    if (data) {
      const DataSpending all = SpentOnData(*data, policy);
      const double most = std::max(all.record_epsilon(), all.client_epsilon());
      if (most >= policy.total_epsilon) {
        return Say("budget", Result::kFail,
                   absl::StrFormat("all federations together have spent epsilon %.4g of "
                                   "total_epsilon %.4g on this data",
                                   most, policy.total_epsilon),
                   "dure policy set total_epsilon, if more may be learned of this data");
      }
    }
    Say("budget", Result::kPass, text);
  }

  void CheckMachine() {
    absl::StatusOr<GuestFile> guest = ReadGuestFile(node_.folder);
    if (!guest.ok()) return Fail("machine", guest.status(), "mend or remove the file");
    const MachineState state =
        LookAtMachine(node_.folder, guest->limits, absl::Now(), RealPlaces());
    const std::optional<Pause> pause =
        WhyPaused(guest->limits, IsPausedHere(node_.folder), state, absl::LocalTimeZone());
    const bool full = pause && pause->why == Pause::Why::kDiskFull;
    if (full) {
      Say("disk", Result::kFail, pause->text, "make room, or dure policy set keep_free SIZE");
    } else {
      Say("disk", Result::kPass,
          absl::StrCat(BytesInWords(state.free_disk), " are free for ", node_.folder));
    }
    if (pause && !full) {
      Say("machine", Result::kNote, pause->text);
    } else {
      Say("machine", Result::kPass, "nothing pauses the client now");
    }
  }

  void CheckData() {
    const std::string add = absl::StrCat("dure data add PATH --node ", node_.folder);
    if (!node_.data_folder) {
      return Say("data", Result::kFail, "no data is registered", add);
    }
    if (node_.membership.role == MEMBER) {
      absl::StatusOr<std::string> root = DataLedgersFolder();
      if (!root.ok()) return Fail("data", root.status());
      absl::StatusOr<Digest> identity = CheckRegistration(node_, *root);
      if (!identity.ok()) return Fail("data", identity.status(), add);
    }
    absl::StatusOr<TrainerOptions> trainer =
        TrainerOptionsOf(node_, options_.trainer_program, options_.threads);
    if (!trainer.ok()) return Fail("data", trainer.status());
    const absl::Time begun = absl::Now();
    absl::StatusOr<std::unique_ptr<TrainerProcess>> started =
        TrainerProcess::Start(*std::move(trainer));
    if (!started.ok()) return Fail("trainer", started.status());
    const absl::Status fits =
        node_.membership.role == MEMBER
            ? CheckRecordCount(node_.spec, (*started)->data().records, *node_.data_folder)
            : absl::OkStatus();
    if (!fits.ok()) {
      Fail("data", fits);
    } else {
      Say("data", Result::kPass,
          absl::StrCat(Counted((*started)->data().records, "record"), " in ", *node_.data_folder,
                       " fit the model"));
    }
    Say("trainer", Result::kPass,
        absl::StrFormat("it starts in %.1f s", absl::ToDoubleSeconds(absl::Now() - begun)));
    CheckSandbox((*started)->sandbox());
  }

  void CheckSandbox(const std::vector<SandboxLayer>& layers) {
    for (const SandboxLayer& layer : layers) {
      const std::string name = absl::StrCat("sandbox: ", layer.name);
      if (layer.applied) {
        Say(name, Result::kPass, "tried, and it holds");
      } else if (IsSpareLayer(layer.name)) {
        Say(name, Result::kNote, absl::StrCat(layer.detail, "; the filter forbids the same"));
      } else {
        Say(name, Result::kFail, layer.detail,
            "a Linux with seccomp, or a container that allows it; dure policy set require_sandbox "
            "true lets nothing train without");
      }
    }
  }

  const PreflightOptions& options_;
  const std::function<void(PreflightCheck)>& done_;
  const Node node_;
  bool running_ = false;
  std::optional<absl::Duration> clock_ahead_;
};

}  // namespace

const char* ResultWord(PreflightCheck::Result result) {
  return result == Result::kPass ? "PASS" : result == Result::kNote ? "NOTE" : "FAIL";
}

void RunPreflight(const PreflightOptions& options,
                  const std::function<void(PreflightCheck)>& done) {
  absl::StatusOr<Node> node = ReadNode(options.node_folder);
  if (!node.ok()) {
    return done(
        {.name = "node", .result = Result::kFail, .text = std::string(node.status().message())});
  }
  Preflight(options, done, *std::move(node)).Run();
}

}  // namespace dure
