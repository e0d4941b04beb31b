// `dure audit`: what a third party can check afterwards.
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "audit/evidence.h"
#include "base/file.h"
#include "base/printable.h"
#include "base/status_macros.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "nlohmann/json.hpp"

namespace dure::cli {
namespace {

using audit::Verdict;
using json = nlohmann::ordered_json;

struct EvidenceFlags {
  std::string file;
  std::string ca;  // a file; "": none
  bool as_json = false;
};

std::string DayText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d", time, absl::UTCTimeZone());
}

// "member clinic-3 of City Hospital", "the coordinator".
std::string WhoSigned(const Verdict& verdict) {
  if (!verdict.signer) return "somebody";
  const Certificate& signer = *verdict.signer;
  if (signer.role == CertificateRole::kCoordinator) return "the coordinator";
  std::string who = absl::StrCat(std::string(RoleName(signer.role)), " ", Printable(signer.name));
  if (!signer.organisation.empty()) absl::StrAppend(&who, " of ", Printable(signer.organisation));
  return who;
}

absl::StatusOr<Verdict> Judge(const EvidenceFlags& flags) {
  std::optional<std::string> ca;
  if (!flags.ca.empty()) {
    DURE_ASSIGN_OR_RETURN(const std::string pem, ReadFile(flags.ca, 2 * kMaxCertificateBytes));
    absl::StatusOr<std::string> der = CertificateFromPem(pem);
    if (!der.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--ca ", flags.ca, ": ", der.status().message()));
    }
    ca = *std::move(der);
  }
  DURE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(flags.file, audit::kMaxEvidenceBytes));
  absl::StatusOr<audit::EvidenceFile> file = audit::DecodeEvidence(bytes);
  if (file.ok()) return audit::VerifyEvidence(*file, ca);
  Verdict nothing;
  nothing.faults.emplace_back(file.status().message());
  return nothing;
}

void PrintJson(const Verdict& verdict) {
  json out = {{"proved", verdict.proved()}, {"reasons", verdict.faults}};
  if (!verdict.kind.empty()) {
    out["kind"] = verdict.kind;
    out["claim"] = verdict.claim;
    out["federation"] = verdict.ca ? json(verdict.ca->federation) : json(nullptr);
    out["ca_fingerprint"] = verdict.ca_fingerprint;
    out["signer"] = nullptr;
    if (verdict.signer) {
      out["signer"] = {{"role", std::string(RoleName(verdict.signer->role))},
                       {"name", verdict.signer->name},
                       {"organisation", verdict.signer->organisation},
                       {"serial", verdict.signer->serial},
                       {"key_fingerprint", verdict.key_fingerprint}};
    }
    out["task"] = verdict.task;
    out["round"] = verdict.round;
    out["attempt"] = verdict.attempt;
    out["session"] = verdict.session_id;
    out["first"] = verdict.first;
    out["second"] = verdict.second;
    out["differences"] = verdict.differences;
    out["not_proved"] = verdict.not_proved;
  }
  std::printf("%s\n", out.dump(-1, ' ', false, json::error_handler_t::replace).c_str());
}

void PrintLine(const char* name, const std::string& text) {
  std::printf("  %-13s %s\n", name, text.c_str());
}

// What the file says, whether it is proved or not.
void PrintDetails(const Verdict& verdict) {
  if (verdict.kind.empty()) return;
  if (verdict.ca) PrintLine("federation", Printable(verdict.ca->federation));
  if (verdict.signer) {
    PrintLine("certificate", absl::StrCat("serial ", verdict.signer->serial, ", from ",
                                          DayText(verdict.signer->validity.not_before), " to ",
                                          DayText(verdict.signer->validity.not_after)));
    PrintLine("key", verdict.key_fingerprint);
  }
  PrintLine("session", verdict.session_id);
  PrintLine("round", absl::StrCat(verdict.round, ", attempt ", verdict.attempt));
  PrintLine("terms", verdict.task);
  PrintLine("first", verdict.first);
  PrintLine("second", verdict.second);
  for (const std::string& difference : verdict.differences) PrintLine("difference", difference);
  for (const std::string& what : verdict.not_proved) PrintLine("not proved", what);
}

void PrintText(const Verdict& verdict, bool ca_given) {
  if (!verdict.proved()) {
    std::printf("NOT PROVED:\n");
    for (const std::string& fault : verdict.faults)
      std::printf("  - %s\n", Printable(fault).c_str());
    PrintDetails(verdict);
    return;
  }
  std::printf("PROVED: %s %s, which an honest one never does.\n", WhoSigned(verdict).c_str(),
              verdict.claim.c_str());
  PrintDetails(verdict);
  std::printf(ca_given ? "Its key was certified by the enrolment CA that you gave, %s.\n"
                       : "Its key was certified by the enrolment CA with the fingerprint\n  %s\n"
                         "Compare it with the one that you know, or give its certificate: --ca "
                         "NODE/ca.pem.\n",
              verdict.ca_fingerprint.c_str());
}

int RunEvidence(const EvidenceFlags& flags) {
  absl::StatusOr<Verdict> verdict = Judge(flags);
  if (!verdict.ok()) return Fail(verdict.status());
  flags.as_json ? PrintJson(*verdict) : PrintText(*verdict, !flags.ca.empty());
  return verdict->proved() ? kSuccess : kFailure;
}

}  // namespace

void AddAuditCommands(CLI::App& app, int* exit_code) {
  CLI::App* audit = AddCommand(app, "audit", "Checks what others left behind as proof", "");
  audit->require_subcommand(1);

  auto flags = std::make_shared<EvidenceFlags>();
  CLI::App* command = AddCommand(
      *audit, "evidence",
      "Says whether a file proves that somebody signed two things that contradict each other",
      "dure audit evidence rosters-7-3f2a9c0d.evidence --ca ca.pem");
  command->add_option("FILE", flags->file, "from the folder evidence of a member or a federation")
      ->required();
  command->add_option("--ca", flags->ca,
                      "the enrolment CA's certificate (PEM) that the signer must have");
  command->add_flag("--json", flags->as_json, "one JSON object");
  command->callback([flags, exit_code] { *exit_code = RunEvidence(*flags); });
}

}  // namespace dure::cli
