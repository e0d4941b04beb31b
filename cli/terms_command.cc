// `dure terms`: what the coordinator asks for now, against what this member approved.
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "cli/ask.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/node_folder.h"
#include "client/policy_keys.h"
#include "client/service/node.h"
#include "client/service/node_files.h"
#include "client/service/terms_request.h"
#include "federation/spec.h"
#include "federation/spec_fields.h"
#include "federation/terms/check.h"
#include "federation/terms/promise.h"
#include "nlohmann/json.hpp"

namespace dure::cli {
namespace {

using json = nlohmann::ordered_json;

constexpr absl::Duration kAskTimeout = absl::Seconds(5);

struct TermsFlags {
  std::string node = DefaultNodeFolder();
  bool as_json = false;
  bool yes = false;
};

struct Difference {
  std::string key;
  std::string approved;  // as in the file; "" if it is not set
  std::string offered;
};

std::map<std::string, std::string> ValuesOf(const FederationSpec& spec) {
  std::map<std::string, std::string> values;
  VisitKeys(spec, [&](const std::string& path, const google::protobuf::Message& section,
                      const Field& key) {
    if (IsSet(section, key)) values[path] = ValueToToml(section, key);
  });
  return values;
}

std::vector<Difference> DifferencesOf(const FederationSpec& approved,
                                      const FederationSpec& offered) {
  std::vector<Difference> differences;
  std::map<std::string, std::string> before = ValuesOf(approved), after = ValuesOf(offered);
  // Both in the order of the file.
  VisitKeys(offered, [&](const std::string& path, const google::protobuf::Message&, const Field&) {
    if (before[path] != after[path]) differences.push_back({path, before[path], after[path]});
  });
  return differences;
}

// Everything that `dure terms` looks at.
struct Terms {
  Node node;
  std::optional<FederationSpec> offered;
  CheckReport approved_report;
  std::optional<CheckReport> offered_report;
  LimitsFile next;                  // after an approval
  std::vector<PolicyFault> faults;  // of the offered terms, against `next`
  std::string remark;               // why the coordinator was not asked
};

// What the coordinator says now, or what it said last when it cannot be asked.
absl::Status AskForOffer(Terms* terms) {
  const std::string& folder = terms->node.folder;
  absl::StatusOr<FileLock> lock = FileLock::Acquire(PrivateFolder(folder) + "/lock");
  if (lock.ok()) {
    absl::StatusOr<FederationSpec> now = AskForTerms(terms->node, kAskTimeout);
    if (!now.ok()) {
      terms->remark = absl::StrCat("the coordinator was not asked: ", now.status().message());
    } else if (SpecDigest(*now) == terms->node.spec_digest) {
      DURE_RETURN_IF_ERROR(ForgetOfferedTerms(folder));
    } else {
      DURE_RETURN_IF_ERROR(WriteOfferedTerms(folder, *now));
    }
  } else {
    terms->remark = absl::IsFailedPrecondition(lock.status())
                        ? "the coordinator was not asked: a client is running here, and ends when "
                          "the terms change"
                        : std::string(lock.status().message());
  }
  DURE_ASSIGN_OR_RETURN(terms->offered, ReadOfferedTerms(folder));
  if (terms->offered && SpecDigest(*terms->offered) == terms->node.spec_digest) {
    terms->offered.reset();
  }
  return absl::OkStatus();
}

absl::StatusOr<Terms> ReadTerms(const std::string& folder) {
  DURE_ASSIGN_OR_RETURN(Node node, ReadNode(folder));
  Terms terms{.node = std::move(node)};
  DURE_ASSIGN_OR_RETURN(terms.approved_report, CheckFederation(terms.node.spec));
  DURE_RETURN_IF_ERROR(AskForOffer(&terms));
  if (!terms.offered) return terms;
  absl::StatusOr<CheckReport> report = CheckFederation(*terms.offered);
  if (!report.ok()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the coordinator asks for terms that cannot work: ", report.status().message()));
  }
  terms.next = LimitsUnderNewTerms(
      {.policy = terms.node.policy, .origins = terms.node.origins}, *terms.offered,
      {.ca = terms.node.ca_certificate, .coordinator = terms.node.coordinator_certificate},
      DayOf(absl::Now()));
  terms.faults = FaultsOfTerms(terms.next.policy, *terms.offered, report->terms);
  terms.offered_report = *std::move(report);
  return terms;
}

// The limit that would allow what `fault` forbids.
std::string Remedy(const Terms& terms, const PolicyFault& fault) {
  return absl::StrCat("dure policy set ", fault.key, " ",
                      PolicyValue(PolicyOf(*terms.offered), fault.key), " --node ",
                      terms.node.folder);
}

double WholeRun(const CheckReport& report) {
  return report.costs.empty() ? 0 : report.costs.back().epsilon;
}

void PrintJson(const Terms& terms) {
  json differences = json::array(), limits = json::array();
  if (terms.offered) {
    for (const Difference& difference : DifferencesOf(terms.node.spec, *terms.offered)) {
      auto value = [](const std::string& text) { return text.empty() ? json() : json(text); };
      differences.push_back({{"key", difference.key},
                             {"approved", value(difference.approved)},
                             {"offered", value(difference.offered)}});
    }
  }
  for (const PolicyFault& fault : terms.faults) {
    limits.push_back({{"key", fault.key},
                      {"text", std::string(fault.status.message())},
                      {"remedy", Remedy(terms, fault)}});
  }
  json out = {{"approved", json::parse(CheckToJson(terms.approved_report))},
              {"offered", nullptr},
              {"differences", differences},
              {"limits_in_the_way", limits}};
  if (terms.offered_report) out["offered"] = json::parse(CheckToJson(*terms.offered_report));
  std::printf("%s\n", out.dump(-1, ' ', false, json::error_handler_t::replace).c_str());
}

// What the whole run costs, and whom it is trusted to.
std::string EpsilonInShort(const CheckReport& report) {
  const RoundTerms& terms = report.terms;
  if (terms.unit == PrivacySection::NONE) return NoPrivacyInWords(terms.secure_aggregation);
  return absl::StrCat(EpsilonText(WholeRun(report)), " per ", ProtectedUnit(terms.unit),
                      CoordinatorIsTrusted(terms) ? ", if the coordinator is trusted" : "");
}

// Old and new side by side, for each key and each limit that changes.
void PrintDifferences(const Terms& terms) {
  std::printf("The coordinator now asks for other terms:\n");
  auto shown = [](const std::string& text) { return text.empty() ? "not set" : text.c_str(); };
  for (const Difference& difference : DifferencesOf(terms.node.spec, *terms.offered)) {
    std::printf("  %-36s %s -> %s\n", difference.key.c_str(), shown(difference.approved),
                shown(difference.offered));
  }
  std::printf("  %-36s %s -> %s\n", "epsilon of the whole run",
              EpsilonInShort(terms.approved_report).c_str(),
              EpsilonInShort(*terms.offered_report).c_str());
  std::string moved;
  for (const PolicyKey& key : PolicyKeys()) {
    const std::string before = PolicyValue(terms.node.policy, key.name);
    const std::string after = PolicyValue(terms.next.policy, key.name);
    if (before == after) continue;
    absl::StrAppendFormat(
        &moved, "  %-36s %s -> %s%s\n", key.name, before, after,
        IsLooser(key.name, terms.next.policy, terms.node.policy) ? "  (allows more)" : "");
  }
  if (!moved.empty()) {
    std::printf("Approved, they move the limits that nobody has set here:\n%s", moved.c_str());
  }
  if (terms.faults.empty()) return;
  std::printf("Limits in the way, which no approval moves:\n");
  for (const PolicyFault& fault : terms.faults) {
    std::printf("  %s\n    %s\n", std::string(fault.status.message()).c_str(),
                Remedy(terms, fault).c_str());
  }
}

int RunShow(const TermsFlags& flags) {
  absl::StatusOr<Terms> terms = ReadTerms(flags.node);
  if (!terms.ok()) return Fail(terms.status(), kFailure);
  if (!terms->remark.empty()) std::fprintf(stderr, "dure: %s\n", OneLine(terms->remark).c_str());
  if (flags.as_json) {
    PrintJson(*terms);
    return kSuccess;
  }
  std::printf("Approved%s%s:\n%s\n", terms->node.origins.approved.empty() ? "" : " ",
              terms->node.origins.approved.c_str(), CheckToText(terms->approved_report).c_str());
  if (!terms->offered) {
    std::printf("The coordinator asks for nothing else.\n");
    return kSuccess;
  }
  PrintDifferences(*terms);
  std::printf("Next: dure terms approve, or dure terms reject\n");
  return kSuccess;
}

absl::Status NothingOffered() {
  return absl::FailedPreconditionError(
      "the coordinator asks for no other terms than those approved");
}

int RunApprove(const TermsFlags& flags) {
  absl::StatusOr<Terms> terms = ReadTerms(flags.node);
  if (!terms.ok()) return Fail(terms.status(), kFailure);
  if (!terms->offered) return Fail(NothingOffered());
  std::fputs(CheckToText(*terms->offered_report).c_str(), stdout);
  PrintDifferences(*terms);
  if (!terms->faults.empty()) {
    std::vector<std::string> remedies;
    for (const PolicyFault& fault : terms->faults) remedies.push_back(Remedy(*terms, fault));
    return Fail(absl::PermissionDeniedError(
                    absl::StrCat("this member's own limits forbid the new terms; to allow them "
                                 "first: ",
                                 absl::StrJoin(remedies, "; "))),
                kRefused);
  }
  absl::StatusOr<std::string> files = FilesInWords(*terms->offered, SourceOf(terms->node));
  if (!files.ok()) return Fail(files.status(), kFailure);
  std::fputs(files->c_str(), stdout);
  if (!flags.yes && !AskForYes("Approve these terms?")) {
    return Fail(absl::PermissionDeniedError("not approved; the old terms stay"), kRefused);
  }
  absl::StatusOr<FileLock> lock = FileLock::Acquire(PrivateFolder(flags.node) + "/lock");
  if (absl::IsFailedPrecondition(lock.status())) {
    return Fail(absl::FailedPreconditionError(
        absl::StrCat("a client is running in ", flags.node, ": stop it first")));
  }
  if (!lock.ok()) return Fail(lock.status(), kFailure);
  absl::Status status = FetchFiles(*terms->offered, flags.node, SourceOf(terms->node));
  if (status.ok()) status = ApproveTerms(terms->node, *terms->offered, terms->next);
  if (!status.ok()) return Fail(status, kFailure);
  ForgetOtherFiles(*terms->offered, flags.node);
  std::printf("Approved. Next: dure client --node %s\n", flags.node.c_str());
  return kSuccess;
}

int RunReject(const TermsFlags& flags) {
  if (absl::StatusOr<Node> node = ReadNode(flags.node); !node.ok()) return Fail(node.status());
  absl::StatusOr<std::optional<FederationSpec>> offered = ReadOfferedTerms(flags.node);
  if (offered.ok() && !offered->has_value()) return Fail(NothingOffered());
  if (absl::Status status = ForgetOfferedTerms(flags.node); !status.ok()) {
    return Fail(status, kFailure);
  }
  std::printf(
      "Rejected; the terms approved before stay. While the coordinator asks for others, this "
      "member takes no part.\n");
  return kSuccess;
}

}  // namespace

void AddTermsCommand(CLI::App& app, int* exit_code) {
  CLI::App* terms =
      AddCommand(app, "terms", "What the coordinator asks for now, against what was approved", "");
  terms->require_subcommand(1);

  auto show = std::make_shared<TermsFlags>();
  CLI::App* command =
      AddCommand(*terms, "show", "The approved terms, and what would change", "dure terms show");
  AddNodeOption(command, &show->node);
  command->add_flag("--json", show->as_json, "one JSON object");
  command->callback([show, exit_code] { *exit_code = RunShow(*show); });

  auto approve = std::make_shared<TermsFlags>();
  command = AddCommand(*terms, "approve", "Shows the difference, and approves it if you say yes",
                       "dure terms approve");
  AddNodeOption(command, &approve->node);
  command->add_flag("--yes", approve->yes, "agree without being asked");
  command->callback([approve, exit_code] { *exit_code = RunApprove(*approve); });

  auto reject = std::make_shared<TermsFlags>();
  command = AddCommand(*terms, "reject", "Keeps the approved terms and forgets the others",
                       "dure terms reject");
  AddNodeOption(command, &reject->node);
  command->callback([reject, exit_code] { *exit_code = RunReject(*reject); });
}

}  // namespace dure::cli
