// The text form of a schema (docs/formats/data.md).
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "learner/data/schema.h"

namespace dure {
namespace {

constexpr std::string_view kFirstLine = "dure schema 1";
constexpr char kHex[] = "0123456789abcdef";

std::string Quoted(std::string_view word) {
  std::string out = "\"";
  for (char c : word) {
    const auto byte = static_cast<uint8_t>(c);
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (byte < 0x20 || byte == 0x7F) {
      out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string Words(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) absl::StrAppend(&out, " ", Quoted(word));
  return out;
}

// The shortest digits that give the same number again.
std::string Number(double value) {
  std::array<char, 32> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  return std::string(digits.data(), end.ptr);
}

std::string RangeText(const std::optional<ValueRange>& range) {
  if (!range) return "";
  return absl::StrCat(" range ", Number(range->low), " ", Number(range->high));
}

std::string ColumnText(const SchemaColumn& column) {
  std::string out =
      absl::StrCat("column ", Quoted(column.name), " ", ColumnKindInWords(column.kind),
                   Words(column.categories), RangeText(column.range));
  if (column.missing == MissingRule::kMean) absl::StrAppend(&out, " missing mean");
  if (column.missing == MissingRule::kConstant) {
    absl::StrAppend(&out, " missing constant ", Number(column.constant));
  }
  if (column.mean) {
    absl::StrAppend(&out, " standardise ", Number(*column.mean), " ", Number(*column.deviation));
  }
  return out + "\n";
}

// One line, word by word.
class Line {
 public:
  Line(std::string_view text, std::string where) : text_(text), where_(std::move(where)) {}

  bool AtEnd() const { return text_.empty(); }
  bool AtQuote() const { return text_.starts_with('"'); }
  absl::Status Fault(const std::string& why) const {
    return absl::InvalidArgumentError(absl::StrCat(where_, ": ", why));
  }

  // A word without quotes; "" at a quote or the end.
  std::string_view Bare() {
    if (AtQuote()) return {};
    const std::string_view word = text_.substr(0, text_.find(' '));
    text_.remove_prefix(word.size());
    SkipSpace();
    return word;
  }

  absl::StatusOr<std::string> String() {
    if (!AtQuote()) return Fault("a word in double quotes is missing here");
    std::string word;
    for (size_t i = 1; i < text_.size(); ++i) {
      char c = text_[i];
      if (c == '"') {
        text_.remove_prefix(i + 1);
        if (!AtEnd() && text_[0] != ' ') return Fault("a space is missing after a quoted word");
        SkipSpace();
        return word;
      }
      if (c == '\\') {
        DURE_ASSIGN_OR_RETURN(c, Escape(&i));
      }
      word += c;
    }
    return Fault("a quote is not closed");
  }

  absl::StatusOr<std::vector<std::string>> Strings(size_t limit, std::string_view what) {
    std::vector<std::string> words;
    while (AtQuote()) {
      if (words.size() == limit) {
        return Fault(absl::StrCat("more than ", limit, " ", std::string(what), ", the limit"));
      }
      DURE_ASSIGN_OR_RETURN(words.emplace_back(), String());
    }
    return words;
  }

  absl::StatusOr<double> Number() {
    const std::string_view word = Bare();
    double value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc() || end != word.data() + word.size() || !std::isfinite(value)) {
      return Fault("a number is missing here");
    }
    return value + 0.0;  // -0 and 0 are one number
  }

 private:
  void SkipSpace() {
    while (text_.starts_with(' ')) text_.remove_prefix(1);
  }

  // `*at` is at the backslash; moves it to the last character of the escape.
  absl::StatusOr<char> Escape(size_t* at) {
    const std::string_view rest = text_.substr(*at + 1);
    if (rest.starts_with('"') || rest.starts_with('\\')) {
      *at += 1;
      return rest[0];
    }
    if (rest.size() >= 3 && rest[0] == 'x') {
      int value = 0;
      const auto [end, error] = std::from_chars(rest.data() + 1, rest.data() + 3, value, 16);
      if (error == std::errc() && end == rest.data() + 3 && value >= 0) {
        *at += 3;
        return static_cast<char>(value);
      }
    }
    return Fault("after a backslash come a quote, a backslash or x and two hexadecimal digits");
  }

  std::string_view text_;
  std::string where_;
};

absl::StatusOr<CsvFormat> ReadFormat(Line& line) {
  CsvFormat format;
  while (!line.AtEnd()) {
    const std::string_view word = line.Bare();
    if (word == "delimiter") {
      DURE_ASSIGN_OR_RETURN(const std::string delimiter, line.String());
      if (delimiter.size() != 1) return line.Fault("the delimiter must be one character");
      format.delimiter = delimiter[0];
    } else if (word == "header") {
      const std::string_view value = line.Bare();
      if (value != "yes" && value != "no") return line.Fault("header must be yes or no");
      format.header = value == "yes";
    } else if (word == "missing") {
      DURE_ASSIGN_OR_RETURN(format.missing_values,
                            line.Strings(kMaxMissingValues, "missing values"));
    } else {
      return line.Fault("only delimiter, header and missing can stand here");
    }
  }
  return format;
}

absl::Status ReadMissing(Line& line, SchemaColumn* column) {
  const std::string_view rule = line.Bare();
  column->constant = 0;
  if (rule == "error") {
    column->missing = MissingRule::kError;
  } else if (rule == "mean") {
    column->missing = MissingRule::kMean;
  } else if (rule == "constant") {
    column->missing = MissingRule::kConstant;
    DURE_ASSIGN_OR_RETURN(column->constant, line.Number());
  } else {
    return line.Fault("the rule for missing values must be error, mean or constant NUMBER");
  }
  return absl::OkStatus();
}

absl::Status ReadRange(Line& line, std::optional<ValueRange>* range) {
  range->emplace();
  DURE_ASSIGN_OR_RETURN((*range)->low, line.Number());
  DURE_ASSIGN_OR_RETURN((*range)->high, line.Number());
  return absl::OkStatus();
}

absl::StatusOr<SchemaColumn> ReadColumn(Line& line) {
  SchemaColumn column;
  DURE_ASSIGN_OR_RETURN(column.name, line.String());
  const std::string_view kind = line.Bare();
  if (kind == "numeric") {
    column.kind = ColumnKind::kNumeric;
  } else if (kind == "categorical") {
    column.kind = ColumnKind::kCategorical;
    DURE_ASSIGN_OR_RETURN(column.categories, line.Strings(kMaxCategories, "categories"));
  } else if (kind != "ignored") {
    return line.Fault("a column must be numeric, categorical or ignored");
  }
  while (!line.AtEnd()) {
    const std::string_view word = line.Bare();
    if (word == "missing") {
      DURE_RETURN_IF_ERROR(ReadMissing(line, &column));
    } else if (word == "standardise") {
      DURE_ASSIGN_OR_RETURN(column.mean, line.Number());
      DURE_ASSIGN_OR_RETURN(column.deviation, line.Number());
    } else if (word == "range") {
      DURE_RETURN_IF_ERROR(ReadRange(line, &column.range));
    } else {
      return line.Fault("only range, missing and standardise can stand here");
    }
  }
  return column;
}

absl::StatusOr<SchemaLabel> ReadLabel(Line& line) {
  SchemaLabel label;
  DURE_ASSIGN_OR_RETURN(label.name, line.String());
  const std::string_view kind = line.Bare();
  if (kind == "numeric") {
    label.numeric = true;
    if (line.AtEnd()) return label;
    if (line.Bare() != "range") return line.Fault("only range can stand here");
    DURE_RETURN_IF_ERROR(ReadRange(line, &label.range));
  } else if (kind == "classes") {
    DURE_ASSIGN_OR_RETURN(label.classes, line.Strings(kMaxClasses, "classes"));
  } else {
    return line.Fault("a label must be numeric or have classes");
  }
  if (!line.AtEnd()) return line.Fault("nothing can follow here");
  return label;
}

absl::Status ReadLine(Line& line, bool* has_format, bool* has_label, Schema* schema) {
  const std::string_view word = line.Bare();
  if (word == "column") {
    if (schema->columns.size() == kMaxColumns) {
      return line.Fault(absl::StrCat("more than ", kMaxColumns, " columns, the limit"));
    }
    DURE_ASSIGN_OR_RETURN(schema->columns.emplace_back(), ReadColumn(line));
    return absl::OkStatus();
  }
  if (word == "label") {
    if (*has_label) return line.Fault("a second label: there can be one");
    *has_label = true;
    DURE_ASSIGN_OR_RETURN(schema->label, ReadLabel(line));
    return absl::OkStatus();
  }
  if (word == "file") {
    if (*has_format) return line.Fault("a second line \"file\": there can be one");
    *has_format = true;
    DURE_ASSIGN_OR_RETURN(schema->format, ReadFormat(line));
    return absl::OkStatus();
  }
  return line.Fault("a line must begin with file, column or label");
}

}  // namespace

std::string SchemaToText(const Schema& schema) {
  std::string out = absl::StrCat(std::string(kFirstLine), "\n");
  if (schema.format != CsvFormat()) {
    absl::StrAppend(&out, "file delimiter ", Quoted({&schema.format.delimiter, 1}), " header ",
                    schema.format.header ? "yes" : "no");
    if (!schema.format.missing_values.empty()) {
      absl::StrAppend(&out, " missing", Words(schema.format.missing_values));
    }
    out += '\n';
  }
  for (const SchemaColumn& column : schema.columns) out += ColumnText(column);
  absl::StrAppend(&out, "label ", Quoted(schema.label.name),
                  schema.label.numeric ? " numeric" : " classes", Words(schema.label.classes),
                  RangeText(schema.label.range), "\n");
  return out;
}

absl::StatusOr<Schema> SchemaFromText(std::string_view text, std::string_view name) {
  const std::string file(name);
  if (text.size() > kMaxSchemaBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat(file, ": ", text.size(), " bytes, limit ", kMaxSchemaBytes));
  }
  Schema schema;
  bool has_format = false, has_label = false;
  for (uint64_t number = 1; !text.empty(); ++number) {
    std::string_view content = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(content.size() + 1, text.size()));
    if (content.ends_with('\r')) content.remove_suffix(1);
    Line line(content, absl::StrCat(file, ":", number));
    if (number == 1) {
      if (content != kFirstLine) {
        return line.Fault(
            absl::StrCat("a schema begins with the line \"", std::string(kFirstLine), "\""));
      }
      continue;
    }
    if (content.empty() || content.starts_with('#')) continue;
    DURE_RETURN_IF_ERROR(ReadLine(line, &has_format, &has_label, &schema));
  }
  if (absl::Status status = CheckSchema(schema); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": ", status.message()));
  }
  return schema;
}

}  // namespace dure
