#include "federation/toml_reader.h"

// The one file that knows toml++.
#include <toml++/toml.h>

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/printable.h"
#include "base/status_macros.h"
#include "federation/spec_fields.h"
#include "federation/suggest.h"

namespace dure {

using google::protobuf::Descriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

namespace {

constexpr size_t kMaxShownBytes = 80;

std::string TypeName(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a section";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::string:
      return "a text";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a number with a point";
    case toml::node_type::boolean:
      return "true or false";
    case toml::node_type::date:
      return "a date";
    case toml::node_type::time:
      return "a time of day";
    case toml::node_type::date_time:
      return "a date and time";
    case toml::node_type::none:
      break;
  }
  return "nothing";
}

// Where a key of this name belongs, if another section of `root` has one: "[server]".
std::string OtherSection(const Message& root, std::string_view name) {
  std::string found;
  VisitKeys(root, [&](const std::string& path, const Message&, const Field& key) {
    if (key.name() == name && found.empty() && path.size() > name.size()) {
      found = path.substr(0, path.size() - name.size() - 1);
    }
  });
  return found;
}

// What a name at this place of a message may be.
std::string_view KindAt(const std::string& path, const Descriptor& type) {
  if (!path.empty()) return "key";
  for (const Field* field : FieldsOf(type)) {
    if (KindOf(*field) != KeyKind::kSection) return "key or section";
  }
  return "section";
}

}  // namespace

class TomlReader {
 public:
  TomlReader(std::string_view file, Message* root) : root_(root), places_(file) {}

  // Reads `table` into the section at `path` ("" for the whole file).
  absl::Status ReadSection(const toml::table& table, const std::string& path, Message* section);
  // Each of one key, over what was read.
  absl::Status ReadOverride(const KeyOverride& override);
  // Leaves out what goes with choices that overrides took away.
  void DropUnused();

  std::string At(toml::source_position where) const {
    if (!override_.empty()) return override_ + ": ";
    return absl::StrCat(places_.file_, ":", where.line, ":", where.column, ": ");
  }
  KeyPlaces places() && { return std::move(places_); }

 private:
  absl::Status Fault(toml::source_position where, std::string_view text) const {
    return absl::InvalidArgumentError(absl::StrCat(At(where), std::string(text)));
  }
  absl::Status WrongType(const std::string& path, const Field& key, const toml::node& node) const {
    return Fault(node.source().begin,
                 absl::StrCat(path, " is ", TypeName(node), "; it must be ", ExpectedInWords(key)));
  }
  absl::Status UnknownKey(const std::string& path, const std::string& name,
                          toml::source_position where, const Descriptor& section) const;
  absl::Status ReadKey(const toml::node& node, const std::string& path, Message* section,
                       const Field& key);
  absl::Status ReadInteger(const toml::node& node, const std::string& path, const Field& key,
                           uint64_t* out) const;
  absl::Status ReadChoice(std::string_view name, const toml::node& node, const std::string& path,
                          Message* section, const Field& key) const;
  void DropDependents(Message* section, const std::string& section_path, const Field& choice);

  struct Choice {
    Message* section;
    std::string section_path;
    const Field* key;
  };

  Message* root_;
  KeyPlaces places_;
  std::string override_;  // that is being read
  std::vector<Choice> choices_;
};

absl::Status TomlReader::UnknownKey(const std::string& path, const std::string& name,
                                    toml::source_position where, const Descriptor& section) const {
  std::vector<std::string> known;
  for (const Field* field : FieldsOf(section)) known.push_back(field->name());
  std::string text = absl::StrCat("unknown ", std::string(KindAt(path, section)), " ", Quoted(name),
                                  path.empty() ? "" : absl::StrCat(" in [", path, "]"));
  const std::string nearest = NearestWord(absl::AsciiStrToLower(name), known);
  const std::string elsewhere = OtherSection(*root_, name);
  if (!nearest.empty()) {
    absl::StrAppend(&text, ": did you mean \"", nearest, "\"?");
  } else if (!elsewhere.empty()) {
    absl::StrAppend(&text, ": it belongs in [", elsewhere, "]");
  } else {
    absl::StrAppend(&text, ": there ", known.size() == 1 ? "is " : "are ",
                    absl::StrJoin(known, ", "));
  }
  return Fault(where, text);
}

absl::Status TomlReader::ReadSection(const toml::table& table, const std::string& path,
                                     Message* section) {
  // In the order of the file, so that the first fault reported is the first in it.
  std::vector<std::pair<const toml::key*, const toml::node*>> entries;
  for (auto&& [key, node] : table) entries.emplace_back(&key, &node);
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return a.first->source().begin < b.first->source().begin;
  });
  for (const auto& [key, node] : entries) {
    const std::string name(key->str());
    const Field* field = section->GetDescriptor()->FindFieldByName(name);
    if (field == nullptr) {
      return UnknownKey(path, name, key->source().begin, *section->GetDescriptor());
    }
    std::string full = JoinPath(path, name);
    if (KindOf(*field) != KeyKind::kSection) {
      places_.places_[full] = At(node->source().begin);
      DURE_RETURN_IF_ERROR(ReadKey(*node, full, section, *field));
      continue;
    }
    places_.places_[full] = At(key->source().begin);
    if (!node->is_table()) return WrongType(full, *field, *node);
    DURE_RETURN_IF_ERROR(ReadSection(*node->as_table(), full,
                                     section->GetReflection()->MutableMessage(section, field)));
  }
  return absl::OkStatus();
}

