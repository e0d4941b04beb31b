#include "client/policy_keys.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <variant>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "federation/spec_fields.h"

namespace dure {
namespace {

constexpr size_t kMaxModels = 100;
constexpr size_t kDigestDigits = 64;
constexpr size_t kFingerprintChars = 95;  // 32 pairs and the colons between them
constexpr char kNoLimit[] = "none";
constexpr char kMembersKey[] = "members";
// "Above 0" as the least value.
constexpr double kAboveZero = std::numeric_limits<double>::denorm_min();

using Digests = std::vector<std::string>;
using Value =
    std::variant<uint32_t Policy::*, double Policy::*, bool Policy::*,
                 PrivacySection::Unit Policy::*, std::string Policy::*, Digests Policy::*>;

// What a smaller value of a limit means.
enum class Smaller { kStricter, kLooser, kOther };

struct Row {
  const char* name;
  Value value;
  Smaller smaller;
  double least;        // of a number
  double most;         // of a number
  const char* limits;  // in words
  const char* meaning;
};

const Row kRows[] = {
    {"ca", &Policy::ca, Smaller::kOther, 0, 0, "32 pairs of hexadecimal digits with colons",
     "fingerprint of the enrolment CA"},
    {"coordinator_key", &Policy::coordinator_key, Smaller::kOther, 0, 0,
     "32 pairs of hexadecimal digits with colons", "fingerprint of the coordinator's key"},
    {"min_cohort", &Policy::min_cohort, Smaller::kLooser, 2, 4096, "an integer, 2 to 4096",
     "fewest members in a round"},
    {"min_sum", &Policy::min_sum, Smaller::kLooser, 2, 4096, "an integer, 2 to 4096",
     "fewest members in a sum that is opened"},
    {"assume_corrupt", &Policy::assume_corrupt, Smaller::kLooser, 1, 4094, "an integer, 1 to 4094",
     "corrupt members that a round must withstand"},
    {"max_per_organisation", &Policy::max_per_organisation, Smaller::kStricter, 1, 4096,
     "an integer, 1 to 4096, or none", "most members of one organisation in a round"},
    {kMembersKey, &Policy::members, Smaller::kOther, 0, 0,
     "none, or a file of `dure members DIR --export FILE`", "list of everybody who may take part"},
    {"privacy_unit", &Policy::privacy_unit, Smaller::kOther, 0, 0, "record, client or none",
     "weakest unit of privacy"},
    {"min_noise_multiplier", &Policy::min_noise_multiplier, Smaller::kLooser, 0, 1000,
     "a number, 0 to 1000", "least noise"},
    {"max_clip_norm", &Policy::max_clip_norm, Smaller::kStricter, 1e-6, 1e6,
     "a number, 1e-06 to 1000000", "largest clip norm"},
    {"max_epsilon", &Policy::max_epsilon, Smaller::kStricter, kAboveZero, 1000,
     "a number above 0, at most 1000", "epsilon in this federation"},
    {"max_delta", &Policy::max_delta, Smaller::kStricter, kAboveZero, 0.01,
     "a number above 0, at most 0.01", "delta in this federation"},
    {"total_epsilon", &Policy::total_epsilon, Smaller::kStricter, kAboveZero, 1e4,
     "a number above 0, at most 10000", "epsilon of the data, all federations together"},
    {"total_delta", &Policy::total_delta, Smaller::kStricter, kAboveZero, 0.01,
     "a number above 0, at most 0.01", "delta of the data, all federations together"},
    {"max_rounds", &Policy::max_rounds, Smaller::kStricter, 1, 1e6, "an integer, 1 to 1000000",
     "most rounds"},
    {"max_attempts", &Policy::max_attempts, Smaller::kStricter, 1, 2e6, "an integer, 1 to 2000000",
     "most attempts at rounds"},
    {"allow_statistics", &Policy::allow_statistics, Smaller::kStricter, 0, 0, "true or false",
     "statistics of the data's columns are added up"},
    {"allow_evaluation", &Policy::allow_evaluation, Smaller::kStricter, 0, 0, "true or false",
     "models are measured on its held-out records"},
    {"allowed_models", &Policy::allowed_models, Smaller::kOther, 0, 0,
     "up to 100 digests of 64 hexadecimal digits with commas between them",
     "digests of the models that are trained"},
    {"require_secure_aggregation", &Policy::require_secure_aggregation, Smaller::kLooser, 0, 0,
     "true or false", "the coordinator sees sums only"},
    {"require_sandbox", &Policy::require_sandbox, Smaller::kLooser, 0, 0, "true or false",
     "no training where a layer of the sandbox is missing"},
};

const Row* FindRow(std::string_view name) {
  for (const Row& row : kRows) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

const Row& RowOf(std::string_view name) {
  const Row* row = FindRow(name);
  DURE_CHECK(row != nullptr);
  return *row;
}

PolicyKind KindOf(const Value& value) {
  if (std::holds_alternative<uint32_t Policy::*>(value)) return PolicyKind::kInteger;
  if (std::holds_alternative<double Policy::*>(value)) return PolicyKind::kReal;
  if (std::holds_alternative<bool Policy::*>(value)) return PolicyKind::kSwitch;
  if (std::holds_alternative<Digests Policy::*>(value)) return PolicyKind::kList;
  return PolicyKind::kText;
}

bool IsFingerprint(std::string_view text) {
  if (text.size() != kFingerprintChars) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (i % 3 == 2 ? text[i] != ':' : !absl::ascii_isxdigit(static_cast<unsigned char>(text[i]))) {
      return false;
    }
  }
  return true;
}

bool IsDigest(std::string_view text) {
  return text.size() == kDigestDigits && std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return absl::ascii_isxdigit(c);
         });
}

