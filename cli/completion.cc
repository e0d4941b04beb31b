// Completion for bash and zsh.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "cli/reference.h"

namespace dure::cli {
namespace {

constexpr const char* kFolderWords[] = {"DIR", "FOLDER", "CA_DIR", "NODE", "--node", "--state"};
constexpr const char* kFileWords[] = {
    "FILE",      "PATH",     "MODEL",  "INPUT",        "RUN",         "REQUEST",   "--out",
    "--from",    "--export", "--data", "--model",      "--module",    "--trainer", "--labels",
    "--classes", "--plots",  "--ca",   "--federation", "--vocabulary"};

// The name by which people know it: the long one.
std::string LastName(const CommandOption& option) { return option.names.back(); }

template <size_t n>
bool IsOneOf(const std::string& word, const char* const (&words)[n]) {
  return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

// Calls `visit` with every command and its path, "dure client status".
template <typename Visit>
void ForEachCommand(const CommandTree& tree, const std::string& above, const Visit& visit) {
  const std::string path = above.empty() ? tree.name : absl::StrCat(above, " ", tree.name);
  visit(tree, path);
  for (const CommandTree& command : tree.commands) ForEachCommand(command, path, visit);
}

std::string NamesOf(const CommandTree& tree) {
  return absl::StrJoin(tree.commands, " ", [](std::string* out, const CommandTree& command) {
    out->append(command.name);
  });
}

// ---- bash ----

// What completes the value of `option`, as a word for _dure_value.
std::string BashAction(const CommandOption& option) {
  switch (KindOf(option)) {
    case ValueKind::kChoice:
      return absl::StrCat("words ", absl::StrJoin(option.values, " "));
    case ValueKind::kFolder:
      return "folder";
    case ValueKind::kFile:
      return "file";
    case ValueKind::kWord:
      return "nothing";
  }
  return "nothing";
}

// The lines of one command: its options and commands, what each option's value is, what each
// argument is.
std::string BashCase(const CommandTree& command, const std::string& path) {
  std::vector<std::string> flags;
  std::string actions;
  size_t position = 0;
  for (const CommandOption& option : command.options) {
    if (option.positional) {
      const std::string place =
          option.repeated ? "argument*" : absl::StrCat("argument", ++position);
      absl::StrAppend(&actions, "    '", path, "|", place, "') action='", BashAction(option),
                      "' ;;\n");
      continue;
    }
    flags.insert(flags.end(), option.names.begin(), option.names.end());
    if (option.type.empty() && option.values.empty()) continue;
    std::vector<std::string> patterns;
    for (const std::string& name : option.names) {
      patterns.push_back(absl::StrCat("'", path, "|", name, "'"));
    }
    absl::StrAppend(&actions, "    ", absl::StrJoin(patterns, "|"), ") action='",
                    BashAction(option), "' ;;\n");
  }
  return absl::StrCat("    '", path, "|commands') action='words ", NamesOf(command), "' ;;\n",
                      "    '", path, "|options') action='words ", absl::StrJoin(flags, " "),
                      "' ;;\n", actions);
}

constexpr char kBashBegin[] = R"sh(# bash completion for dure, made by `dure completion bash`.

# Sets `action`: what stands at a place of a command line. Fails where nothing is known of it.
_dure_action() {
  action=
  case $1 in
)sh";

constexpr char kBashEnd[] = R"sh(    *) return 1 ;;
  esac
}

# Fills COMPREPLY with what `action` stands for and begins with $1.
_dure_complete() {
  local found
  COMPREPLY=()
  case $action in
    'words '*)
      while IFS= read -r found; do COMPREPLY+=("$found"); done \
        < <(compgen -W "${action#words }" -- "$1") ;;
    folder)
      compopt -o filenames 2>/dev/null
      while IFS= read -r found; do COMPREPLY+=("$found"); done < <(compgen -d -- "$1") ;;
    file)
      compopt -o filenames 2>/dev/null
      while IFS= read -r found; do COMPREPLY+=("$found"); done < <(compgen -f -- "$1") ;;
  esac
}

