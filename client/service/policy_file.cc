#include "client/service/policy_file.h"

#include <cstdint>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "client/policy_keys.h"
#include "crypto/x509.h"
#include "federation/suggest.h"
#include "nlohmann/json.hpp"

namespace dure {
namespace {

using json = nlohmann::ordered_json;

constexpr uint64_t kMaxPolicyFileBytes = uint64_t{1} << 16;
constexpr size_t kMaxOriginBytes = 100;
constexpr char kDefault[] = "default";
constexpr char kSetHere[] = "set here";
constexpr char kSetByOlder[] = "set here, by an older dure";
constexpr const char* kThreeNumbers[] = {"max_epsilon", "min_noise_multiplier", "min_sum"};

// Limits that terms never move by themselves once they were approved.
bool IsProtection(const std::string& key) {
  return key == "privacy_unit" || key == "require_secure_aggregation";
}
bool IsPin(const std::string& key) { return key == "ca" || key == "coordinator_key"; }

bool FromTerms(const std::string& key, const Policy& policy) {
  const Policy safe;
  if (key == "max_per_organisation" || key == "members" || key == "require_sandbox") return false;
  if (IsProtection(key) || key == "total_epsilon" || key == "total_delta") {
    return IsLooser(key, policy, safe);
  }
  // Without protection the file says nothing of noise and budgets.
  const bool of_noise = key == "min_noise_multiplier" || key == "max_clip_norm" ||
                        key == "max_epsilon" || key == "max_delta";
  return !(of_noise && policy.privacy_unit == PrivacySection::NONE);
}

json ValueOf(const Policy& policy, const PolicyKey& key) {
  const std::string text = PolicyValue(policy, key.name);
  switch (key.kind) {
    case PolicyKind::kInteger:
    case PolicyKind::kReal:
    case PolicyKind::kSwitch: {
      json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
      return value.is_discarded() ? json(text) : value;  // "none"
    }
    case PolicyKind::kList:
      return json(policy.allowed_models);
    case PolicyKind::kText:
      return json(text);
  }
  return json(text);
}

std::string TextOf(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return value.dump();
  return absl::StrJoin(value, ",", [](std::string* out, const json& element) {
    absl::StrAppend(out, TextOf(element));
  });
}

class Reader {
 public:
  Reader(const std::string& path, const LimitsFile& defaults) : path_(path), limits_(defaults) {}

  absl::StatusOr<LimitsFile> Read() && {
    DURE_ASSIGN_OR_RETURN(std::string text, ReadFile(path_, kMaxPolicyFileBytes));
    const json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!object.is_object()) return Damaged("not a JSON object");
    if (!object.contains("limits")) {
      DURE_RETURN_IF_ERROR(ReadThreeNumbers(object));
      return std::move(limits_);
    }
    const json& limits = object["limits"];
    if (!limits.is_object()) return Damaged("\"limits\" is no object");
    for (const auto& [name, limit] : limits.items()) DURE_RETURN_IF_ERROR(ReadLimit(name, limit));
    if (auto approved = object.find("terms_approved");
        approved != object.end() && approved->is_string()) {
      limits_.origins.approved = approved->get<std::string>();
    }
    return std::move(limits_);
  }

 private:
  absl::Status Damaged(const std::string& why) const {
    return absl::DataLossError(absl::StrCat(path_, " is damaged: ", why));
  }

  absl::Status Set(const std::string& name, const json& value) {
    const bool list = FindPolicyKey(name)->kind == PolicyKind::kList;
    // A list of one is no number.
    const std::string text = list == value.is_array() ? TextOf(value) : value.dump();
    absl::Status set = SetPolicyValue(name, text, &limits_.policy);
    return set.ok() ? set : Damaged(std::string(set.message()));
  }

  absl::Status ReadLimit(const std::string& name, const json& limit) {
    if (FindPolicyKey(name) == nullptr) {
      std::vector<std::string> names;
      for (const PolicyKey& key : PolicyKeys()) names.push_back(key.name);
      return Damaged(NoSuchWord("limit", name, names));
    }
    if (!limit.is_object() || !limit.contains("value")) {
      return Damaged(absl::StrCat("\"", name, "\" has no \"value\""));
    }
    // Without a value: nothing was pinned.
    if (!(IsPin(name) && limit["value"] == "")) {
      DURE_RETURN_IF_ERROR(Set(name, limit["value"]));
    }
    auto origin = limit.find("origin");
    limits_.origins.of[name] = origin != limit.end() && origin->is_string()
                                   ? origin->get<std::string>().substr(0, kMaxOriginBytes)
                                   : std::string(kSetHere);
    return absl::OkStatus();
  }