absl::Status TomlReader::ReadInteger(const toml::node& node, const std::string& path,
                                     const Field& key, uint64_t* out) const {
  if (!node.is_integer()) return WrongType(path, key, node);
  int64_t value = node.as_integer()->get();
  int64_t most = key.cpp_type() == Field::CPPTYPE_UINT32 ? std::numeric_limits<uint32_t>::max()
                                                         : std::numeric_limits<int64_t>::max();
  if (value < 0 || value > most) {
    return Fault(node.source().begin,
                 absl::StrCat(path, ": it is ", value, " and must be ", LimitsInWords(key)));
  }
  *out = static_cast<uint64_t>(value);
  return absl::OkStatus();
}

absl::Status TomlReader::ReadChoice(std::string_view name, const toml::node& node,
                                    const std::string& path, Message* section,
                                    const Field& key) const {
  if (SetChoice(name, section, key)) return absl::OkStatus();
  const std::string nearest =
      NearestWord(absl::AsciiStrToLower(std::string(name)), ChoiceNames(*key.enum_type()));
  return Fault(node.source().begin,
               absl::StrCat(path, " is ", Quoted(name),
                            nearest.empty() ? absl::StrCat("; it must be ", ExpectedInWords(key))
                                            : absl::StrCat(": did you mean \"", nearest, "\"?")));
}

absl::Status TomlReader::ReadKey(const toml::node& node, const std::string& path, Message* section,
                                 const Field& key) {
  const Reflection& reflection = *section->GetReflection();
  uint64_t integer = 0;
  switch (KindOf(key)) {
    case KeyKind::kInteger:
      DURE_RETURN_IF_ERROR(ReadInteger(node, path, key, &integer));
      if (key.cpp_type() == Field::CPPTYPE_UINT32) {
        reflection.SetUInt32(section, &key, static_cast<uint32_t>(integer));
      } else {
        reflection.SetUInt64(section, &key, integer);
      }
      return absl::OkStatus();
    case KeyKind::kReal:
      if (!node.is_number()) return WrongType(path, key, node);
      // value<double>() has nothing for an integer that binary64 cannot hold.
      reflection.SetDouble(section, &key,
                           node.is_integer() ? static_cast<double>(node.as_integer()->get())
                                             : node.as_floating_point()->get());
      return absl::OkStatus();
    case KeyKind::kSwitch:
      if (!node.is_boolean()) return WrongType(path, key, node);
      reflection.SetBool(section, &key, *node.value<bool>());
      return absl::OkStatus();
    case KeyKind::kIntegerList:
      if (!node.is_array()) return WrongType(path, key, node);
      for (const toml::node& element : *node.as_array()) {
        DURE_RETURN_IF_ERROR(ReadInteger(element, path, key, &integer));
        reflection.AddUInt32(section, &key, static_cast<uint32_t>(integer));
      }
      return absl::OkStatus();
    case KeyKind::kTextList:
      if (!node.is_array()) return WrongType(path, key, node);
      for (const toml::node& element : *node.as_array()) {
        if (!element.is_string()) return WrongType(path, key, element);
        reflection.AddString(section, &key, element.as_string()->get());
      }
      return absl::OkStatus();
    default:
      break;
  }
  if (!node.is_string()) return WrongType(path, key, node);
  const std::string& text = node.as_string()->get();
  if (KindOf(key) == KeyKind::kChoice) return ReadChoice(text, node, path, section, key);
  if (KindOf(key) == KeyKind::kText) {
    reflection.SetString(section, &key, text);
  } else if (!SetDuration(text, section, key)) {
    return Fault(node.source().begin,
                 absl::StrCat(path, " is ", Quoted(text), "; it must be ", ExpectedInWords(key)));
  }
  return absl::OkStatus();
}

namespace {

// `text` as the value of one key; a text if it is not TOML, or if a text is wanted.
toml::table TableOf(const std::string& text, const Field& key) {
  const KeyKind kind = KindOf(key);
  const bool list = kind == KeyKind::kIntegerList || kind == KeyKind::kTextList;
  const bool bare =
      text.front() != '"' && text.front() != '\'' &&
      (kind == KeyKind::kText || kind == KeyKind::kChoice || kind == KeyKind::kDuration);
  toml::table table;
  if (!bare) {
    try {
      table =
          toml::parse(absl::StrCat("v = ", list && text.front() != '[' ? "[" + text + "]" : text));
    } catch (const toml::parse_error&) {
      table.clear();
    }
    // Anything but one value would be other keys, after a line break.
    if (table.size() == 1 && table.begin()->first.str() == "v") return table;
    table.clear();
  }
  if (kind == KeyKind::kTextList) {
    table.insert("v", toml::array{text});
  } else {
    table.insert("v", text);
  }
  return table;
}

std::string Trimmed(std::string_view text) {
  return std::string(absl::StripAsciiWhitespace(absl::string_view(text.data(), text.size())));
}

}  // namespace

