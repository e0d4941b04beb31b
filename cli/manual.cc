// Manual pages in the man macros of roff: man(7).
#include <cctype>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "cli/reference.h"

namespace dure::cli {
namespace {

struct Edition {
  std::string version, date;
};

// Text that roff shows as it is: no requests, no escapes, hyphens that can be copied.
std::string Roff(absl::string_view text) {
  std::string escaped;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!escaped.empty()) escaped.push_back('\n');
    if (line.empty()) continue;
    if (line[0] == '.' || line[0] == '\'') escaped += "\\&";
    escaped += absl::StrReplaceAll(line, {{"\\", "\\e"},
                                          {"-", "\\-"},
                                          {"'", "\\(aq"},
                                          {"`", "\\(ga"},
                                          {"~", "\\(ti"},
                                          {"^", "\\(ha"}});
  }
  return escaped;
}

std::string Bold(const std::string& text) { return absl::StrCat("\\fB", Roff(text), "\\fR"); }
std::string Italic(const std::string& text) { return absl::StrCat("\\fI", Roff(text), "\\fR"); }

std::string PageName(const std::string& path) { return absl::StrReplaceAll(path, {{" ", "-"}}); }

// The first line of a description, without a full stop and without a pointer to --help.
std::string Summary(const CommandTree& command) {
  std::string line = command.description.substr(0, command.description.find('\n'));
  for (const char* prefix : {"dure: "}) {
    if (line.starts_with(prefix)) line = line.substr(std::string_view(prefix).size());
  }
  while (!line.empty() && line.back() == '.') line.pop_back();
  return line;
}

std::string Synopsis(const CommandTree& command, const std::string& path) {
  std::string text = Bold(path);
  size_t options = 0;
  for (const CommandOption& option : command.options) options += option.positional ? 0 : 1;
  if (options > 0) absl::StrAppend(&text, " [", Italic("OPTION"), "]...");
  for (const CommandOption& option : command.options) {
    if (!option.positional) continue;
    const std::string name =
        absl::StrCat(Italic(option.names.back()), option.repeated ? "..." : "");
    absl::StrAppend(&text, " ", option.required ? name : absl::StrCat("[", name, "]"));
  }
  text += "\n";
  if (!command.commands.empty()) {
    absl::StrAppend(&text, ".br\n", Bold(path), " ", Italic("COMMAND"), " ...\n");
  }
  return text;
}

std::string OptionEntry(const CommandOption& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.names) {
    names.push_back(option.positional ? Italic(name) : Bold(name));
  }
  std::string entry = absl::StrCat(".TP\n", absl::StrJoin(names, ", "));
  if (!option.positional && !option.type.empty()) {
    absl::StrAppend(&entry, " ", Italic(option.type));
  }
  absl::StrAppend(&entry, "\n", Roff(option.description), "\n");
  std::vector<std::string> more;
  if (!option.values.empty()) {
    std::vector<std::string> values;
    for (const std::string& value : option.values) values.push_back(Bold(value));
    more.push_back(absl::StrCat("One of ", absl::StrJoin(values, ", "), "."));
  }
  if (!option.default_value.empty()) {
    more.push_back(absl::StrCat("Default: ", Bold(option.default_value), "."));
  }
  if (option.required) more.push_back("Required.");
  if (!more.empty()) absl::StrAppend(&entry, ".br\n", absl::StrJoin(more, " "), "\n");
  return entry;
}

std::string Entries(const CommandTree& command, bool positional, const char* heading) {
  std::string text;
  for (const CommandOption& option : command.options) {
    if (option.positional == positional) text += OptionEntry(option);
  }
  return text.empty() ? "" : absl::StrCat(".SH ", heading, "\n", text);
}