  // What an older dure wrote.
  absl::Status ReadThreeNumbers(const json& object) {
    const Policy agreed = limits_.policy;
    for (const char* name : kThreeNumbers) {
      auto number = object.find(name);
      if (number == object.end() || !number->is_number()) {
        return Damaged(absl::StrCat("\"", name, "\" is missing or wrong"));
      }
      DURE_RETURN_IF_ERROR(Set(name, *number));
      if (PolicyValue(limits_.policy, name) != PolicyValue(agreed, name)) {
        limits_.origins.of[name] = kSetByOlder;
      }
    }
    return absl::OkStatus();
  }

  const std::string& path_;
  LimitsFile limits_;
};

}  // namespace

std::string DayOf(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d", time, absl::UTCTimeZone());
}

std::string KeyFingerprint(std::string_view coordinator_der) {
  absl::StatusOr<PublicKey> key = CertificateKey(coordinator_der);
  if (!key.ok()) return "";
  std::string text;
  for (uint8_t byte : Sha256(*key))
    absl::StrAppendFormat(&text, "%s%02X", text.empty() ? "" : ":", byte);
  return text;
}

LimitsFile DefaultLimits(const FederationSpec& spec, const Pinned& pinned, std::string approved) {
  LimitsFile limits{.policy = PolicyOf(spec)};
  limits.policy.ca = CertificateFingerprint(pinned.ca);
  limits.policy.coordinator_key = KeyFingerprint(pinned.coordinator);
  limits.origins.approved = std::move(approved);
  for (const PolicyKey& key : PolicyKeys()) {
    const char* what = IsPin(key.name)                      ? "pinned"
                       : FromTerms(key.name, limits.policy) ? "terms approved"
                                                            : kDefault;
    limits.origins.of[key.name] = what == kDefault || limits.origins.approved.empty()
                                      ? what
                                      : absl::StrCat(what, " ", limits.origins.approved);
  }
  return limits;
}

bool IsSetHere(const PolicyOrigins& origins, const std::string& key) {
  auto origin = origins.of.find(key);
  return origin != origins.of.end() && absl::StartsWith(origin->second, kSetHere);
}

void MarkSetHere(const std::string& key, absl::Time now, PolicyOrigins* origins) {
  origins->of[key] = absl::StrCat(kSetHere, " ", DayOf(now));
}

LimitsFile LimitsUnderNewTerms(const LimitsFile& limits, const FederationSpec& spec,
                               const Pinned& pinned, std::string approved) {
  LimitsFile next = DefaultLimits(spec, pinned, std::move(approved));
  for (const PolicyKey& key : PolicyKeys()) {
    const bool loses_protection =
        IsProtection(key.name) && IsLooser(key.name, next.policy, limits.policy);
    if (!IsSetHere(limits.origins, key.name) && !IsPin(key.name) && !loses_protection) continue;
    CopyPolicyValue(key.name, limits.policy, &next.policy);
    auto origin = limits.origins.of.find(key.name);
    if (origin != limits.origins.of.end()) next.origins.of[key.name] = origin->second;
  }
  return next;
}

absl::StatusOr<LimitsFile> ReadLimits(const std::string& path, const LimitsFile& defaults) {
  return Reader(path, defaults).Read();
}

absl::Status WriteLimits(const std::string& path, const LimitsFile& limits) {
  json written = {{"terms_approved", limits.origins.approved}};
  for (const PolicyKey& key : PolicyKeys()) {
    auto origin = limits.origins.of.find(key.name);
    written["limits"][key.name] = {
        {"value", ValueOf(limits.policy, key)},
        {"origin", origin == limits.origins.of.end() ? kDefault : origin->second}};
  }
  return WriteFileAtomic(path, written.dump(2, ' ', false, json::error_handler_t::replace) + "\n",
                         0600);
}

}  // namespace dure
