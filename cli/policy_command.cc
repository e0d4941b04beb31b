// `dure policy`: a member's own limits, which the coordinator cannot lower.
#include <cmath>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/paragraph.h"
#include "base/status_macros.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/node_folder.h"
#include "cli/spending_text.h"
#include "client/member_list.h"
#include "client/policy_keys.h"
#include "client/service/data_ledger_file.h"
#include "client/service/guest_file.h"
#include "client/service/ledger_file.h"
#include "client/service/node.h"
#include "client/service/spending.h"
#include "federation/spec_fields.h"
#include "federation/suggest.h"
#include "nlohmann/json.hpp"
#include "privacy/secagg/identity.h"

namespace dure::cli {
namespace {

using json = nlohmann::ordered_json;

constexpr char kMembers[] = "members";

// What a member's folder says, beside a client that may be running.
struct Overview {
  Node node;
  GuestFile guest;
  uint32_t charges = 0;
  double epsilon = 0;  // in the federation
  std::optional<DataSpending> data;
};

absl::StatusOr<Overview> ReadOverview(const std::string& folder) {
  DURE_ASSIGN_OR_RETURN(Node node, ReadNode(folder));
  DURE_ASSIGN_OR_RETURN(GuestFile guest, ReadGuestFile(folder));
  Overview overview{.node = std::move(node), .guest = std::move(guest)};
  DURE_ASSIGN_OR_RETURN(const Ledger ledger, LedgerFile::Read(LedgerPath(folder)));
  overview.charges = ledger.charges();
  std::unique_ptr<DataLedgerFile> data;
  if (overview.node.registration && overview.node.membership.role == MEMBER) {
    DURE_ASSIGN_OR_RETURN(const std::string root, DataLedgersFolder());
    DURE_ASSIGN_OR_RETURN(data,
                          DataLedgerFile::Open(root, overview.node.registration->identity,
                                               secagg::MemberIdOf(overview.node.key.public_key())));
    overview.data = SpentOnData(*data, overview.node.policy);
  }
  overview.epsilon =
      SpentInFederation(overview.node.spec, overview.charges, data ? &data->spent() : nullptr);
  return overview;
}

const std::string& OriginOf(const Node& node, const std::string& key) {
  static const std::string& unknown = *new std::string("default");
  auto found = node.origins.of.find(key);
  return found == node.origins.of.end() ? unknown : found->second;
}

std::string GuestOriginOf(const GuestFile& guest, const std::string& key) {
  const auto found = guest.origins.find(key);
  return found == guest.origins.end() ? "default" : found->second;
}

// A value as JSON has it.
json ValueOf(const Policy& policy, const PolicyKey& key) {
  const std::string text = PolicyValue(policy, key.name);
  if (key.kind == PolicyKind::kText) return text;  // of members: the digest
  if (key.kind == PolicyKind::kList) return policy.allowed_models;
  json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  return value.is_discarded() ? json(nullptr) : value;  // "none"
}

void PrintJson(const Overview& overview) {
  const Node& node = overview.node;
  json limits = json::object();
  for (const PolicyKey& key : PolicyKeys()) {
    limits[key.name] = {{"value", ValueOf(node.policy, key)}, {"origin", OriginOf(node, key.name)}};
  }
  json machine = json::object();
  for (const GuestKey& key : GuestKeys()) {
    machine[key.name] = {{"value", GuestValue(overview.guest.limits, key.name)},
                         {"origin", GuestOriginOf(overview.guest, key.name)}};
  }
  json out = {
      {"federation", node.spec.federation().name()},
      {"limits", limits},
      {"machine", machine},
      {"member_list", nullptr},
      {"spent",
       {{"unit", ChoiceName(*PrivacySection::Unit_descriptor(), node.spec.privacy().unit())},
        {"epsilon", overview.epsilon},
        {"epsilon_left", std::max(0.0, node.policy.max_epsilon - overview.epsilon)},
        {"delta", node.spec.privacy().delta()},
        {"charged_attempts", overview.charges}}},
      {"data", nullptr}};
  if (const std::optional<MemberList>& list = node.policy.member_list) {
    out["member_list"] = {{"sha256", node.policy.members},
                          {"members", CountActive(*list)},
                          {"revoked", list->size() - CountActive(*list)}};
  }
  if (overview.data) out["data"] = SpendingToJson(*overview.data);
  std::printf("%s\n", out.dump(-1, ' ', false, json::error_handler_t::replace).c_str());
}

// "12 members, 1 revoked".
std::string CountText(const MemberList& list) {
  const size_t active = CountActive(list);
  return absl::StrCat(
      active, " members",
      active == list.size() ? "" : absl::StrCat(", ", list.size() - active, " revoked"));
}

// For people: of a list of members, how long it is.
std::string ShownValue(const Policy& policy, const std::string& key) {
  if (key == kMembers && policy.member_list) return CountText(*policy.member_list);
  return PolicyValue(policy, key);
}

void PrintMembers(const Policy& policy) {
  if (policy.member_list) {
    std::printf("list of members: %s, sha256 %s\n", CountText(*policy.member_list).c_str(),
                policy.members.c_str());
  } else {
    std::fputs(
        "list of members: none. Who is a member, and of which organisation, is what the "
        "federation's enrolment\nCA says, which the coordinator runs; see `dure policy set members "
        "FILE`\n",
        stdout);
  }
}

void PrintText(const Overview& overview) {
  const Node& node = overview.node;
  std::printf("%-27s %-26s %s\n", "limit", "value", "from");
  for (const PolicyKey& key : PolicyKeys()) {
    std::printf("%-27s %-26s %s\n", key.name.c_str(), ShownValue(node.policy, key.name).c_str(),
                OriginOf(node, key.name).c_str());
  }
  std::printf("\n%-27s %-26s %s\n", "of this machine", "value", "from");
  for (const GuestKey& key : GuestKeys()) {
    std::printf("%-27s %-26s %s\n", key.name.c_str(),
                GuestValue(overview.guest.limits, key.name).c_str(),
                GuestOriginOf(overview.guest, key.name).c_str());
  }
  std::printf("\n");
  if (node.membership.role == MEMBER) PrintMembers(node.policy);
  std::printf(
      "%s", FederationSpendingText({.federation = node.spec.federation().name(),
                                    .unit = node.spec.privacy().unit(),
                                    .secure_aggregation = node.spec.secure_aggregation().enabled(),
                                    .epsilon = overview.epsilon,
                                    .max_epsilon = node.policy.max_epsilon,
                                    .delta = node.spec.privacy().delta(),
                                    .charges = overview.charges})
                .c_str());
  if (overview.data) std::fputs(DataSpendingText(*overview.data).c_str(), stdout);
}

int RunShow(const std::string& folder, bool as_json) {
  absl::StatusOr<Overview> overview = ReadOverview(folder);
  if (!overview.ok()) return Fail(overview.status());
  as_json ? PrintJson(*overview) : PrintText(*overview);
  return kSuccess;
}

struct SetFlags {
  std::string node = DefaultNodeFolder();
  std::string key;
  std::string value;
  bool to_default = false;
};

absl::Status CheckKey(const std::string& key) {
  if (FindPolicyKey(key) != nullptr || FindGuestKey(key) != nullptr) return absl::OkStatus();
  std::vector<std::string> names;
  for (const PolicyKey& known : PolicyKeys()) names.push_back(known.name);
  for (const GuestKey& known : GuestKeys()) names.push_back(known.name);
  return absl::InvalidArgumentError(NoSuchWord("limit", key, names));
}

absl::Status CheckFlags(const SetFlags& flags) {
  DURE_RETURN_IF_ERROR(CheckKey(flags.key));
  if (flags.to_default && !flags.value.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(flags.key, ": either a value or --default, not both"));
  }
  if (flags.to_default) return absl::OkStatus();
  if (const GuestKey* guest = FindGuestKey(flags.key); guest != nullptr) {
    GuestLimits ignored;
    if (!flags.value.empty()) return SetGuestValue(flags.key, flags.value, &ignored);
    return absl::InvalidArgumentError(
        absl::StrCat(flags.key, " has no value: it must be ", guest->limits,
                     "; --default goes back to what holds when nobody sets it"));
  }
  Policy ignored;
  if (flags.key == kMembers && !flags.value.empty()) return absl::OkStatus();  // a file
  if (flags.value.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(flags.key, " has no value: it must be ", FindPolicyKey(flags.key)->limits,
                     "; --default goes back to what holds when nobody sets it"));
  }
  return SetPolicyValue(flags.key, flags.value, &ignored);
}

