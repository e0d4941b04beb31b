// Finds out what the columns of a CSV file are (learner/data/table.h).
#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "learner/data/table.h"
#include "learner/data/table_fields.h"

namespace dure {
namespace {

// What is known of a column while its values go by.
struct Seen {
  enum class Role { kUnknown, kNumeric, kCategorical, kIgnored, kLabel };
  Role role = Role::kUnknown;
  uint64_t numbers = 0;
  // The first value that is no number, if there is one.
  uint64_t word_line = 0;
  std::string word;
  absl::flat_hash_set<std::string> words;
};

class Inference {
 public:
  Inference(CsvReader& reader, const TableOptions& options) : reader_(reader), options_(options) {}

  absl::StatusOr<Schema> Run() {
    DURE_RETURN_IF_ERROR(Begin());
    bool has_record = has_record_;
    for (;; has_record = false) {
      if (!has_record) {
        DURE_ASSIGN_OR_RETURN(const bool more, reader_.Next());
        if (!more) break;
      }
      DURE_RETURN_IF_ERROR(CheckFieldCount(reader_, names_));
      for (size_t i = 0; i < seen_.size(); ++i) DURE_RETURN_IF_ERROR(See(i));
      ++records_;
    }
    if (records_ == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(reader_.name(), " holds no record, only the names of its columns"));
    }
    return Finish();
  }

 private:
  absl::Status Begin() {
    DURE_ASSIGN_OR_RETURN(names_, ReadColumnNames(reader_, options_.format, &has_record_));
    seen_.resize(names_.size());
    if (options_.like != nullptr) {
      for (size_t i = 0; i < names_.size(); ++i) seen_[i].role = RoleLike(names_[i]);
      return absl::OkStatus();
    }
    DURE_RETURN_IF_ERROR(Assign({options_.label}, Seen::Role::kLabel));
    std::vector<std::string> numeric = options_.numeric;
    numeric_label_ = std::erase(numeric, options_.label) > 0;
    DURE_RETURN_IF_ERROR(Assign(numeric, Seen::Role::kNumeric));
    DURE_RETURN_IF_ERROR(Assign(options_.categorical, Seen::Role::kCategorical));
    return Assign(options_.ignored, Seen::Role::kIgnored);
  }

  const SchemaColumn* ColumnLike(std::string_view name) const {
    for (const SchemaColumn& column : options_.like->columns) {
      if (column.name == name) return &column;
    }
    return nullptr;
  }

  Seen::Role RoleLike(std::string_view name) const {
    if (name == options_.like->label.name) return Seen::Role::kLabel;
    const SchemaColumn* column = ColumnLike(name);
    if (column == nullptr || column->kind == ColumnKind::kIgnored) return Seen::Role::kIgnored;
    // Categories can be numbers; whether a numeric column is one shows in its values.
    return column->kind == ColumnKind::kCategorical ? Seen::Role::kCategorical
                                                    : Seen::Role::kUnknown;
  }

  absl::Status Assign(const std::vector<std::string>& columns, Seen::Role role) {
    for (const std::string& name : columns) {
      DURE_ASSIGN_OR_RETURN(const size_t index, FindColumn(names_, name, reader_));
      if (seen_[index].role != Seen::Role::kUnknown && seen_[index].role != role) {
        return absl::InvalidArgumentError(
            absl::StrCat("column \"", Excerpt(name),
                         "\" is named for two things: it can be one of label, numeric, categorical "
                         "and ignored"));
      }
      seen_[index].role = role;
    }
    return absl::OkStatus();
  }

