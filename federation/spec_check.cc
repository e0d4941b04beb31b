#include "federation/spec_check.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string_view>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "federation/spec.h"
#include "federation/spec_fields.h"

namespace dure {

using google::protobuf::Message;

namespace {

// Each attempt adds this to delta: the chance that a member's batch reaches its cap
// (docs/secure-aggregation.md section 2.4).
// Values of a byte.
constexpr uint32_t kByteTokens = 256;
// Of a sum of two, each member could take its own input away.
constexpr uint32_t kFewestMasked = 3;
const double kDeltaPerAttempt = std::ldexp(1.0, -40);

struct CodePoint {
  uint32_t value = 0;
  size_t bytes = 0;  // 0: not UTF-8
};

// The first code point of `text`, which is not empty (RFC 3629).
CodePoint DecodeUtf8(std::string_view text) {
  auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  if (byte(0) < 0x80) return {byte(0), 1};
  const size_t bytes = byte(0) >= 0xF0 ? 4 : byte(0) >= 0xE0 ? 3 : 2;
  if (byte(0) < 0xC2 || byte(0) > 0xF4 || text.size() < bytes) return {};
  uint32_t value = byte(0) & (0xFF >> (bytes + 1));
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    value = value << 6 | (byte(i) & 0x3F);
  }
  constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kSmallest[bytes] || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) {
    return {};
  }
  return {value, bytes};
}