// The digest of a list, whose file is elsewhere.
bool IsMembers(const Row& row) { return row.name == std::string_view(kMembersKey); }

bool ReadMembers(const std::string& text, Policy* policy) {
  policy->members = text == kNoLimit ? "" : text;
  policy->member_list.reset();
  return text == kNoLimit || (IsDigest(text) && text == absl::AsciiStrToLower(text));
}

bool NoLimitAllowed(const Row& row) { return std::string_view(row.name) == "max_per_organisation"; }

// A whole number without a sign or a point.
bool ReadCount(const Row& row, const std::string& text, uint32_t* count) {
  if (NoLimitAllowed(row) && text == kNoLimit) {
    *count = 0;
    return true;
  }
  const bool digits = !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return absl::ascii_isdigit(c);
  });
  return digits && absl::SimpleAtoi(text, count) && *count >= row.least && *count <= row.most;
}

bool ReadReal(const Row& row, const std::string& text, double* number) {
  // Not what strtod takes besides: hexadecimal, spaces.
  return text.find_first_not_of("0123456789.eE+-") == std::string::npos &&
         absl::SimpleAtod(text, number) && std::isfinite(*number) && *number >= row.least &&
         *number <= row.most;
}

bool ReadUnit(const std::string& text, PrivacySection::Unit* unit) {
  PrivacySection section;
  if (!SetChoice(text, &section, *PrivacySection::descriptor()->FindFieldByName("unit"))) {
    return false;
  }
  *unit = section.unit();
  return true;
}

bool ReadModels(const std::string& text, Digests* models) {
  for (absl::string_view part : absl::StrSplit(text, ',', absl::SkipWhitespace())) {
    std::string digest = absl::AsciiStrToLower(absl::StripAsciiWhitespace(part));
    if (!IsDigest(digest)) return false;
    models->push_back(std::move(digest));
  }
  return !models->empty() && models->size() <= kMaxModels;
}

bool ReadValue(const Row& row, const std::string& text, Policy* policy) {
  if (const auto* count = std::get_if<uint32_t Policy::*>(&row.value)) {
    return ReadCount(row, text, &(policy->**count));
  }
  if (const auto* real = std::get_if<double Policy::*>(&row.value)) {
    return ReadReal(row, text, &(policy->**real));
  }
  if (const auto* flag = std::get_if<bool Policy::*>(&row.value)) {
    policy->** flag = text == "true";
    return text == "true" || text == "false";
  }
  if (const auto* unit = std::get_if<PrivacySection::Unit Policy::*>(&row.value)) {
    return ReadUnit(text, &(policy->**unit));
  }
  if (const auto* models = std::get_if<Digests Policy::*>(&row.value)) {
    (policy->**models).clear();
    return ReadModels(text, &(policy->**models));
  }
  if (IsMembers(row)) return ReadMembers(text, policy);
  policy->*std::get<std::string Policy::*>(row.value) = absl::AsciiStrToUpper(text);
  return IsFingerprint(text);
}