absl::StatusOr<std::optional<MemberList>> ReadMembers(const SetFlags& flags) {
  if (flags.to_default || flags.value == "none") return std::nullopt;
  auto wrong = [&](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat(kMembers, " = \"", flags.value, "\": ", why));
  };
  absl::StatusOr<std::string> text = ReadFile(flags.value, kMaxMemberListBytes);
  if (absl::IsNotFound(text.status())) {
    return wrong(
        absl::StrCat("there is no such file; it must be ", FindPolicyKey(kMembers)->limits));
  }
  DURE_RETURN_IF_ERROR(text.status());
  absl::StatusOr<MemberList> list = DecodeMemberList(*text);
  if (!list.ok()) return wrong(list.status().message());
  return *std::move(list);
}

// What a list makes impossible, on standard error.
void WarnOfList(const Node& node, const MemberList& list) {
  const ListedMember* own = FindListed(list, secagg::MemberIdOf(node.key.public_key()));
  if (own == nullptr || own->revoked) {
    std::fprintf(stderr, "dure: careful: %s is %s: this member will take part in no round\n",
                 node.membership.name.c_str(),
                 own == nullptr ? "not in the list" : "revoked in the list");
  }
  if (CountActive(list) < node.spec.rounds().minimum()) {
    std::fprintf(
        stderr, "dure: careful: a round needs %u members, and the list has %zu: no round can run\n",
        node.spec.rounds().minimum(), CountActive(list));
  }
}

