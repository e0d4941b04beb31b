#include "learner/data/schema.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/printable.h"
#include "base/status_macros.h"
#include "federation/suggest.h"

namespace dure {
namespace {

constexpr size_t kMostDifferencesShown = 20;
constexpr size_t kMostWordsShown = 10;

std::string Shown(std::string_view word) { return absl::StrCat("\"", Printable(word, 60), "\""); }

absl::Status CheckWord(std::string_view word, const std::string& what, bool may_be_empty) {
  if (word.empty() && !may_be_empty) {
    return absl::InvalidArgumentError(absl::StrCat(what, " is empty: give it a name"));
  }
  if (word.size() > kMaxNameBytes) {
    return absl::InvalidArgumentError(absl::StrCat(what, " (", Shown(word.substr(0, 40)),
                                                   "...) has ", word.size(), " bytes, limit ",
                                                   kMaxNameBytes));
  }
  if (!IsUtf8(word)) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, " (", Shown(word), ") is not UTF-8: save the file as UTF-8"));
  }
  return absl::OkStatus();
}

absl::Status CheckWords(const std::vector<std::string>& words, const std::string& what,
                        size_t limit) {
  if (words.size() > limit) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, ": ", words.size(), " of them, limit ", limit));
  }
  std::set<std::string_view> seen;
  for (const std::string& word : words) {
    DURE_RETURN_IF_ERROR(CheckWord(word, what, /*may_be_empty=*/false));
    if (!seen.insert(word).second) {
      return absl::InvalidArgumentError(absl::StrCat(what, " has ", Shown(word), " twice"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckRange(const std::optional<ValueRange>& range, bool numeric,
                        const std::string& what) {
  if (!range) return absl::OkStatus();
  if (!numeric) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, " has a range, which only numbers have: take it away"));
  }
  constexpr double kLimit = 1e38;
  const bool ordered = range->low < range->high && range->high - range->low >= 1e-25;
  if (!ordered || !(range->low >= -kLimit) || !(range->high <= kLimit)) {
    return absl::InvalidArgumentError(
        absl::StrCat(what,
                     ": a range is two numbers from -1e38 to 1e38, the first below the "
                     "second"));
  }
  return absl::OkStatus();
}

absl::Status CheckNumbers(const SchemaColumn& column) {
  const std::string what = absl::StrCat("column ", Shown(column.name));
  if (!std::isfinite(column.constant) || std::abs(column.constant) > 3e38) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, ": the constant for missing values must be a number up to 3e38"));
  }
  if (column.mean.has_value() != column.deviation.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, ": a mean and a deviation go together, and one of them is missing"));
  }
  if (column.mean && (!std::isfinite(*column.mean) || std::abs(*column.mean) > 3e38)) {
    return absl::InvalidArgumentError(absl::StrCat(what, ": the mean must be a number up to 3e38"));
  }
  if (column.deviation && !(*column.deviation >= 1e-30 && *column.deviation <= 3e38)) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, ": the deviation must be from 1e-30 to 3e38"));
  }
  return absl::OkStatus();
}

absl::Status CheckColumn(const SchemaColumn& column) {
  const std::string what = absl::StrCat("column ", Shown(column.name));
  const bool numeric = column.kind == ColumnKind::kNumeric;
  if (column.kind == ColumnKind::kCategorical) {
    if (column.categories.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(what, " is categorical without a category"));
    }
    DURE_RETURN_IF_ERROR(
        CheckWords(column.categories, absl::StrCat(what, ": a category"), kMaxCategories));
  } else if (!column.categories.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, " has categories and is ", ColumnKindInWords(column.kind)));
  }
  if (!numeric && (column.mean || column.deviation)) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, " has a mean and is ", ColumnKindInWords(column.kind)));
  }
  if (!numeric && column.missing == MissingRule::kMean) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, " is ", ColumnKindInWords(column.kind),
                     " and has no mean to put in the place of missing values"));
  }
  if (column.kind == ColumnKind::kCategorical && column.constant != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        what, " is categorical: the constant for missing values must be 0 (no category)"));
  }
  DURE_RETURN_IF_ERROR(CheckRange(column.range, numeric, what));
  return CheckNumbers(column);
}

