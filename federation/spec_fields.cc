#include "federation/spec_fields.h"

#include <google/protobuf/duration.pb.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "base/check.h"

namespace dure {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::Message;

namespace {

constexpr size_t kMaxQuotedBytes = 80;
constexpr int64_t kMaxDurationSeconds = int64_t{1} << 43;

std::string NumberInWords(double value) {
  if (value == std::floor(value) && std::abs(value) < 1e16) {
    return absl::StrCat(static_cast<int64_t>(value));
  }
  return RealToText(value);
}

std::string RangeInWords(const KeyRules& rules, const std::function<std::string(double)>& text) {
  if (rules.has_at_least() && rules.has_at_most()) {
    return absl::StrCat(text(rules.at_least()), " to ", text(rules.at_most()));
  }
  std::vector<std::string> parts;
  if (rules.has_at_least()) parts.push_back(absl::StrCat("at least ", text(rules.at_least())));
  if (rules.has_above()) parts.push_back(absl::StrCat("above ", text(rules.above())));
  if (rules.has_at_most()) parts.push_back(absl::StrCat("at most ", text(rules.at_most())));
  if (rules.has_below()) parts.push_back(absl::StrCat("below ", text(rules.below())));
  return absl::StrJoin(parts, ", ");
}

const google::protobuf::Duration& DurationOf(const Message& section, const Field& key) {
  return static_cast<const google::protobuf::Duration&>(
      section.GetReflection()->GetMessage(section, &key));
}

std::string TextToToml(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

void VisitSection(const std::string& path, const Message& section, const KeyVisitor& visit) {
  for (const Field* field : FieldsOf(*section.GetDescriptor())) {
    std::string full = JoinPath(path, field->name());
    if (KindOf(*field) == KeyKind::kSection) {
      VisitSection(full, section.GetReflection()->GetMessage(section, field), visit);
    } else {
      visit(full, section, *field);
    }
  }
}

}  // namespace

KeyKind KindOf(const Field& field) {
  switch (field.cpp_type()) {
    case Field::CPPTYPE_MESSAGE:
      return field.message_type()->full_name() == "google.protobuf.Duration" ? KeyKind::kDuration
                                                                             : KeyKind::kSection;
    case Field::CPPTYPE_UINT32:
      return field.is_repeated() ? KeyKind::kIntegerList : KeyKind::kInteger;
    case Field::CPPTYPE_UINT64:
      return KeyKind::kInteger;
    case Field::CPPTYPE_DOUBLE:
      return KeyKind::kReal;
    case Field::CPPTYPE_BOOL:
      return KeyKind::kSwitch;
    case Field::CPPTYPE_STRING:
      return field.is_repeated() ? KeyKind::kTextList : KeyKind::kText;
    case Field::CPPTYPE_ENUM:
      return KeyKind::kChoice;
    default:
      break;
  }
  DURE_CHECK(false && "a kind of field that the federation file does not have");
  return KeyKind::kText;
}

std::string KindInWords(KeyKind kind) {
  switch (kind) {
    case KeyKind::kSection:
      return "a section";
    case KeyKind::kInteger:
      return "an integer";
    case KeyKind::kReal:
      return "a number";
    case KeyKind::kSwitch:
      return "true or false";
    case KeyKind::kText:
      return "a text";
    case KeyKind::kDuration:
      return "a duration";
    case KeyKind::kChoice:
      return "a choice";
    case KeyKind::kIntegerList:
      return "a list of integers";
    case KeyKind::kTextList:
      return "a list of texts";
  }
  return "";
}

const KeyRules& RulesOf(const Field& field) { return field.options().GetExtension(key_rules); }

bool WithinLimits(const KeyRules& rules, double value) {
  return std::isfinite(value) && (!rules.has_at_least() || value >= rules.at_least()) &&
         (!rules.has_above() || value > rules.above()) &&
         (!rules.has_at_most() || value <= rules.at_most()) &&
         (!rules.has_below() || value < rules.below());
}

std::string LimitsInWords(const Field& field) {
  const KeyRules& rules = RulesOf(field);
  switch (KindOf(field)) {
    case KeyKind::kChoice:
      return absl::StrJoin(ChoiceNames(*field.enum_type()), ", ");
    case KeyKind::kSwitch:
      return "true, false";
    case KeyKind::kText:
      return absl::StrCat("1 to ", NumberInWords(rules.at_most()), " characters");
    case KeyKind::kDuration:
      return RangeInWords(rules, [](double s) { return absl::FormatDuration(absl::Seconds(s)); });
    case KeyKind::kIntegerList:
      return absl::StrCat("1 to ", rules.max_elements(), " integers, each ",
                          RangeInWords(rules, NumberInWords));
    case KeyKind::kTextList:
      return absl::StrCat("1 to ", rules.max_elements(), " texts, each of 1 to ",
                          NumberInWords(rules.at_most()), " characters");
    default:
      return RangeInWords(rules, NumberInWords);
  }
}

std::string ExpectedInWords(const Field& field) {
  const std::string limits = LimitsInWords(field);
  switch (KindOf(field)) {
    case KeyKind::kSection:
    case KeyKind::kSwitch:
      return KindInWords(KindOf(field));
    case KeyKind::kChoice:
      return absl::StrCat("one of \"", absl::StrJoin(ChoiceNames(*field.enum_type()), "\", \""),
                          "\"");
    case KeyKind::kDuration:
      return absl::StrCat("a duration of ", limits, ", such as \"90s\", \"5m\" or \"1h30m\"");
    case KeyKind::kText:
      return absl::StrCat("a text of ", limits);
    case KeyKind::kIntegerList:
    case KeyKind::kTextList:
      return absl::StrCat("a list of ", limits);
    default:
      return absl::StrCat(KindInWords(KindOf(field)), ", ", limits);
  }
}

std::vector<const Field*> FieldsOf(const Descriptor& type) {
  std::vector<const Field*> fields;
  for (int i = 0; i < type.field_count(); ++i) fields.push_back(type.field(i));
  std::sort(fields.begin(), fields.end(),
            [](const Field* a, const Field* b) { return a->number() < b->number(); });
  return fields;
}

std::string JoinPath(std::string_view section, std::string_view key) {
  return section.empty() ? std::string(key) : std::string(section) + "." + std::string(key);
}

void VisitKeys(const Message& message, const KeyVisitor& visit) {
  VisitSection("", message, visit);
}

bool IsSet(const Message& section, const Field& key) {
  const google::protobuf::Reflection& reflection = *section.GetReflection();
  return key.is_repeated() ? reflection.FieldSize(section, &key) > 0
                           : reflection.HasField(section, &key);
}

bool IsUsed(const Message& section, const Field& key) {
  const KeyRules& rules = RulesOf(key);
  if (!rules.has_used_if()) return true;
  const Field* other = section.GetDescriptor()->FindFieldByName(rules.used_if());
  DURE_CHECK(other != nullptr);
  const google::protobuf::Reflection& reflection = *section.GetReflection();
  std::string value;
  if (KindOf(*other) == KeyKind::kSwitch) {
    value = reflection.GetBool(section, other) ? "true" : "false";
  } else {
    DURE_CHECK(KindOf(*other) == KeyKind::kChoice);
    value = ChoiceName(*other->enum_type(), reflection.GetEnumValue(section, other));
  }
  return std::find(rules.is().begin(), rules.is().end(), value) != rules.is().end();
}

std::string ChoiceName(const EnumDescriptor& type, int number) {
  const auto* value = number == 0 ? nullptr : type.FindValueByNumber(number);
  return value == nullptr ? "" : absl::AsciiStrToLower(value->name());
}

std::vector<std::string> ChoiceNames(const EnumDescriptor& type) {
  std::vector<std::string> names;
  for (int i = 0; i < type.value_count(); ++i) {
    if (type.value(i)->number() != 0) names.push_back(ChoiceName(type, type.value(i)->number()));
  }
  return names;
}

bool SetChoice(std::string_view name, Message* section, const Field& key) {
  for (int i = 0; i < key.enum_type()->value_count(); ++i) {
    const auto* value = key.enum_type()->value(i);
    if (value->number() != 0 && ChoiceName(*key.enum_type(), value->number()) == name) {
      section->GetReflection()->SetEnum(section, &key, value);
      return true;
    }
  }
  return false;
}

bool SetDuration(std::string_view text, Message* section, const Field& key) {
  absl::Duration value;
  if (!absl::ParseDuration(std::string(text), &value)) return false;
  if (value < absl::ZeroDuration() || value > absl::Seconds(kMaxDurationSeconds)) return false;
  if (value != absl::Trunc(value, absl::Milliseconds(1))) return false;
  auto* duration = static_cast<google::protobuf::Duration*>(
      section->GetReflection()->MutableMessage(section, &key));
  duration->set_seconds(absl::ToInt64Seconds(value));
  duration->set_nanos(
      static_cast<int32_t>(absl::ToInt64Nanoseconds(value - absl::Seconds(duration->seconds()))));
  return true;
}

absl::StatusOr<uint64_t> DurationMs(const Message& section, const Field& key) {
  const google::protobuf::Duration& value = DurationOf(section, key);
  if (value.seconds() < 0 || value.seconds() > kMaxDurationSeconds || value.nanos() < 0 ||
      value.nanos() > 999'999'999 || value.nanos() % 1'000'000 != 0) {
    return absl::InvalidArgumentError("a duration must be a whole number of milliseconds");
  }
  return static_cast<uint64_t>(value.seconds()) * 1000 + value.nanos() / 1'000'000;
}

std::string RealToText(double value) {
  char buffer[64];
  auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  DURE_CHECK(error == std::errc());
  std::string text(buffer, end);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";  // n: inf, nan
  if (size_t zero = text.find("e-0"); zero != std::string::npos) text.erase(zero + 2, 1);
  return text;
}

std::string ValueToToml(const Message& section, const Field& key) {
  const google::protobuf::Reflection& reflection = *section.GetReflection();
  switch (KindOf(key)) {
    case KeyKind::kInteger:
      return key.cpp_type() == Field::CPPTYPE_UINT32
                 ? absl::StrCat(reflection.GetUInt32(section, &key))
                 : absl::StrCat(reflection.GetUInt64(section, &key));
    case KeyKind::kReal:
      return RealToText(reflection.GetDouble(section, &key) + 0.0);
    case KeyKind::kSwitch:
      return reflection.GetBool(section, &key) ? "true" : "false";
    case KeyKind::kText:
      return TextToToml(reflection.GetString(section, &key));
    case KeyKind::kChoice: {
      int number = reflection.GetEnumValue(section, &key);
      std::string name = ChoiceName(*key.enum_type(), number);
      return TextToToml(name.empty() ? absl::StrCat(number) : name);
    }
    case KeyKind::kDuration: {
      const google::protobuf::Duration& value = DurationOf(section, key);
      return TextToToml(
          absl::FormatDuration(absl::Seconds(value.seconds()) + absl::Nanoseconds(value.nanos())));
    }
    case KeyKind::kIntegerList: {
      std::vector<uint32_t> elements;
      for (int i = 0; i < reflection.FieldSize(section, &key); ++i) {
        elements.push_back(reflection.GetRepeatedUInt32(section, &key, i));
      }
      return absl::StrCat("[", absl::StrJoin(elements, ", "), "]");
    }
    case KeyKind::kTextList: {
      std::vector<std::string> elements;
      for (int i = 0; i < reflection.FieldSize(section, &key); ++i) {
        elements.push_back(TextToToml(reflection.GetRepeatedString(section, &key, i)));
      }
      return absl::StrCat("[", absl::StrJoin(elements, ", "), "]");
    }
    case KeyKind::kSection:
      break;
  }
  DURE_CHECK(false && "a section has no value");
  return "";
}

std::string Quoted(std::string_view text) {
  bool cut = text.size() > kMaxQuotedBytes;
  if (cut) text = text.substr(0, kMaxQuotedBytes);
  return absl::StrCat("\"", absl::CHexEscape(absl::string_view(text.data(), text.size())), "\"",
                      cut ? "..." : "");
}

}  // namespace dure
