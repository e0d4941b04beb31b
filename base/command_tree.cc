#include "base/command_tree.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "nlohmann/json.hpp"

namespace dure {
namespace {

using json = nlohmann::ordered_json;

// Deeper than any program here nests its commands.
constexpr int kMaxDepth = 8;

json ToJson(const CommandTree& tree) {
  json options = json::array(), commands = json::array();
  for (const CommandOption& option : tree.options) {
    options.push_back({{"names", option.names},
                       {"type", option.type},
                       {"values", option.values},
                       {"description", option.description},
                       {"default", option.default_value},
                       {"positional", option.positional},
                       {"required", option.required},
                       {"repeated", option.repeated}});
  }
  for (const CommandTree& command : tree.commands) commands.push_back(ToJson(command));
  return {{"name", tree.name},
          {"description", tree.description},
          {"footer", tree.footer},
          {"options", options},
          {"commands", commands}};
}

std::string Text(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

bool Flag(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

std::vector<std::string> Texts(const json& object, const char* key) {
  std::vector<std::string> texts;
  const auto found = object.find(key);
  if (found == object.end() || !found->is_array()) return texts;
  for (const json& text : *found) {
    if (text.is_string()) texts.push_back(text.get<std::string>());
  }
  return texts;
}

bool FromJson(const json& object, int depth, CommandTree* tree) {
  if (!object.is_object() || depth > kMaxDepth) return false;
  tree->name = Text(object, "name");
  tree->description = Text(object, "description");
  tree->footer = Text(object, "footer");
  const auto options = object.find("options"), commands = object.find("commands");
  if (options == object.end() || !options->is_array() || commands == object.end() ||
      !commands->is_array()) {
    return false;
  }
  for (const json& option : *options) {
    if (!option.is_object()) return false;
    CommandOption read{.names = Texts(option, "names"),
                       .type = Text(option, "type"),
                       .values = Texts(option, "values"),
                       .description = Text(option, "description"),
                       .default_value = Text(option, "default"),
                       .positional = Flag(option, "positional"),
                       .required = Flag(option, "required"),
                       .repeated = Flag(option, "repeated")};
    if (read.names.empty()) return false;
    tree->options.push_back(std::move(read));
  }
  for (const json& command : *commands) {
    if (!FromJson(command, depth + 1, &tree->commands.emplace_back())) return false;
  }
  return true;
}

}  // namespace

std::string EncodeCommandTree(const CommandTree& tree) {
  return ToJson(tree).dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

absl::StatusOr<CommandTree> DecodeCommandTree(std::string_view text) {
  if (text.size() > kMaxCommandTreeBytes) {
    return absl::InvalidArgumentError(absl::StrCat("a tree of commands of ", text.size(),
                                                   " bytes, limit ", kMaxCommandTreeBytes));
  }
  CommandTree tree;
  if (FromJson(json::parse(text, nullptr, /*allow_exceptions=*/false), 0, &tree)) return tree;
  return absl::InvalidArgumentError("this is no tree of commands");
}

std::string TypeWord(std::string_view type) {
  if (type.starts_with("{")) return "";
  return std::string(type.substr(0, type.find(':')));
}

std::vector<std::string> TypeValues(std::string_view type) {
  const size_t begin = type.find('{'), end = type.rfind('}');
  if (begin == std::string_view::npos || end == std::string_view::npos || end < begin) return {};
  const std::string_view inside = type.substr(begin + 1, end - begin - 1);
  std::vector<std::string> values;
  for (absl::string_view value :
       absl::StrSplit(absl::string_view(inside.data(), inside.size()), ',')) {
    values.push_back(std::string(absl::StripAsciiWhitespace(value)));
  }
  return values;
}

}  // namespace dure
