#include "federation/spec_reference.h"

#include <google/protobuf/descriptor.pb.h>

#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "federation/spec.h"
#include "federation/spec_fields.h"
#include "proto/simulation.pb.h"

namespace dure {

// Made when building (federation/CMakeLists.txt): the descriptors of both proto files with their
// comments, which the generated code leaves out.
extern const unsigned char kFederationDescriptors[];
extern const size_t kFederationDescriptorsSize;

namespace {

constexpr size_t kColumns = 98;
constexpr char kRequired[] = "required";

// The comments of the proto files. Read once, never destroyed.
class Comments {
 public:
  static const Comments& Get() {
    static const Comments& comments = *new Comments;
    return comments;
  }

  std::string Of(const Field& key) const { return Text(*pool_.FindFieldByName(key.full_name())); }
  std::string Of(const google::protobuf::EnumValueDescriptor& value) const {
    return Text(
        *pool_.FindEnumTypeByName(value.type()->full_name())->FindValueByNumber(value.number()));
  }

 private:
  Comments() {
    google::protobuf::FileDescriptorSet set;
    DURE_CHECK(
        set.ParseFromArray(kFederationDescriptors, static_cast<int>(kFederationDescriptorsSize)));
    for (const auto& file : set.file()) DURE_CHECK(pool_.BuildFile(file) != nullptr);
  }

  // The comment above `thing`, its lines joined.
  template <typename Descriptor>
  static std::string Text(const Descriptor& thing) {
    google::protobuf::SourceLocation where;
    if (!thing.GetSourceLocation(&where)) return "";
    std::vector<std::string> words =
        absl::StrSplit(where.leading_comments, absl::ByAnyChar(" \n"), absl::SkipEmpty());
    return absl::StrJoin(words, " ");
  }

  google::protobuf::DescriptorPool pool_;
};

std::string DefaultInWords(const Field& key) {
  const KeyRules& rules = RulesOf(key);
  std::string text = rules.has_derived()         ? rules.derived()
                     : rules.has_default_value() ? rules.default_value()
                                                 : kRequired;
  if (!rules.has_used_if()) return text;
  return absl::StrCat(text, "; only with ", rules.used_if(), " ", absl::StrJoin(rules.is(), ", "));
}

// "rounds" of "rounds.count".
std::string SectionOf(const std::string& path) {
  const size_t dot = path.rfind('.');
  return dot == std::string::npos ? "" : path.substr(0, dot);
}

KeyReference MakeReference(const std::string& path, const Field& key) {
  KeyReference reference;
  reference.section = SectionOf(path);
  reference.key = key.name();
  const std::string kind = KindInWords(KindOf(key));
  reference.type = KindOf(key) == KeyKind::kSwitch
                       ? kind
                       : kind.substr(kind.find(' ') + 1);  // without the article
  reference.default_value = DefaultInWords(key);
  reference.limits = LimitsInWords(key);
  reference.meaning = Comments::Get().Of(key);
  if (KindOf(key) == KeyKind::kChoice) {
    for (int i = 0; i < key.enum_type()->value_count(); ++i) {
      const auto* value = key.enum_type()->value(i);
      if (value->number() == 0) continue;
      reference.choices.emplace_back(ChoiceName(*key.enum_type(), value->number()),
                                     Comments::Get().Of(*value));
    }
  }
  return reference;
}

// Adds `text` as comment lines of at most kColumns.
void AppendComment(const std::string& text, std::string* out) {
  std::string line = "#";
  for (absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    if (line.size() + 1 + word.size() > kColumns) {
      absl::StrAppend(out, line, "\n");
      line = "#";
    }
    absl::StrAppend(&line, " ", word);
  }
  absl::StrAppend(out, line, "\n");
}

void AppendKey(const std::string& path, const google::protobuf::Message& section, const Field& key,
               std::string* out) {
  const KeyReference reference = MakeReference(path, key);
  const std::string limits = absl::StrCat(
      reference.choices.empty() && KindOf(key) != KeyKind::kSwitch ? "Limits: " : "One of: ",
      reference.limits, ".");
  const std::string otherwise = reference.default_value == kRequired
                                    ? "Required."
                                    : absl::StrCat("Left out: ", reference.default_value, ".");
  AppendComment(absl::StrCat(reference.meaning, " ", limits, " ", otherwise), out);
  if (IsSet(section, key)) {
    absl::StrAppend(out, reference.key, " = ", ValueToToml(section, key), "\n");
  }
}

// Texts by section, sections in the order of their first key. The keys of a section stay together
// although an inner section may come between them in the proto file: in TOML a key belongs to the
// header above it.
class SectionTexts {
 public:
  std::string& Of(const std::string& section) {
    if (texts_.find(section) == texts_.end()) sections_.push_back(section);
    return texts_[section];
  }
  const std::vector<std::string>& sections() const { return sections_; }