// How much is accepted: record and client, client alone, or everything.
int Acceptance(PrivacySection::Unit unit) {
  return unit == PrivacySection::NONE ? 2 : unit == PrivacySection::CLIENT ? 0 : 1;
}

}  // namespace

const std::vector<PolicyKey>& PolicyKeys() {
  static const std::vector<PolicyKey>& keys = *[] {
    auto* made = new std::vector<PolicyKey>();
    for (const Row& row : kRows) {
      made->push_back({row.name, KindOf(row.value), row.limits, row.meaning});
    }
    return made;
  }();
  return keys;
}

const PolicyKey* FindPolicyKey(std::string_view name) {
  for (const PolicyKey& key : PolicyKeys()) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

std::string PolicyValue(const Policy& policy, std::string_view key) {
  const Row& row = RowOf(key);
  if (const auto* count = std::get_if<uint32_t Policy::*>(&row.value)) {
    const uint32_t number = policy.**count;
    return number == 0 && NoLimitAllowed(row) ? kNoLimit : absl::StrCat(number);
  }
  if (const auto* real = std::get_if<double Policy::*>(&row.value)) {
    return RealToText(policy.**real);
  }
  if (const auto* flag = std::get_if<bool Policy::*>(&row.value)) {
    return policy.**flag ? "true" : "false";
  }
  if (const auto* unit = std::get_if<PrivacySection::Unit Policy::*>(&row.value)) {
    return ChoiceName(*PrivacySection::Unit_descriptor(), policy.**unit);
  }
  if (const auto* models = std::get_if<Digests Policy::*>(&row.value)) {
    return absl::StrJoin(policy.**models, ",");
  }
  if (IsMembers(row) && policy.members.empty()) return kNoLimit;
  return policy.*std::get<std::string Policy::*>(row.value);
}

absl::Status SetPolicyValue(std::string_view key, std::string_view text, Policy* policy) {
  const Row& row = RowOf(key);
  Policy changed = *policy;
  if (!ReadValue(row, std::string(text), &changed)) {
    return absl::InvalidArgumentError(
        absl::StrCat(row.name, " = ", Quoted(text), ": it must be ", row.limits));
  }
  *policy = std::move(changed);
  return absl::OkStatus();
}

void CopyPolicyValue(std::string_view key, const Policy& from, Policy* to) {
  const Row& row = RowOf(key);
  std::visit([&](auto member) { to->*member = from.*member; }, row.value);
  if (IsMembers(row)) to->member_list = from.member_list;
}

bool IsLooser(std::string_view key, const Policy& policy, const Policy& other) {
  const Row& row = RowOf(key);
  if (std::holds_alternative<PrivacySection::Unit Policy::*>(row.value)) {
    return Acceptance(policy.privacy_unit) > Acceptance(other.privacy_unit);
  }
  if (const auto* models = std::get_if<Digests Policy::*>(&row.value)) {
    const Digests& known = other.**models;
    return std::any_of((policy.**models).begin(), (policy.**models).end(),
                       [&](const std::string& digest) {
                         return std::find(known.begin(), known.end(), digest) == known.end();
                       });
  }
  if (const auto* text = std::get_if<std::string Policy::*>(&row.value)) {
    if (IsMembers(row)) return policy.members.empty() && !other.members.empty();
    return policy.**text != other.**text;
  }
  double here = 0, there = 0;
  if (const auto* count = std::get_if<uint32_t Policy::*>(&row.value)) {
    // 0 is no limit.
    here = NoLimitAllowed(row) && policy.**count == 0 ? row.most + 1 : policy.**count;
    there = NoLimitAllowed(row) && other.**count == 0 ? row.most + 1 : other.**count;
  } else if (const auto* real = std::get_if<double Policy::*>(&row.value)) {
    here = policy.**real;
    there = other.**real;
  } else {
    const auto flag = std::get<bool Policy::*>(row.value);
    here = policy.*flag;
    there = other.*flag;
  }
  return row.smaller == Smaller::kLooser ? here < there : here > there;
}

}  // namespace dure