  absl::Status See(size_t index) {
    Seen& seen = seen_[index];
    if (seen.role == Seen::Role::kIgnored) return absl::OkStatus();
    const std::string_view text = Trimmed(reader_.fields()[index]);
    if (seen.role == Seen::Role::kLabel) return SeeLabel(index, text);
    double number = 0;
    // Words that mean "missing" can look like numbers; the built-in ones do not.
    const bool may_be_number = seen.role != Seen::Role::kCategorical;
    if (may_be_number && options_.format.missing_values.empty() && ParseNumber(text, &number)) {
      ++seen.numbers;
      return absl::OkStatus();
    }
    if (IsMissing(text, options_.format)) {
      if (options_.missing == MissingRule::kError && options_.like == nullptr) {
        return MissingFault(reader_, index, names_[index]);
      }
      return absl::OkStatus();
    }
    if (may_be_number && ParseNumber(text, &number)) {
      ++seen.numbers;
      return absl::OkStatus();
    }
    if (seen.role == Seen::Role::kNumeric) {
      return NumberFault(reader_, index, names_[index], text);
    }
    return SeeWord(index, text);
  }

  absl::Status SeeWord(size_t index, std::string_view text) {
    Seen& seen = seen_[index];
    if (seen.word_line == 0) {
      seen.word_line = reader_.LineOf(index);
      seen.word = std::string(text);
    }
    if (seen.numbers > 0 && seen.role == Seen::Role::kUnknown) return Mixed(index);
    if (text.size() > kMaxNameBytes) {
      return reader_.Fault(index, names_[index],
                           absl::StrCat("a text of ", text.size(), " bytes, limit ", kMaxNameBytes,
                                        " for a category: leave the column out with --ignore"));
    }
    if (!IsUtf8(text)) {
      return reader_.Fault(index, names_[index],
                           absl::StrCat("\"", Excerpt(text),
                                        "\" is not UTF-8: save the file as "
                                        "UTF-8"));
    }
    if (seen.words.contains(absl::string_view(text.data(), text.size()))) return absl::OkStatus();
    const size_t limit = seen.role == Seen::Role::kLabel ? kMaxClasses : kMaxCategories;
    if (seen.words.size() == limit) {
      return reader_.Fault(index, names_[index],
                           seen.role == Seen::Role::kLabel
                               ? absl::StrCat("more than ", limit,
                                              " different labels, the limit: a label is a "
                                              "class name or a class number from 0 to ",
                                              kMaxClasses - 1)
                               : absl::StrCat("more than ", limit,
                                              " different words, the limit for categories: "
                                              "leave the column out with --ignore"));
    }
    seen.words.emplace(text);
    return absl::OkStatus();
  }

  absl::Status SeeLabel(size_t index, std::string_view text) {
    if (IsMissing(text, options_.format)) {
      return reader_.Fault(index, names_[index],
                           "the label is missing: every record needs one; take the line out");
    }
    std::string name = ClassName(text);
    uint32_t number = 0;
    double value = 0;
    if (numeric_label_) {
      if (ParseNumber(text, &value)) return absl::OkStatus();
      return reader_.Fault(index, names_[index],
                           absl::StrCat("\"", Excerpt(text), "\" is no number to predict"));
    }
    if (options_.like != nullptr) {
      const SchemaLabel& label = options_.like->label;
      if (label.numeric && ParseNumber(text, &value)) return absl::OkStatus();
      const bool as_it_is =
          std::find(label.classes.begin(), label.classes.end(), text) != label.classes.end();
      return SeeWord(index, as_it_is ? text : std::string_view(name));
    }
    if (ClassNumber(name, &number)) ++seen_[index].numbers;
    if (!options_.classes.empty() &&
        std::find(options_.classes.begin(), options_.classes.end(), text) ==
            options_.classes.end() &&
        std::find(options_.classes.begin(), options_.classes.end(), name) ==
            options_.classes.end()) {
      return reader_.Fault(index, names_[index],
                           absl::StrCat("\"", Excerpt(text), "\" is none of the classes"));
    }
    return SeeWord(index, name);
  }