 private:
  std::vector<std::string> sections_;
  std::map<std::string, std::string> texts_;
};

// `text` inside a cell of a Markdown table.
std::string Cell(const std::string& text) { return absl::StrReplaceAll(text, {{"|", "\\|"}}); }

// A table of keys for each section.
std::string Tables(const std::vector<KeyReference>& keys) {
  SectionTexts texts;
  for (const KeyReference& key : keys) {
    std::string meaning = key.meaning;
    for (const auto& [value, text] : key.choices) {
      absl::StrAppend(&meaning, "<br>`", value, "`: ", text);
    }
    absl::StrAppend(&texts.Of(key.section), "| `", key.key, "` | ", key.type, " | ",
                    Cell(key.default_value), " | ", Cell(key.limits), " | ", Cell(meaning), " |\n");
  }
  std::string out;
  for (const std::string& section : texts.sections()) {
    absl::StrAppend(&out, "\n## ", section.empty() ? "At the top" : absl::StrCat("[", section, "]"),
                    "\n\n", "| key | type | default | limits | meaning |\n|---|---|---|---|---|\n",
                    texts.Of(section));
  }
  return out;
}

}  // namespace

std::vector<KeyReference> KeysOf(const google::protobuf::Message& message) {
  std::vector<KeyReference> keys;
  VisitKeys(message, [&](const std::string& path, const google::protobuf::Message&,
                         const Field& key) { keys.push_back(MakeReference(path, key)); });
  return keys;
}

std::vector<KeyReference> FederationKeys() { return KeysOf(FederationSpec::default_instance()); }

std::string KeysToToml(const google::protobuf::Message& message, std::string_view opening) {
  SectionTexts texts;
  VisitKeys(message, [&](const std::string& path, const google::protobuf::Message& section,
                         const Field& key) {
    if (!IsUsed(section, key)) return;
    AppendKey(path, section, key, &texts.Of(SectionOf(path)));
  });
  std::string out(opening);
  for (const std::string& section : texts.sections()) {
    absl::StrAppend(&out, "\n", section.empty() ? "" : absl::StrCat("[", section, "]\n"),
                    texts.Of(section));
  }
  return out;
}

std::string FederationToToml(const FederationSpec& spec) {
  return KeysToToml(spec,
                    "# What this federation is and what its members agree to. Every key is "
                    "explained in\n"
                    "# docs/federation-file.md; `dure check` says what the whole means.\n");
}

std::string FederationReferencePage() {
  std::string out =
      "# The federation file\n\n"
      "One TOML file says what a federation is. Members approve its digest\n"
      "([formats/spec-digest.md](formats/spec-digest.md)), so nothing in it can change unseen.\n"
      "`dure init` writes one with these explanations as comments; `dure check` reads it and says\n"
      "what it means. A key that is not listed here is an error, and so is a key that the chosen\n"
      "optimiser does not use.\n\n"
      "This page is made from the comments and rules of `proto/federation.proto`: change them, "
      "then\n"
      "run `dure-federation-reference > docs/federation-file.md`.\n";
  return out + Tables(FederationKeys());
}

std::string SimulationReferencePage() {
  std::string out =
      "# The simulation file\n\n"
      "What is simulated: the federation file that is run, whose records there are and how "
      "clients\n"
      "behave. [simulation.md](simulation.md) explains the parts; `dure simulate` reads the file. "
      "A\n"
      "key that is not listed here is an error.\n\n"
      "This page is made from the comments and rules of `proto/simulation.proto`: change them, "
      "then\n"
      "run `dure-federation-reference simulation > docs/simulation-file.md`.\n";
  return out + Tables(KeysOf(SimulationSpec::default_instance()));
}

}  // namespace dure