absl::Status CheckFormat(const CsvFormat& format) {
  const char d = format.delimiter;
  if (d == '"' || d == '\n' || d == '\r' || d == '\0' || d == '.' || d == '-' || d == '+' ||
      static_cast<uint8_t>(d) >= 0x80 || (d >= '0' && d <= '9')) {
    return absl::InvalidArgumentError(
        "the delimiter must be one ASCII character that is no quote, line end, digit or sign");
  }
  if (format.missing_values.size() > kMaxMissingValues) {
    return absl::InvalidArgumentError(absl::StrCat(format.missing_values.size(),
                                                   " values that stand for missing ones, limit ",
                                                   kMaxMissingValues));
  }
  return CheckWords(format.missing_values, "a value that stands for a missing one",
                    kMaxMissingValues);
}

// The first few of `words`, quoted.
std::string Some(const std::vector<std::string>& words) {
  std::vector<std::string> shown;
  for (const std::string& word : words) {
    if (shown.size() == kMostWordsShown) {
      shown.push_back(absl::StrCat("and ", words.size() - kMostWordsShown, " more"));
      break;
    }
    shown.push_back(Shown(word));
  }
  return absl::StrJoin(shown, ", ");
}

std::vector<std::string> NotIn(const std::vector<std::string>& here,
                               const std::vector<std::string>& there) {
  const std::set<std::string_view> known(there.begin(), there.end());
  std::vector<std::string> missing;
  std::copy_if(here.begin(), here.end(), std::back_inserter(missing),
               [&](const std::string& word) { return !known.contains(word); });
  return missing;
}

const SchemaColumn* Find(const Schema& schema, std::string_view name) {
  auto found = std::find_if(schema.columns.begin(), schema.columns.end(),
                            [&](const SchemaColumn& column) { return column.name == name; });
  return found == schema.columns.end() ? nullptr : &*found;
}

void CompareColumn(const SchemaColumn& there, const Schema& here, std::vector<std::string>* out) {
  if (there.kind == ColumnKind::kIgnored) return;
  const std::string what = absl::StrCat("column ", Shown(there.name));
  const SchemaColumn* column = Find(here, there.name);
  if (column == nullptr) {
    if (here.label.name == there.name) {
      out->push_back(absl::StrCat(what, " is a feature there, the label here"));
      return;
    }
    std::vector<std::string> names;
    for (const SchemaColumn& other : here.columns) names.push_back(other.name);
    const std::string nearest = NearestWord(there.name, names);
    out->push_back(
        absl::StrCat(what, " is missing",
                     nearest.empty() ? "" : absl::StrCat(": is it ", Shown(nearest), " here?")));
  } else if (column->kind != there.kind) {
    out->push_back(absl::StrCat(what, ": ", ColumnKindInWords(there.kind), " there, ",
                                ColumnKindInWords(column->kind), " here"));
  } else if (auto more = NotIn(column->categories, there.categories); !more.empty()) {
    out->push_back(absl::StrCat(what, ": ", more.size() == 1 ? "category " : "categories ",
                                Some(more), " here, not there (", Some(there.categories), ")"));
  }
}

void CompareLabel(const SchemaLabel& there, const SchemaLabel& here,
                  std::vector<std::string>* out) {
  if (here.name.empty()) {
    out->push_back(absl::StrCat("the label, column ", Shown(there.name), ", is missing"));
    return;
  }
  if (there.name != here.name) {
    out->push_back(
        absl::StrCat("the label is ", Shown(there.name), " there, ", Shown(here.name), " here"));
    return;
  }
  const std::string what = absl::StrCat("label ", Shown(there.name));
  auto kind = [](const SchemaLabel& label) { return label.numeric ? "a number" : "classes"; };
  if (there.numeric != here.numeric) {
    out->push_back(absl::StrCat(what, ": ", kind(there), " there, ", kind(here), " here"));
  } else if (auto more = NotIn(here.classes, there.classes); !more.empty()) {
    out->push_back(absl::StrCat(what, ": ", more.size() == 1 ? "class " : "classes ", Some(more),
                                " here, not there (", Some(there.classes), ")"));
  }
}

}  // namespace