int RunSetMembers(const SetFlags& flags, const Node& node) {
  absl::StatusOr<std::optional<MemberList>> list = ReadMembers(flags);
  if (!list.ok()) return Fail(list.status());
  LimitsFile limits{.policy = node.policy, .origins = node.origins};
  const std::optional<MemberList> before = limits.policy.member_list;
  absl::Status written = WriteMemberList(flags.node, *list, absl::Now(), &limits);
  if (!written.ok()) return Fail(written, kFailure);
  if (!*list) {
    std::printf(
        "members = none: who is a member, the federation's enrolment CA says; it holds from "
        "the next offer on\n");
    return kSuccess;
  }
  for (const std::string& change : MemberListChanges(before.value_or(MemberList()), **list)) {
    std::printf("%s\n", change.c_str());
  }
  std::printf("members = %s, sha256 %s; it holds from the next offer on\n",
              CountText(**list).c_str(), limits.policy.members.c_str());
  WarnOfList(node, **list);
  return kSuccess;
}

// A limit of what the client takes of this machine.
int RunSetGuest(const SetFlags& flags) {
  if (absl::Status node = ReadNode(flags.node).status(); !node.ok()) return Fail(node);
  absl::StatusOr<GuestFile> guest = ReadGuestFile(flags.node);
  if (!guest.ok()) return Fail(guest.status(), kFailure);
  const std::string value = flags.to_default ? GuestValue(GuestLimits(), flags.key) : flags.value;
  if (absl::Status wrong = SetGuestValue(flags.key, value, &guest->limits); !wrong.ok()) {
    return Fail(wrong);
  }
  if (flags.to_default) {
    guest->origins.erase(flags.key);
  } else {
    guest->origins[flags.key] = "set here " + DayOf(absl::Now());
  }
  if (absl::Status written = WriteGuestFile(flags.node, *guest); !written.ok()) {
    return Fail(written, kFailure);
  }
  const bool of_trainer = flags.key == "max_threads" || flags.key == "max_memory";
  std::printf("%s = %s (%s); %s\n", flags.key.c_str(), GuestValue(guest->limits, flags.key).c_str(),
              GuestOriginOf(*guest, flags.key).c_str(),
              of_trainer ? "it holds from the client's next start on"
                         : "a client that runs takes it within half a minute");
  return kSuccess;
}