// Characters that would act on a terminal or turn the direction of what follows.
bool IsControl(uint32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x2028 || c == 0x2029 ||
         (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

bool OnlyHas(std::string_view text, bool (*allowed)(char)) {
  return std::all_of(text.begin(), text.end(), allowed);
}

bool IsNameChar(char c) { return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-'; }
bool IsLicenseChar(char c) { return absl::ascii_isalnum(c) || c == '-' || c == '.' || c == '+'; }
bool IsHostChar(char c) { return absl::ascii_isalnum(c) || c == '-' || c == '.'; }
bool IsHexDigit(char c) { return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f'); }
bool IsFileNameChar(char c) {
  return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.' || c == '+';
}
bool IsIpv6Char(char c) { return absl::ascii_isxdigit(c) || c == ':' || c == '.'; }

// HOST:PORT, [IPV6]:PORT. Port 0 is for the system to choose.
bool IsAddress(std::string_view text) {
  size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  std::string_view host = text.substr(0, colon);
  std::string port(text.substr(colon + 1));
  uint32_t number = 0;
  if (port.empty() || port.size() > 5 ||
      !OnlyHas(port, [](char c) { return absl::ascii_isdigit(c); }) ||
      !absl::SimpleAtoi(port, &number) || number > 65535) {
    return false;
  }
  if (host.front() == '[') {
    return host.size() > 4 && host.back() == ']' &&
           OnlyHas(host.substr(1, host.size() - 2), IsIpv6Char);
  }
  return OnlyHas(host, IsHostChar);
}

// Keys that name a file which travels with the federation file.
bool IsFileKey(std::string_view path) {
  return path == "model.torchscript" || path == "model.vocabulary" || path == "data.schema";
}

// What is wrong with a text, as the end of a sentence. "" if nothing is.
std::string TextFault(const std::string& path, const std::string& text, const Field& key) {
  double characters = 0;
  for (std::string_view rest = text; !rest.empty(); ++characters) {
    CodePoint point = DecodeUtf8(rest);
    if (point.bytes == 0) return "it must be UTF-8";
    if (IsControl(point.value)) return "it must not have control characters or line breaks";
    rest.remove_prefix(point.bytes);
  }
  if (characters < 1 || !WithinLimits(RulesOf(key), characters)) {
    return absl::StrCat("it must be ", LimitsInWords(key), ", not ", characters);
  }
  if (path == "federation.name" && !OnlyHas(text, IsNameChar)) {
    return "it must be lower-case letters, digits and dashes";
  }
  if (path == "federation.license" && !OnlyHas(text, IsLicenseChar)) {
    return "it must be an SPDX identifier, such as Apache-2.0";
  }
  if (path == "federation.address" && !IsAddress(text)) {
    return "it must be HOST:PORT, such as coordinator.example.org:7443";
  }
  if (absl::EndsWith(path, "_sha256") && (text.size() != 64 || !OnlyHas(text, IsHexDigit))) {
    return "it must be 64 hexadecimal digits in lower case";
  }
  if (IsFileKey(path) && (!OnlyHas(text, IsFileNameChar) || text.front() == '.')) {
    return "it must be the name of a file beside this one, of letters, digits and -_.+";
  }
  return "";
}

std::string TextListFault(const std::string& path, const Message& section, const Field& key) {
  const int size = section.GetReflection()->FieldSize(section, &key);
  if (static_cast<uint32_t>(size) > RulesOf(key).max_elements()) {
    return absl::StrCat("it must be ", LimitsInWords(key), ", not ", size);
  }
  for (int i = 0; i < size; ++i) {
    std::string fault =
        TextFault(path, section.GetReflection()->GetRepeatedString(section, &key, i), key);
    if (!fault.empty()) return absl::StrCat("text ", i + 1, ": ", fault);
  }
  return "";
}

std::string NumberFault(const Message& section, const Field& key) {
  const google::protobuf::Reflection& reflection = *section.GetReflection();
  const KeyRules& rules = RulesOf(key);
  bool good = true;
  switch (KindOf(key)) {
    case KeyKind::kInteger:
      good = WithinLimits(rules, key.cpp_type() == Field::CPPTYPE_UINT32
                                     ? reflection.GetUInt32(section, &key)
                                     : static_cast<double>(reflection.GetUInt64(section, &key)));
      break;
    case KeyKind::kReal:
      good = WithinLimits(rules, reflection.GetDouble(section, &key));
      break;
    case KeyKind::kDuration: {
      absl::StatusOr<uint64_t> ms = DurationMs(section, key);
      if (!ms.ok()) return std::string(ms.status().message());
      good = WithinLimits(rules, static_cast<double>(*ms) / 1000);
      break;
    }
    case KeyKind::kIntegerList: {
      int size = reflection.FieldSize(section, &key);
      good = static_cast<uint32_t>(size) <= rules.max_elements();
      for (int i = 0; good && i < size; ++i) {
        good = WithinLimits(rules, reflection.GetRepeatedUInt32(section, &key, i));
      }
      // A long list is not repeated in the message.
      if (size > 16) return absl::StrCat("it must be ", LimitsInWords(key), ", not ", size);
      break;
    }
    default:
      break;
  }
  return good ? ""
              : absl::StrCat("it is ", ValueToToml(section, key), " and must be ",
                             LimitsInWords(key));
}

std::optional<SpecFault> KeyFault(const std::string& path, const Message& section,
                                  const Field& key) {
  const KeyRules& rules = RulesOf(key);
  if (!IsUsed(section, key)) {
    if (!IsSet(section, key)) return std::nullopt;
    if (path == "secure_aggregation.robust") {
      return SpecFault{path,
                       "secure_aggregation.robust goes with enabled = true only: without secure "
                       "aggregation updates are added up as they come, and there are no groups "
                       "whose sums a rule could compare; remove it, or choose enabled = true"};
    }
    const Field* other = section.GetDescriptor()->FindFieldByName(rules.used_if());
    return SpecFault{path, absl::StrCat(path, " is not used with ", rules.used_if(), " = ",
                                        ValueToToml(section, *other), ": remove it, or choose ",
                                        rules.used_if(), " ", absl::StrJoin(rules.is(), ", "))};
  }
  if (!IsSet(section, key)) {
    if (rules.may_be_absent() || rules.added_later()) return std::nullopt;
    if (path == "rounds.minimum") {
      return SpecFault{path,
                       "rounds.minimum is missing: without rounds.cohort nothing says how "
                       "many members a sum must have; set it to 3 or more"};
    }
    if (path == "secure_aggregation.group_size") {
      return SpecFault{path, absl::StrCat(path,
                                          " is missing: of the whole cohort the coordinator "
                                          "sees one sum, in which a robust rule has nothing to "
                                          "compare; set it to the members of one group, ",
                                          LimitsInWords(key))};
    }
    return SpecFault{path, absl::StrCat(path, " is missing: set it to ", ExpectedInWords(key))};
  }
  std::string fault;
  if (KindOf(key) == KeyKind::kText) {
    fault = TextFault(path, section.GetReflection()->GetString(section, &key), key);
  } else if (KindOf(key) == KeyKind::kTextList) {
    fault = TextListFault(path, section, key);
  } else if (KindOf(key) == KeyKind::kChoice) {
    int number = section.GetReflection()->GetEnumValue(section, &key);
    if (ChoiceName(*key.enum_type(), number).empty()) {
      fault = absl::StrCat("it is number ", number,
                           ", which this version does not know; it must be ", LimitsInWords(key));
    }
  } else {
    fault = NumberFault(section, key);
  }
  if (fault.empty()) return std::nullopt;
  return SpecFault{path, absl::StrCat(path, ": ", fault)};
}

// Which unit of privacy goes with which way to compute, and what a weight may depend on.
std::optional<SpecFault> FaultOfUnit(const FederationSpec& spec) {
  constexpr auto kCode = absl::StatusCode::kFailedPrecondition;
  const LocalSection& local = spec.local();
  const bool epochs = local.mode() == LocalSection::EPOCHS;
  switch (spec.privacy().unit()) {
    case PrivacySection::RECORD:
      if (epochs) {
        return SpecFault{"local.mode",
                         "local.mode = \"epochs\" cannot protect single records: a record moves "
                         "every later step; choose \"gradient\" or \"dp_sgd\", or unit = "
                         "\"client\" in [privacy]",
                         kCode};
      }
      break;
    case PrivacySection::CLIENT:
    case PrivacySection::NONE:
      if (!epochs) {
        return SpecFault{
            "privacy.unit",
            absl::StrCat("privacy.unit = \"",
                         spec.privacy().unit() == PrivacySection::NONE ? "none" : "client",
                         "\" goes with local.mode = \"epochs\" only: \"gradient\" and \"dp_sgd\" "
                         "protect single records (unit = \"record\")"),
            kCode};
      }
      break;
    default:
      break;
  }
  if (local.weighting() != LocalSection::RECORDS) return std::nullopt;
  const bool none = spec.privacy().unit() == PrivacySection::NONE;
  if (none && local.has_weight_mean()) {
    return SpecFault{"local.weight_mean",
                     "local.weight_mean is not used with unit = \"none\", where the true weights "
                     "are added up: remove it",
                     kCode};
  }
  if (!none && !local.has_weight_mean()) {
    return SpecFault{"local.weight_mean",
                     "local.weight_mean is missing: with unit = \"client\" a weighted sum is "
                     "divided by a public number that does not depend on data; set it to the "
                     "records of a typical member",
                     kCode};
  }
  if (local.weight_mean() > local.weight_max()) {
    return SpecFault{"local.weight_mean",
                     absl::StrCat("local.weight_mean is ", local.weight_mean(),
                                  ", above local.weight_max, ", local.weight_max()),
                     kCode};
  }
  return std::nullopt;
}

std::optional<SpecFault> FaultOfAdaptiveClipping(const FederationSpec& spec) {
  const PrivacySection& privacy = spec.privacy();
  if (privacy.clipping() != PrivacySection::ADAPTIVE) return std::nullopt;
  if (2 * privacy.clip_count_noise() > privacy.noise_multiplier()) return std::nullopt;
  return SpecFault{"privacy.clip_count_noise",
                   absl::StrCat("privacy.clip_count_noise is ", privacy.clip_count_noise(),
                                ": counting alone would cost more privacy than noise_multiplier = ",
                                privacy.noise_multiplier(), " allows; it must be above half of it"),
                   absl::StatusCode::kFailedPrecondition};
}

// What the loss, the architecture and the shapes of records must hold together.
std::optional<SpecFault> FaultOfModel(const ModelSection& model) {
  constexpr auto kCode = absl::StatusCode::kFailedPrecondition;
  const bool text =
      model.architecture() == ModelSection::GRU || model.architecture() == ModelSection::LSTM;
  const bool next_token = model.loss() == ModelSection::NEXT_TOKEN;
  const bool any_loss = model.architecture() == ModelSection::TORCHSCRIPT ||
                        model.architecture() == ModelSection::OWN;
  if (text != next_token && !any_loss) {
    return SpecFault{"model.loss",
                     text ? "model.loss of gru and lstm is next_token: remove the key"
                          : "model.loss = \"next_token\" is for models of text: choose gru, lstm "
                            "or a torchscript module, or another loss",
                     kCode};
  }
  const InputSection& input = model.input();
  const bool one_number =
      model.loss() == ModelSection::MSE || model.loss() == ModelSection::BCE_WITH_LOGITS;
  if (one_number != (input.classes() == 1)) {
    return SpecFault{
        "model.input.classes",
        absl::StrCat("model.input.classes is ", input.classes(), ": with model.loss = \"",
                     ChoiceName(*ModelSection::Loss_descriptor(), model.loss()), "\" it must be ",
                     one_number ? "1, the one number that the model gives" : "2 or more"),
        kCode};
  }
  if (next_token && input.shape_size() != 1) {
    return SpecFault{"model.input.shape",
                     "model.input.shape of a text is one size, the tokens of a record, such as "
                     "[80]",
                     kCode};
  }
  if (text && model.tokens() == ModelSection::CHARACTERS && input.classes() != kByteTokens) {
    return SpecFault{"model.input.classes",
                     absl::StrCat("model.input.classes is ", input.classes(),
                                  ": with tokens = characters it is ", kByteTokens,
                                  ", the values of a byte; remove the key"),
                     kCode};
  }
  return std::nullopt;
}

// The server's control variate is the plain mean of the members', and stays so only if what each
// member adds to its own is averaged as it is.
std::optional<SpecFault> FaultOfControlVariates(const FederationSpec& spec) {
  constexpr auto kCode = absl::StatusCode::kFailedPrecondition;
  const auto fault = [](const char* key, absl::string_view why) {
    return SpecFault{key,
                     absl::StrCat(key, " does not go with local.control_variates = true: ", why,
                                  "; remove one of the two keys"),
                     kCode};
  };
  const SecureAggregationSection& secagg = spec.secure_aggregation();
  if (secagg.robust() > SecureAggregationSection::OFF) {
    return fault(
        "secure_aggregation.robust",
        "what a rule over groups lets through is not the mean of what the members keep, and "
        "the difference would steer every later step");
  }
  if (spec.local().weighting() == LocalSection::RECORDS) {
    return fault("local.weighting",
                 "members' control variates count the same, however many records they have");
  }
  if (spec.local().proximal_mu() > 0) {
    return fault("local.proximal_mu",
                 "a control variate is worked out from how far local training went, and drawing it "
                 "back would pass for a direction of the data");
  }
  return std::nullopt;
}

// What goes only with local training whose every step may be told to nobody.
std::optional<SpecFault> FaultOfLocalTraining(const FederationSpec& spec) {
  constexpr auto kCode = absl::StatusCode::kFailedPrecondition;
  const LocalSection& local = spec.local();
  if (spec.model().personal_size() > 0 && local.mode() != LocalSection::EPOCHS) {
    return SpecFault{"model.personal",
                     "model.personal goes with local.mode = \"epochs\" only: a member trains the "
                     "layers that stay with it in passes of its own",
                     kCode};
  }
  if (!local.control_variates()) return std::nullopt;
  if (local.population() < spec.rounds().cohort()) {
    return SpecFault{"local.population",
                     absl::StrCat("local.population is ", local.population(),
                                  ", below the cohort of ", spec.rounds().cohort()),
                     kCode};
  }
  return FaultOfControlVariates(spec);
}

// Noise of sums that are no updates: there where the unit asks for it, and only there.
std::optional<SpecFault> FaultOfSums(const FederationSpec& spec) {
  constexpr auto kCode = absl::StatusCode::kFailedPrecondition;
  const bool none = spec.privacy().unit() == PrivacySection::NONE;
  const auto fault = [&](const char* key, bool used, bool has) -> std::optional<SpecFault> {
    if (!used || has != none) return std::nullopt;
    return SpecFault{
        key,
        none ? absl::StrCat(key, " is not used with unit = \"none\": remove it")
             : absl::StrCat(key, " is missing: exact sums would tell what unit = \"",
                            ChoiceName(*PrivacySection::Unit_descriptor(), spec.privacy().unit()),
                            "\" protects; set it to 10 or more"),
        kCode};
  };
  const StatisticsSection& statistics = spec.statistics();
  const char* on = statistics.enabled()          ? "statistics.enabled"
                   : spec.evaluation().members() ? "evaluation.members"
                                                 : nullptr;
  if (on != nullptr && spec.privacy().unit() == PrivacySection::CLIENT) {
    return SpecFault{on,
                     absl::StrCat(on,
                                  " does not go with privacy.unit = \"client\": what one "
                                  "member adds to such sums is not bounded by what one record "
                                  "adds; use unit = \"record\", or leave it out"),
                     kCode};
  }
  if (on != nullptr && spec.local().mode() == LocalSection::DP_SGD &&
      !spec.secure_aggregation().enabled()) {
    return SpecFault{on,
                     absl::StrCat(on,
                                  " does not go with local.mode = \"dp_sgd\" without secure "
                                  "aggregation: members' own noise is in their steps only, and the "
                                  "coordinator would see each member's sums; set "
                                  "secure_aggregation.enabled = true, or leave it out"),
                     kCode};
  }
  if (statistics.enabled() && !spec.data().has_schema()) {
    return SpecFault{"statistics.enabled",
                     "statistics.enabled needs data.schema: the columns that are counted, and the "
                     "range of each",
                     kCode};
  }
  auto of_statistics =
      fault("statistics.noise_multiplier", statistics.enabled(), statistics.has_noise_multiplier());
  if (of_statistics) return of_statistics;
  const EvaluationSection& evaluation = spec.evaluation();
  return fault("evaluation.members_noise", evaluation.members(), evaluation.has_members_noise());
}

// What several keys must hold together. Every key alone is good.
std::optional<SpecFault> FaultBetweenKeys(const FederationSpec& spec) {
  constexpr auto kCode = absl::StatusCode::kFailedPrecondition;
  const RoundsSection& rounds = spec.rounds();
  if (rounds.has_cohort() && rounds.minimum() > rounds.cohort()) {
    return SpecFault{"rounds.minimum",
                     absl::StrCat("rounds.minimum is ", rounds.minimum(), ", above the cohort of ",
                                  rounds.cohort(), ": lower it, or invite more members"),
                     kCode};
  }
  if (rounds.has_target() && (rounds.target() < rounds.minimum() ||
                              (rounds.has_cohort() && rounds.target() > rounds.cohort()))) {
    return SpecFault{"rounds.target",
                     absl::StrCat("rounds.target is ", rounds.target(),
                                  ": it must be at least rounds.minimum, ", rounds.minimum(),
                                  rounds.has_cohort() ? absl::StrCat(", and at most the cohort of ",
                                                                     rounds.cohort())
                                                      : ""),
                     kCode};
  }
  for (const auto& [key, members] :
       {std::pair("rounds.minimum", rounds.minimum()),
        std::pair("rounds.cohort", rounds.has_cohort() ? rounds.cohort() : kFewestMasked)}) {
    if (members >= kFewestMasked || !spec.secure_aggregation().enabled()) continue;
    return SpecFault{key,
                     absl::StrCat(key, " is ", members,
                                  ": of a sum of two each member could read the other's update; it "
                                  "must be at least 3, or secure_aggregation.enabled = false"),
                     kCode};
  }
  if (rounds.max_attempts() < rounds.count()) {
    return SpecFault{
        "rounds.max_attempts",
        absl::StrCat("rounds.max_attempts is ", rounds.max_attempts(), ", fewer than the ",
                     rounds.count(), " rounds: each round needs at least one attempt"),
        kCode};
  }
  if (std::optional<SpecFault> fault = FaultOfModel(spec.model())) return fault;
  if (std::optional<SpecFault> fault = FaultOfUnit(spec)) return fault;
  if (std::optional<SpecFault> fault = FaultOfLocalTraining(spec)) return fault;
  if (std::optional<SpecFault> fault = FaultOfSums(spec)) return fault;
  if (std::optional<SpecFault> fault = FaultOfAdaptiveClipping(spec)) return fault;
  const PrivacySection& privacy = spec.privacy();
  if (privacy.max_records_per_member() > privacy.total_records()) {
    return SpecFault{
        "privacy.max_records_per_member",
        absl::StrCat("privacy.max_records_per_member is ", privacy.max_records_per_member(),
                     ", more than privacy.total_records, ", privacy.total_records()),
        kCode};
  }
  const double caps = rounds.max_attempts() * kDeltaPerAttempt;
  if (spec.local().mode() == LocalSection::GRADIENT && caps > privacy.delta() / 2) {
    return SpecFault{"privacy.delta",
                     absl::StrCat("privacy.delta is ", privacy.delta(), ", but the batch caps of ",
                                  rounds.max_attempts(), " attempts use up ", caps,
                                  " of it: lower rounds.max_attempts or raise delta to ", 2 * caps),
                     kCode};
  }
  return std::nullopt;
}

// Fields of a newer version would be agreed to unseen: they are not in the digest.
bool HasUnknownFields(const Message& message) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  if (!reflection.GetUnknownFields(message).empty()) return true;
  std::vector<const Field*> set;
  reflection.ListFields(message, &set);
  return std::any_of(set.begin(), set.end(), [&](const Field* field) {
    return field->cpp_type() == Field::CPPTYPE_MESSAGE &&
           HasUnknownFields(reflection.GetMessage(message, field));
  });
}

}  // namespace

std::optional<SpecFault> FindKeyFault(const Message& message) {
  std::optional<SpecFault> fault;
  VisitKeys(message, [&](const std::string& path, const Message& section, const Field& key) {
    if (!fault) fault = KeyFault(path, section, key);
  });
  return fault;
}

std::optional<SpecFault> FindFault(const FederationSpec& spec) {
  if (HasUnknownFields(spec)) {
    return SpecFault{"",
                     "the federation has settings that this version does not know: install the "
                     "version that its organiser uses",
                     absl::StatusCode::kFailedPrecondition};
  }
  std::optional<SpecFault> fault = FindKeyFault(spec);
  return fault ? fault : FaultBetweenKeys(spec);
}

absl::Status ValidateFederation(const FederationSpec& spec) {
  std::optional<SpecFault> fault = FindFault(spec);
  return fault ? absl::Status(fault->code, fault->text) : absl::OkStatus();
}

}  // namespace dure