// No overlong form, no surrogate, nothing above U+10FFFF.
bool IsUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<uint8_t>(text[i++]);
    if (lead < 0x80) continue;
    const int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
    if (lead < 0xC2 || lead > 0xF4) return false;
    uint32_t code = lead & (0x3Fu >> more);
    for (int k = 0; k < more; ++k, ++i) {
      if (i >= text.size() || (static_cast<uint8_t>(text[i]) & 0xC0) != 0x80) return false;
      code = code << 6 | (static_cast<uint8_t>(text[i]) & 0x3F);
    }
    if (code < (more == 3   ? 0x10000u
                : more == 2 ? 0x800u
                            : 0x80u) ||
        code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
      return false;
    }
  }
  return true;
}

uint64_t Schema::width() const {
  uint64_t width = 0;
  for (const SchemaColumn& column : columns) {
    if (column.kind == ColumnKind::kNumeric) ++width;
    if (column.kind == ColumnKind::kCategorical) width += column.categories.size();
  }
  return width;
}

absl::Status CheckSchema(const Schema& schema) {
  DURE_RETURN_IF_ERROR(CheckFormat(schema.format));
  if (schema.columns.size() > kMaxColumns) {
    return absl::InvalidArgumentError(
        absl::StrCat(schema.columns.size(), " columns, limit ", kMaxColumns));
  }
  std::set<std::string_view> names;
  for (const SchemaColumn& column : schema.columns) {
    DURE_RETURN_IF_ERROR(CheckWord(column.name, "the name of a column", false));
    if (!names.insert(column.name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("column ", Shown(column.name), " is there twice: rename one"));
    }
    DURE_RETURN_IF_ERROR(CheckColumn(column));
  }
  DURE_RETURN_IF_ERROR(CheckWord(schema.label.name, "the name of the label's column", false));
  if (names.contains(schema.label.name)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "column ", Shown(schema.label.name), " is the label, and a feature too: take one away"));
  }
  const std::string what = absl::StrCat("label ", Shown(schema.label.name));
  if (schema.label.numeric != schema.label.classes.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(what, " must be numeric or have classes"));
  }
  DURE_RETURN_IF_ERROR(CheckRange(schema.label.range, schema.label.numeric, what));
  DURE_RETURN_IF_ERROR(
      CheckWords(schema.label.classes, absl::StrCat(what, ": a class"), kMaxClasses));
  if (schema.width() == 0) {
    return absl::InvalidArgumentError(
        "no column is numeric or categorical: there is nothing to learn from");
  }
  return absl::OkStatus();
}

std::vector<std::string> SchemaDifferences(const Schema& there, const Schema& here) {
  std::vector<std::string> differences;
  for (const SchemaColumn& column : there.columns) CompareColumn(column, here, &differences);
  for (const SchemaColumn& column : here.columns) {
    if (column.kind != ColumnKind::kIgnored && column.name != there.label.name &&
        Find(there, column.name) == nullptr) {
      differences.push_back(
          absl::StrCat("column ", Shown(column.name), " is here only: --ignore leaves it out"));
    }
  }
  CompareLabel(there.label, here.label, &differences);
  return differences;
}

absl::Status CheckSchemaAgainst(const Schema& there, const Schema& here, std::string_view name) {
  std::vector<std::string> differences = SchemaDifferences(there, here);
  if (differences.empty()) return absl::OkStatus();
  const size_t count = differences.size();
  if (count > kMostDifferencesShown) {
    differences.resize(kMostDifferencesShown);
    differences.push_back(absl::StrCat("and ", count - kMostDifferencesShown, " more"));
  }
  return absl::FailedPreconditionError(absl::StrCat(
      std::string(name), " does not have the federation's columns; ", count,
      count == 1 ? " difference: " : " differences: ", absl::StrJoin(differences, "; ")));
}

const char* ColumnKindInWords(ColumnKind kind) {
  switch (kind) {
    case ColumnKind::kNumeric:
      return "numeric";
    case ColumnKind::kCategorical:
      return "categorical";
    case ColumnKind::kIgnored:
      break;
  }
  return "ignored";
}

std::string MissingRuleInWords(const SchemaColumn& column) {
  switch (column.missing) {
    case MissingRule::kMean:
      return "mean";
    case MissingRule::kConstant:
      return absl::StrCat("constant ", column.constant);
    case MissingRule::kError:
      break;
  }
  return "error";
}

}  // namespace dure
