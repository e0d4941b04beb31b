// ParseFederation: TOML into FederationSpec by reflection. The one file that knows toml++.
#include <toml++/toml.h>

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "federation/spec.h"
#include "federation/spec_check.h"
#include "federation/spec_fields.h"
#include "federation/suggest.h"

namespace dure {

using google::protobuf::Descriptor;
using google::protobuf::Message;

namespace {

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

class Reader {
 public:
  explicit Reader(std::string_view file) : file_(file) {}

  // Reads `table` into the section at `path` ("" for the whole file).
  absl::Status ReadSection(const toml::table& table, const std::string& path, Message* section);

  // "FILE:LINE:COLUMN: " of the key, of its section, or of the file's beginning.
  std::string Place(std::string path) const {
    while (!path.empty()) {
      if (auto found = where_.find(path); found != where_.end()) return At(found->second);
      size_t dot = path.rfind('.');
      path.resize(dot == std::string::npos ? 0 : dot);
    }
    return At({1, 1});
  }
  std::string At(toml::source_position where) const {
    return absl::StrCat(file_, ":", where.line, ":", where.column, ": ");
  }

 private:
  absl::Status Fault(toml::source_position where, std::string_view text) const {
    return absl::InvalidArgumentError(absl::StrCat(At(where), std::string(text)));
  }
  absl::Status WrongType(const std::string& path, const Field& key, const toml::node& node) const {
    return Fault(node.source().begin,
                 absl::StrCat(path, " is ", TypeName(node), "; it must be ", ExpectedInWords(key)));
  }
  absl::Status UnknownKey(const std::string& path, const toml::key& key,
                          const Descriptor& section) const;
  absl::Status ReadKey(const toml::node& node, const std::string& path, Message* section,
                       const Field& key);
  absl::Status ReadInteger(const toml::node& node, const std::string& path, const Field& key,
                           uint64_t* out) const;
  absl::Status ReadChoice(std::string_view name, const toml::node& node, const std::string& path,
                          Message* section, const Field& key) const;

  std::string file_;
  std::map<std::string, toml::source_position> where_;
};

// Where a key of this name belongs, if another section has one: "[server]".
std::string OtherSection(std::string_view name) {
  std::string found;
  VisitKeys(FederationSpec::default_instance(),
            [&](const std::string& path, const Message&, const Field& key) {
              if (key.name() == name && found.empty()) {
                found = path.substr(0, path.size() - name.size() - 1);
              }
            });
  return found;
}

absl::Status Reader::UnknownKey(const std::string& path, const toml::key& key,
                                const Descriptor& section) const {
  const std::string name(key.str());
  std::vector<std::string> known;
  for (const Field* field : FieldsOf(section)) known.push_back(field->name());
  const bool top = path.empty();
  std::string text = absl::StrCat(top ? "unknown section " : "unknown key ", Quoted(name),
                                  top ? "" : absl::StrCat(" in [", path, "]"));
  const std::string nearest = NearestWord(absl::AsciiStrToLower(name), known);
  const std::string elsewhere = OtherSection(name);
  if (!nearest.empty()) {
    absl::StrAppend(&text, ": did you mean \"", nearest, "\"?");
  } else if (!elsewhere.empty()) {
    absl::StrAppend(&text, ": it belongs in [", elsewhere, "]");
  } else {
    absl::StrAppend(&text, ": there ", known.size() == 1 ? "is " : "are ",
                    absl::StrJoin(known, ", "));
  }
  return Fault(key.source().begin, text);
}

absl::Status Reader::ReadSection(const toml::table& table, const std::string& path,
                                 Message* section) {
  // In the order of the file, so that the first fault reported is the first in it.
  std::vector<std::pair<const toml::key*, const toml::node*>> entries;
  for (auto&& [key, node] : table) entries.emplace_back(&key, &node);
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return a.first->source().begin < b.first->source().begin;
  });
  for (const auto& [key, node] : entries) {
    const Field* field = section->GetDescriptor()->FindFieldByName(std::string(key->str()));
    if (field == nullptr) return UnknownKey(path, *key, *section->GetDescriptor());
    std::string full = JoinPath(path, key->str());
    if (KindOf(*field) != KeyKind::kSection) {
      where_[full] = node->source().begin;
      DURE_RETURN_IF_ERROR(ReadKey(*node, full, section, *field));
      continue;
    }
    where_[full] = key->source().begin;
    if (!node->is_table()) return WrongType(full, *field, *node);
    DURE_RETURN_IF_ERROR(ReadSection(*node->as_table(), full,
                                     section->GetReflection()->MutableMessage(section, field)));
  }
  return absl::OkStatus();
}

absl::Status Reader::ReadInteger(const toml::node& node, const std::string& path, const Field& key,
                                 uint64_t* out) const {
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

absl::Status Reader::ReadChoice(std::string_view name, const toml::node& node,
                                const std::string& path, Message* section, const Field& key) const {
  if (SetChoice(name, section, key)) return absl::OkStatus();
  const std::string nearest =
      NearestWord(absl::AsciiStrToLower(std::string(name)), ChoiceNames(*key.enum_type()));
  return Fault(node.source().begin,
               absl::StrCat(path, " is ", Quoted(name),
                            nearest.empty() ? absl::StrCat("; it must be ", ExpectedInWords(key))
                                            : absl::StrCat(": did you mean \"", nearest, "\"?")));
}

absl::Status Reader::ReadKey(const toml::node& node, const std::string& path, Message* section,
                             const Field& key) {
  const google::protobuf::Reflection& reflection = *section->GetReflection();
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

// "FILE:LINE:COLUMN: not TOML: what toml++ says".
absl::Status ParseFault(const Reader& reader, const toml::parse_error& error) {
  return absl::InvalidArgumentError(absl::StrCat(reader.At(error.source().begin),
                                                 "not TOML: ", std::string(error.description())));
}

}  // namespace

absl::StatusOr<FederationSpec> ParseFederation(std::string_view toml, std::string_view file) {
  return ParseFederation(toml, file, [](FederationSpec*) { return std::nullopt; });
}

absl::StatusOr<FederationSpec> ParseFederation(std::string_view toml, std::string_view file,
                                               const SpecCompletion& complete) {
  Reader reader(file);
  if (toml.size() > kMaxFederationFileBytes) {
    return absl::InvalidArgumentError(absl::StrCat(std::string(file), ": ", toml.size(),
                                                   " bytes, limit ", kMaxFederationFileBytes));
  }
  toml::table table;
  try {
    table = toml::parse(toml);
  } catch (const toml::parse_error& error) {
    return ParseFault(reader, error);
  }
  FederationSpec spec;
  DURE_RETURN_IF_ERROR(reader.ReadSection(table, "", &spec));
  std::optional<SpecFault> fault = complete(&spec);
  if (!fault) {
    FillDefaults(&spec);
    fault = FindFault(spec);
  }
  if (fault) {
    return absl::Status(fault->code, absl::StrCat(reader.Place(fault->path), fault->text));
  }
  return spec;
}

}  // namespace dure