absl::Status TomlReader::ReadOverride(const KeyOverride& override) {
  override_ = Printable(override.shown, kMaxShownBytes);
  Message* section = root_;
  std::string section_path;
  std::string_view rest = override.path;
  for (;;) {
    const size_t dot = rest.find('.');
    const std::string name(rest.substr(0, dot));
    const Field* field = section->GetDescriptor()->FindFieldByName(name);
    if (field == nullptr) {
      return UnknownKey(section_path, name, {}, *section->GetDescriptor());
    }
    const std::string full = JoinPath(section_path, name);
    if (KindOf(*field) == KeyKind::kSection) {
      if (dot == std::string_view::npos) {
        return Fault({}, absl::StrCat(full, " is a section: name one of its keys, such as ", full,
                                      ".", FieldsOf(*field->message_type())[0]->name()));
      }
      section = section->GetReflection()->MutableMessage(section, field);
      section_path = full;
      rest.remove_prefix(dot + 1);
      continue;
    }
    if (dot != std::string_view::npos) {
      return Fault({}, absl::StrCat(full, " is a key, not a section"));
    }
    section->GetReflection()->ClearField(section, field);
    places_.places_[full] = override_ + ": ";
    places_.overridden_[full] = true;
    if (KindOf(*field) == KeyKind::kChoice || KindOf(*field) == KeyKind::kSwitch) {
      choices_.push_back({section, section_path, field});
    }
    const std::string value = Trimmed(override.value);
    if (value.empty()) return absl::OkStatus();
    const toml::table table = TableOf(value, *field);
    return ReadKey(*table.get("v"), full, section, *field);
  }
}

void TomlReader::DropDependents(Message* section, const std::string& section_path,
                                const Field& choice) {
  for (const Field* field : FieldsOf(*section->GetDescriptor())) {
    if (KindOf(*field) == KeyKind::kSection || RulesOf(*field).used_if() != choice.name()) continue;
    if (!IsSet(*section, *field) || IsUsed(*section, *field)) continue;
    if (places_.Overridden(JoinPath(section_path, field->name()))) continue;
    section->GetReflection()->ClearField(section, field);
    DropDependents(section, section_path, *field);
  }
}

void TomlReader::DropUnused() {
  for (const Choice& choice : choices_) {
    // One that was taken back has a default, which is not known here.
    if (IsSet(*choice.section, *choice.key)) {
      DropDependents(choice.section, choice.section_path, *choice.key);
    }
  }
}

std::string KeyPlaces::Of(std::string path) const {
  while (!path.empty()) {
    if (auto found = places_.find(path); found != places_.end()) return found->second;
    size_t dot = path.rfind('.');
    path.resize(dot == std::string::npos ? 0 : dot);
  }
  return absl::StrCat(file_, ":1:1: ");
}

bool KeyPlaces::Overridden(const std::string& path) const { return overridden_.contains(path); }

absl::StatusOr<KeyOverride> ParseOverride(std::string_view text, std::string_view flag) {
  const std::string shown = absl::StrCat(std::string(flag), " ", Printable(text, kMaxShownBytes));
  if (text.size() > kMaxOverrideBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(shown, "...: it has ", text.size(), " bytes, limit ", kMaxOverrideBytes));
  }
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos || Trimmed(text.substr(0, equals)).empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(shown, ": it must be KEY=VALUE, such as local.learning_rate=0.1"));
  }
  return KeyOverride{.shown = shown,
                     .path = Trimmed(text.substr(0, equals)),
                     .value = Trimmed(text.substr(equals + 1))};
}

absl::StatusOr<KeyPlaces> ReadToml(std::string_view toml, std::string_view file,
                                   std::span<const KeyOverride> overrides, Message* message) {
  TomlReader reader(file, message);
  if (toml.size() > kMaxTomlFileBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(std::string(file), ": ", toml.size(), " bytes, limit ", kMaxTomlFileBytes));
  }
  toml::table table;
  try {
    table = toml::parse(toml);
  } catch (const toml::parse_error& error) {
    return absl::InvalidArgumentError(absl::StrCat(reader.At(error.source().begin),
                                                   "not TOML: ", std::string(error.description())));
  }
  DURE_RETURN_IF_ERROR(reader.ReadSection(table, "", message));
  for (const KeyOverride& override : overrides) {
    DURE_RETURN_IF_ERROR(reader.ReadOverride(override));
  }
  reader.DropUnused();
  return std::move(reader).places();
}

bool HasTopLevelText(std::string_view toml, std::string_view name) {
  if (toml.size() > kMaxTomlFileBytes) return false;
  try {
    const toml::table table = toml::parse(toml);
    const toml::node* node = table.get(name);
    return node != nullptr && node->is_string();
  } catch (const toml::parse_error&) {
    return false;
  }
}

}  // namespace dure