  // A column that nobody has named, with numbers and words in it.
  absl::Status Mixed(size_t index) const {
    const Seen& seen = seen_[index];
    return absl::InvalidArgumentError(
        absl::StrCat(reader_.name(), ":", seen.word_line, ": column ", index + 1, " (\"",
                     Excerpt(names_[index]), "\"): \"", Excerpt(seen.word),
                     "\" is no number, and other values of the column are: mend "
                     "it, list it with --missing-value, or name the column with --categorical"));
  }

  absl::StatusOr<Schema> Finish() {
    Schema schema;
    schema.format = options_.format;
    std::sort(schema.format.missing_values.begin(), schema.format.missing_values.end());
    for (size_t i = 0; i < seen_.size(); ++i) {
      if (seen_[i].role == Seen::Role::kLabel) {
        schema.label = LabelOf(i);
      } else {
        DURE_ASSIGN_OR_RETURN(schema.columns.emplace_back(), ColumnOf(i));
      }
    }
    if (options_.like != nullptr) return schema;
    if (absl::Status status = CheckSchema(schema); !status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(reader_.name(), ": ", status.message()));
    }
    return schema;
  }

  absl::StatusOr<SchemaColumn> ColumnOf(size_t index) const {
    const Seen& seen = seen_[index];
    SchemaColumn column{.name = names_[index]};
    if (seen.role == Seen::Role::kIgnored) return column;
    if (seen.role == Seen::Role::kUnknown && seen.numbers > 0 && !seen.words.empty()) {
      return Mixed(index);
    }
    if (seen.numbers == 0 && seen.words.empty() && options_.like != nullptr) {
      column.kind = ColumnLike(names_[index])->kind;
      return column;
    }
    if (seen.numbers == 0 && seen.words.empty() && seen.role != Seen::Role::kNumeric) {
      return absl::InvalidArgumentError(
          absl::StrCat(reader_.name(), ": column ", index + 1, " (\"", Excerpt(names_[index]),
                       "\") has no value at all: leave it out with --ignore, or name it with "
                       "--numeric"));
    }
    column.missing = options_.missing;
    if (seen.words.empty()) {
      column.kind = ColumnKind::kNumeric;
      column.constant = options_.missing == MissingRule::kConstant ? options_.constant : 0;
      return column;
    }
    column.kind = ColumnKind::kCategorical;
    if (column.missing == MissingRule::kMean) column.missing = MissingRule::kConstant;
    column.categories.assign(seen.words.begin(), seen.words.end());
    std::sort(column.categories.begin(), column.categories.end());
    return column;
  }

  SchemaLabel LabelOf(size_t index) const {
    SchemaLabel label{.name = names_[index], .classes = options_.classes};
    label.numeric = numeric_label_;
    if (!label.classes.empty() || label.numeric) return label;
    const Seen& seen = seen_[index];
    if (options_.like != nullptr && options_.like->label.numeric && seen.words.empty()) {
      label.numeric = true;
      return label;
    }
    if (options_.like == nullptr && seen.numbers == records_) {
      uint32_t last = 0;
      for (const std::string& word : seen.words) {
        uint32_t number = 0;
        if (ClassNumber(word, &number)) last = std::max(last, number);
      }
      for (uint32_t i = 0; i <= last; ++i) label.classes.push_back(absl::StrCat(i));
      return label;
    }
    label.classes.assign(seen.words.begin(), seen.words.end());
    std::sort(label.classes.begin(), label.classes.end());
    return label;
  }

  CsvReader& reader_;
  const TableOptions& options_;
  std::vector<std::string> names_;
  std::vector<Seen> seen_;
  bool numeric_label_ = false;
  bool has_record_ = false;
  uint64_t records_ = 0;
};

}  // namespace

absl::StatusOr<Schema> InferSchema(CsvReader& reader, const TableOptions& options) {
  return Inference(reader, options).Run();
}

absl::StatusOr<Schema> InferSchema(int fd, const std::string& name, const TableOptions& options) {
  CsvReader reader(fd, name, options.format.delimiter);
  return InferSchema(reader, options);
}

}  // namespace dure