// A footer is words, then a line that begins with "Example", then command lines.
std::string Examples(const std::string& footer) {
  std::string words;
  std::vector<std::string> examples;
  bool found = false;
  for (absl::string_view line : absl::StrSplit(footer, '\n')) {
    if (!found && absl::StartsWith(line, "Example")) {
      found = true;
      const size_t colon = line.find(':');
      line = colon == absl::string_view::npos ? "" : line.substr(colon + 1);
    }
    line = absl::StripAsciiWhitespace(line);
    if (line.empty()) continue;
    if (found) {
      examples.push_back(Roff(line));
    } else {
      absl::StrAppend(&words, Roff(line), "\n");
    }
  }
  std::string text;
  if (!words.empty()) absl::StrAppend(&text, ".SH NOTES\n", words);
  if (!examples.empty()) {
    absl::StrAppend(&text, ".SH EXAMPLES\n.nf\n.RS\n", absl::StrJoin(examples, "\n"),
                    "\n.RE\n.fi\n");
  }
  return text;
}

constexpr char kExitStatus[] =
    ".SH EXIT STATUS\n"
    ".TP\n\\fB0\\fR\nsuccess\n"
    ".TP\n\\fB1\\fR\nfailure\n"
    ".TP\n\\fB2\\fR\nwrong usage: the command line, or a mistake in a federation file\n"
    ".TP\n\\fB3\\fR\nrefused by policy or budget, or by the person asked\n"
    ".TP\n\\fB4\\fR\nunreachable: nobody answers\n"
    ".PP\nA command that a signal stopped before it was done ends with 130 or 143.\n";

constexpr char kEnvironment[] =
    ".SH ENVIRONMENT\n"
    ".TP\n\\fBNO_COLOR\\fR\nIf set, nothing is coloured.\n"
    ".TP\n\\fBTERM\\fR\nIf \\fBdumb\\fR, no line moves.\n";

std::string SeeAlso(const CommandTree& command, const std::string& path) {
  std::vector<std::string> pages;
  const size_t last = path.rfind(' ');
  if (last != std::string::npos) pages.push_back(PageName(path.substr(0, last)));
  for (const CommandTree& below : command.commands) {
    pages.push_back(PageName(absl::StrCat(path, " ", below.name)));
  }
  if (pages.empty()) return "";
  std::string text = ".SH SEE ALSO\n";
  for (size_t i = 0; i < pages.size(); ++i) {
    absl::StrAppend(&text, ".BR ", Roff(pages[i]), " (1)", i + 1 < pages.size() ? ",\n" : "\n");
  }
  return text;
}

std::string Page(const CommandTree& command, const std::string& path, const Edition& edition) {
  std::string page = absl::StrCat(
      ".TH ", absl::AsciiStrToUpper(PageName(path)), " 1 ", edition.date, " \"dure ",
      Roff(edition.version), "\" \"User Commands\"\n.SH NAME\n", Roff(PageName(path)), " \\- ",
      Roff(Summary(command)), "\n.SH SYNOPSIS\n", Synopsis(command, path), ".SH DESCRIPTION\n",
      Roff(command.description), command.description.ends_with(".") ? "" : ".", "\n",
      Entries(command, true, "ARGUMENTS"), Entries(command, false, "OPTIONS"));
  if (!command.commands.empty()) {
    page += ".SH COMMANDS\n";
    for (const CommandTree& below : command.commands) {
      absl::StrAppend(&page, ".TP\n", Bold(absl::StrCat(path, " ", below.name)), "\n",
                      Roff(Summary(below)), ".\n");
    }
  }
  absl::StrAppend(&page, Examples(command.footer), kExitStatus, kEnvironment,
                  SeeAlso(command, path));
  return page;
}

void AddPages(const CommandTree& command, const std::string& above, const Edition& edition,
              std::map<std::string, std::string>* pages) {
  const std::string path = above.empty() ? command.name : absl::StrCat(above, " ", command.name);
  (*pages)[PageName(path) + ".1"] = Page(command, path, edition);
  for (const CommandTree& below : command.commands) AddPages(below, path, edition, pages);
}

}  // namespace

std::map<std::string, std::string> ManualPages(const CommandTree& tree, const std::string& version,
                                               const std::string& date) {
  std::map<std::string, std::string> pages;
  AddPages(tree, "", {version, date}, &pages);
  return pages;
}

}  // namespace dure::cli
