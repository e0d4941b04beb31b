// dure coordinator --check, dure backup, dure restore: a federation's folder, looked at, kept and
// brought back.
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/paragraph.h"
#include "cli/check_folder.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "coordinator/service/backup.h"
#include "coordinator/service/folder_check.h"
#include "nlohmann/json.hpp"

namespace dure::cli {
namespace {

using json = nlohmann::ordered_json;

const char* WordFor(FolderFinding::Result result) {
  switch (result) {
    case FolderFinding::Result::kPass:
      return "PASS";
    case FolderFinding::Result::kWarn:
      return "WARN";
    case FolderFinding::Result::kFail:
      break;
  }
  return "FAIL";
}

std::string SummaryInWords(const BackupSummary& summary) {
  return absl::StrFormat("\"%s\" after round %d, %s begun", summary.federation, summary.round,
                         Counted(summary.attempts, "attempt"));
}

json SummaryToJson(const BackupSummary& summary) {
  return {{"federation", summary.federation}, {"round", summary.round},
          {"attempts", summary.attempts},     {"files", summary.files},
          {"keys", summary.with_keys},        {"taken_unix", absl::ToUnixSeconds(summary.taken)}};
}

struct BackupFlags {
  std::string folder, file;
  bool without_keys = false, as_json = false;
};

int RunBackup(const BackupFlags& flags) {
  absl::StatusOr<BackupSummary> summary = WriteBackup({.folder = flags.folder,
                                                       .file = flags.file,
                                                       .with_keys = !flags.without_keys,
                                                       .now = absl::Now()});
  if (!summary.ok()) return Fail(summary.status(), kFailure);
  if (flags.as_json) {
    std::printf("%s\n", SummaryToJson(*summary).dump().c_str());
    return kSuccess;
  }
  absl::PrintF("%s: %s, %s\n", flags.file, SummaryInWords(*summary),
               Counted(summary->files, "file"));
  absl::FPrintF(stderr, "%s\n",
                summary->with_keys
                    ? "It has the federation's keys: keep it as secret as private/."
                    : "It has no keys: keep private/*.key apart, or nobody can go on from it.");
  return kSuccess;
}

int RunRestore(const BackupFlags& flags) {
  absl::StatusOr<Restored> restored = RestoreBackup(flags.file, flags.folder, absl::Now());
  if (!restored.ok()) return Fail(restored.status(), kFailure);
  const BackupSummary& summary = restored->summary;
  if (flags.as_json) {
    std::printf("%s\n", SummaryToJson(summary).dump().c_str());
    return kSuccess;
  }
  absl::PrintF("%s: %s, as it was on %s; everything in it is whole\n", flags.folder,
               SummaryInWords(summary),
               absl::FormatTime("%Y-%m-%d %H:%M UTC", summary.taken, absl::UTCTimeZone()));
  for (const FolderFinding& finding : restored->report.findings) {
    if (finding.result == FolderFinding::Result::kPass) continue;
    absl::FPrintF(stderr, "%s: %s\n", finding.check, OneLine(finding.detail));
  }
  absl::PrintF("Next: end the coordinator of the other copy for good, then dure coordinator %s\n",
               flags.folder);
  return kSuccess;
}

}  // namespace

int CheckFolder(const std::string& folder, bool as_json) {
  const FolderReport report = CheckFederationFolder(folder, absl::Now());
  if (as_json) {
    json checks = json::array();
    for (const FolderFinding& finding : report.findings) {
      checks.push_back({{"check", finding.check},
                        {"result", WordFor(finding.result)},
                        {"detail", finding.detail}});
    }
    std::printf("%s\n", json({{"folder", folder}, {"passed", report.passed()}, {"checks", checks}})
                            .dump(-1, ' ', false, json::error_handler_t::replace)
                            .c_str());
  } else {
    for (const FolderFinding& finding : report.findings) {
      absl::PrintF("%s  %-12s %s\n", WordFor(finding.result), finding.check,
                   OneLine(finding.detail));
    }
  }
  return report.passed() ? kSuccess : kFailure;
}

void AddBackupCommands(CLI::App& app, int* exit_code) {
  auto backup = std::make_shared<BackupFlags>();
  CLI::App* command = AddCommand(
      app, "backup", "Copies a federation into one file, while its coordinator runs or not",
      "dure backup clinics clinics-monday.tar");
  AddFolder(command, backup->folder);
  command->add_option("FILE", backup->file, "the archive to write, which is not there yet")
      ->required();
  command->add_flag("--without-keys", backup->without_keys,
                    "leave out private/*.key, which are kept elsewhere");
  command->add_flag("--json", backup->as_json, "one JSON object");
  command->callback([=] { *exit_code = RunBackup(*backup); });

  auto restore = std::make_shared<BackupFlags>();
  command = AddCommand(app, "restore", "Makes a federation's folder from a backup, and checks it",
                       "dure restore clinics-monday.tar clinics");
  command->add_option("FILE", restore->file, "an archive of dure backup")->required();
  command->add_option("DIR", restore->folder, "the folder to make")->required();
  command->add_flag("--json", restore->as_json, "one JSON object");
  command->callback([=] { *exit_code = RunRestore(*restore); });
}

}  // namespace dure::cli