_dure() {
  local action current=${COMP_WORDS[COMP_CWORD]} previous= path=dure word attached= count=0
  local -i i
  # bash splits --option=value at the sign, unless somebody has told it not to.
  if [[ $current == --*=* ]]; then
    attached=${current%%=*}= previous=${current%%=*} current=${current#*=}
  elif [[ $current == '=' ]]; then
    previous=${COMP_WORDS[COMP_CWORD - 1]} current=
  elif ((COMP_CWORD > 1)) && [[ ${COMP_WORDS[COMP_CWORD - 1]} == '=' ]]; then
    previous=${COMP_WORDS[COMP_CWORD - 2]}
  elif ((COMP_CWORD > 0)); then
    previous=${COMP_WORDS[COMP_CWORD - 1]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if [[ $word == --*=* ]]; then
      continue
    elif [[ $word == -* ]]; then
      # An option's value is no argument.
      if _dure_action "$path|$word"; then
        if [[ ${COMP_WORDS[i + 1]} == '=' ]]; then i+=2; else i+=1; fi
      fi
    elif [[ $word != '=' ]]; then
      _dure_action "$path|commands"
      if [[ " ${action#words} " == *" $word "* ]]; then
        path+=" $word" count=0
      else
        count=$((count + 1))
      fi
    fi
  done
  if [[ $previous == -* ]] && _dure_action "$path|$previous"; then
    _dure_complete "$current"
    for ((i = 0; i < ${#COMPREPLY[@]}; i++)); do COMPREPLY[i]=$attached${COMPREPLY[i]}; done
  elif [[ $current == -* ]]; then
    _dure_action "$path|options" && _dure_complete "$current"
  else
    local -a all=()
    if _dure_action "$path|commands" && ((count == 0)) && [[ $action != 'words ' ]]; then
      _dure_complete "$current"
      all=("${COMPREPLY[@]}")
    fi
    COMPREPLY=()
    if _dure_action "$path|argument$((count + 1))" || _dure_action "$path|argument*"; then
      _dure_complete "$current"
    fi
    COMPREPLY=("${all[@]}" "${COMPREPLY[@]}")
  fi
}

complete -F _dure dure
)sh";

// ---- zsh ----

// Inside single quotes, and inside the brackets and between the colons of _arguments.
std::string ZshText(const std::string& text) {
  return absl::StrReplaceAll(
      text,
      {{"\\", "\\\\"}, {"'", "'\\''"}, {"[", "\\["}, {"]", "\\]"}, {":", "\\:"}, {"\n", " "}});
}

std::string ZshAction(const CommandOption& option) {
  switch (KindOf(option)) {
    case ValueKind::kChoice:
      return absl::StrCat("(", absl::StrJoin(option.values, " "), ")");
    case ValueKind::kFolder:
      return "_files -/";
    case ValueKind::kFile:
      return "_files";
    case ValueKind::kWord:
      return " ";
  }
  return " ";
}

std::string ZshFunction(const std::string& path) {
  return absl::StrCat("_", absl::StrReplaceAll(path, {{" ", "_"}, {"-", "_"}}));
}

std::string ZshOption(const CommandOption& option) {
  const bool has_value = !option.type.empty() || !option.values.empty();
  const std::string value =
      has_value ? absl::StrCat(":", ZshText(option.type), ":", ZshAction(option)) : "";
  const std::string description = absl::StrCat("[", ZshText(option.description), "]");
  std::string lines;
  for (const std::string& name : option.names) {
    const char* sign = !has_value ? "" : name.starts_with("--") ? "=" : "+";
    const std::string excluded =
        option.repeated ? "*" : absl::StrCat("(", absl::StrJoin(option.names, " "), ")");
    absl::StrAppend(&lines, "    '", excluded, name, sign, description, value, "' \\\n");
  }
  return lines;
}

// The function of one command; those of its own commands are called by it.
std::string ZshCommand(const CommandTree& command, const std::string& path) {
  std::string specs, described, calls;
  size_t position = 0;
  for (const CommandOption& option : command.options) {
    if (!option.positional) {
      specs += ZshOption(option);
      continue;
    }
    if (!command.commands.empty()) continue;  // the first argument is a command
    const std::string place = option.repeated ? "*" : absl::StrCat(++position);
    absl::StrAppend(&specs, "    '", place, ":", ZshText(LastName(option)), ":", ZshAction(option),
                    "' \\\n");
  }
  if (command.commands.empty()) {
    return absl::StrCat(ZshFunction(path), "() {\n  _arguments -s -S \\\n", specs,
                        "    && return\n", "}\n\n");
  }
  for (const CommandTree& below : command.commands) {
    absl::StrAppend(&described, "    '", below.name, ":", ZshText(below.description), "'\n");
    absl::StrAppend(&calls, "        ", below.name, ") ",
                    ZshFunction(absl::StrCat(path, " ", below.name)), " ;;\n");
  }
  return absl::StrCat(
      ZshFunction(path), "() {\n  local context curcontext=$curcontext state line\n",
      "  typeset -A opt_args\n  local -a commands\n  commands=(\n", described,
      "  )\n  _arguments -C -s -S \\\n", specs,
      "    '1: :->command' '*:: :->arguments' && return\n  case $state in\n",
      "    command) _describe -t commands command commands ;;\n",
      "    arguments)\n      case $words[1] in\n", calls, "      esac ;;\n  esac\n}\n\n");
}

}  // namespace

ValueKind KindOf(const CommandOption& option) {
  if (!option.values.empty()) return ValueKind::kChoice;
  const std::string name = LastName(option);
  if (IsOneOf(name, kFolderWords) || IsOneOf(option.type, kFolderWords)) return ValueKind::kFolder;
  if (IsOneOf(name, kFileWords) || IsOneOf(option.type, kFileWords) ||
      absl::StrContains(name, ".toml") || name.starts_with("FILE")) {
    return ValueKind::kFile;
  }
  return ValueKind::kWord;
}

std::string BashCompletion(const CommandTree& tree) {
  std::string script = kBashBegin;
  ForEachCommand(tree, "", [&script](const CommandTree& command, const std::string& path) {
    script += BashCase(command, path);
  });
  return script + kBashEnd;
}

std::string ZshCompletion(const CommandTree& tree) {
  std::string script = absl::StrCat("#compdef ", tree.name,
                                    "\n# zsh completion for dure, made by `dure completion "
                                    "zsh`.\n\n");
  ForEachCommand(tree, "", [&script](const CommandTree& command, const std::string& path) {
    script += ZshCommand(command, path);
  });
  // Found in fpath it is the function itself; sourced, it makes itself known.
  absl::StrAppend(&script, "if [[ $funcstack[1] == _dure ]]; then\n  _dure \"$@\"\nelse\n",
                  "  compdef _dure dure\nfi\n");
  return script;
}

}  // namespace dure::cli