int RunSet(const SetFlags& flags) {
  if (absl::Status wrong = CheckFlags(flags); !wrong.ok()) return Fail(wrong);
  if (FindGuestKey(flags.key) != nullptr) return RunSetGuest(flags);
  absl::StatusOr<Node> node = ReadNode(flags.node);
  if (!node.ok()) return Fail(node.status());
  if (flags.key == kMembers) return RunSetMembers(flags, *node);
  const LimitsFile defaults = DefaultLimitsOf(*node);
  LimitsFile limits{.policy = node->policy, .origins = node->origins};
  if (flags.to_default) {
    CopyPolicyValue(flags.key, defaults.policy, &limits.policy);
    limits.origins.of[flags.key] = defaults.origins.of.at(flags.key);
  } else {
    if (absl::Status wrong = SetPolicyValue(flags.key, flags.value, &limits.policy); !wrong.ok()) {
      return Fail(wrong);
    }
    MarkSetHere(flags.key, absl::Now(), &limits.origins);
  }
  if (absl::Status written = WritePolicy(flags.node, limits); !written.ok()) {
    return Fail(written, kFailure);
  }
  std::printf("%s = %s (%s); it holds from the next offer on\n", flags.key.c_str(),
              PolicyValue(limits.policy, flags.key).c_str(),
              limits.origins.of.at(flags.key).c_str());
  if (IsLooser(flags.key, limits.policy, defaults.policy)) {
    std::fprintf(stderr, "dure: careful: %s = %s allows more than the default, %s (%s)\n",
                 flags.key.c_str(), PolicyValue(limits.policy, flags.key).c_str(),
                 PolicyValue(defaults.policy, flags.key).c_str(),
                 defaults.origins.of.at(flags.key).c_str());
  }
  return kSuccess;
}

std::string KeyTable() {
  std::string text = "Limits:\n";
  for (const PolicyKey& key : PolicyKeys()) {
    absl::StrAppendFormat(&text, "  %-27s %s; %s\n", key.name, key.meaning, key.limits);
  }
  text += "Limits of what the client takes of this machine:\n";
  for (const GuestKey& key : GuestKeys()) {
    absl::StrAppendFormat(&text, "  %-27s %s; %s\n", key.name, key.meaning, key.limits);
  }
  return text +
         "Examples:\n  dure policy set max_epsilon 2\n"
         "  dure policy set hours \"mon-fri 20:00-06:00,sat,sun\"";
}

}  // namespace

void AddPolicyCommand(CLI::App& app, int* exit_code) {
  struct ShowFlags {
    std::string node = DefaultNodeFolder();
    bool as_json = false;
  };
  auto alone = std::make_shared<ShowFlags>();
  CLI::App* policy = AddCommand(
      app, "policy", "Shows and sets this member's own limits, with what is spent", "dure policy");
  policy->require_subcommand(0, 1);
  AddNodeOption(policy, &alone->node);
  policy->add_flag("--json", alone->as_json, "one JSON object");
  policy->callback([policy, alone, exit_code] {
    if (policy->get_subcommands().empty()) *exit_code = RunShow(alone->node, alone->as_json);
  });

  auto show = std::make_shared<ShowFlags>();
  CLI::App* command = AddCommand(
      *policy, "show", "Every limit with its value and where it comes from; what is spent and left",
      "dure policy show");
  AddNodeOption(command, &show->node);
  command->add_flag("--json", show->as_json, "one JSON object");
  command->callback([command, show, alone, exit_code] {
    // `dure policy --node DIR show` means the same.
    if (command->count("--node") == 0) show->node = alone->node;
    *exit_code = RunShow(show->node, show->as_json || alone->as_json);
  });

  auto set = std::make_shared<SetFlags>();
  command =
      AddCommand(*policy, "set", "Sets one limit; a running client takes it at the next offer", "");
  command->footer(KeyTable());
  command->add_option("KEY", set->key, "a limit")->required();
  command->add_option("VALUE", set->value, "its new value");
  command->add_flag("--default", set->to_default, "back to what holds when nobody sets it");
  AddNodeOption(command, &set->node);
  // "-inf" is a wrong value, not an option.
  command->allow_extras();
  command->callback([set, alone, command, exit_code] {
    if (command->count("--node") == 0) set->node = alone->node;
    for (const std::string& word : command->remaining()) {
      if (!set->value.empty() || word.starts_with("--")) {
        *exit_code = Fail(absl::InvalidArgumentError(absl::StrCat(
            "the argument \"", word, "\" was not expected; see dure policy set --help")));
        return;
      }
      set->value = word;
    }
    *exit_code = RunSet(*set);
  });
}

}  // namespace dure::cli
