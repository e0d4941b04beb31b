#include "cli/table_flags.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/file.h"
#include "base/printable.h"
#include "base/status_macros.h"
#include "federation/suggest.h"
#include "nlohmann/json.hpp"

namespace dure::cli {
namespace {

using nlohmann::json;

// Categories that are printed with their counts.
constexpr size_t kMostShown = 12;

absl::StatusOr<FileDescriptor> OpenForReading(const std::string& path) {
  FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return ErrnoStatus(errno, absl::StrCat("cannot open ", path));
  return file;
}

absl::StatusOr<CsvFormat> FormatOf(const TableFlags& flags) {
  CsvFormat format{.header = !flags.no_header, .missing_values = flags.missing_values};
  const std::string& delimiter = flags.delimiter;
  if (delimiter == "tab" || delimiter == "\\t") {
    format.delimiter = '\t';
  } else if (delimiter.size() == 1) {
    format.delimiter = delimiter[0];
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("--delimiter \"", delimiter, "\": it must be one character, or \"tab\""));
  }
  return format;
}

absl::StatusOr<TableOptions> OptionsOf(const TableFlags& flags) {
  TableOptions options{.label = flags.label,
                       .numeric = flags.numeric,
                       .categorical = flags.categorical,
                       .ignored = flags.ignored,
                       .classes = flags.classes};
  DURE_ASSIGN_OR_RETURN(options.format, FormatOf(flags));
  absl::string_view constant = flags.missing;
  if (flags.missing == "mean") {
    options.missing = MissingRule::kMean;
  } else if (absl::ConsumePrefix(&constant, "constant:") &&
             ParseNumber({constant.data(), constant.size()}, &options.constant)) {
    options.missing = MissingRule::kConstant;
  } else if (flags.missing != "error") {
    return absl::InvalidArgumentError(absl::StrCat(
        "--missing \"", flags.missing, "\": it must be error, mean or constant:NUMBER"));
  }
  return options;
}

// "NAME:LOW:HIGH" of --range, for a numeric column or a numeric label.
absl::Status AddRange(const std::string& text, Schema* schema) {
  const size_t second = text.rfind(':');
  const size_t first =
      second == std::string::npos || second == 0 ? std::string::npos : text.rfind(':', second - 1);
  ValueRange range;
  if (first == std::string::npos ||
      !ParseNumber(std::string_view(text).substr(first + 1, second - first - 1), &range.low) ||
      !ParseNumber(std::string_view(text).substr(second + 1), &range.high)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--range \"", text, "\": it must be NAME:LOW:HIGH, as in age:0:120"));
  }
  const std::string name = text.substr(0, first);
  std::vector<std::string> names;
  if (schema->label.numeric) {
    if (schema->label.name == name) schema->label.range = range;
    names.push_back(schema->label.name);
  }
  for (SchemaColumn& column : schema->columns) {
    if (column.kind != ColumnKind::kNumeric) continue;
    if (column.name == name) column.range = range;
    names.push_back(column.name);
  }
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    const std::string nearest = NearestWord(name, names);
    return absl::InvalidArgumentError(
        absl::StrCat("--range \"", text, "\": there is no numeric column \"", name, "\"",
                     nearest.empty() ? "" : absl::StrCat(": did you mean \"", nearest, "\"?")));
  }
  return CheckSchema(*schema);
}

json ColumnToJson(const ColumnSummary& column) {
  json out = {{"name", column.name}, {"kind", ColumnKindInWords(column.kind)}};
  if (column.kind == ColumnKind::kIgnored) return out;
  out["missing"] = column.missing;
  if (column.kind == ColumnKind::kNumeric) {
    out["smallest"] = column.smallest;
    out["mean"] = column.mean;
    out["largest"] = column.largest;
  } else {
    out["categories"] = column.categories;
    out["counts"] = column.category_counts;
  }
  return out;
}

std::string Counted(const std::vector<std::string>& words, const std::vector<uint64_t>& counts) {
  std::string text;
  for (size_t i = 0; i < words.size() && i < kMostShown; ++i) {
    absl::StrAppend(&text, i == 0 ? "" : ", ", Printable(words[i], 40), ": ", counts[i]);
  }
  if (words.size() > kMostShown) absl::StrAppend(&text, ", ", words.size() - kMostShown, " more");
  return text;
}

std::vector<uint64_t> ClassCounts(const Table& table) {
  std::vector<uint64_t> counts(table.schema.label.classes.size());
  for (float label : table.labels) {
    if (!counts.empty()) ++counts[static_cast<size_t>(label)];
  }
  return counts;
}

}  // namespace

void AddTableFlags(CLI::App* command, TableFlags* flags, bool with_schema) {
  auto list = [&](const char* name, std::vector<std::string>* to, const char* what) {
    command->add_option(name, *to, what)
        ->delimiter(',')
        ->allow_extra_args(false)
        ->group("For a CSV file");
  };
  command
      ->add_option("--label", flags->label,
                   "the column to predict: class names, or numbers "
                   "from 0")
      ->group("For a CSV file");
  if (with_schema) {
    command
        ->add_option("--schema", flags->schema,
                     "what the columns must be, as `dure data "
                     "schema` prints it; instead of the flags that follow")
        ->group("For a CSV file");
  }
  list("--numeric", &flags->numeric, "columns that are numbers: A,B,...");
  list("--categorical", &flags->categorical, "columns that are categories");
  list("--ignore", &flags->ignored, "columns to leave out");
  list("--classes", &flags->classes, "the classes of the label, in their order");
  command
      ->add_option("--missing", flags->missing,
                   "what a missing value is: error, mean or "
                   "constant:NUMBER")
      ->capture_default_str()
      ->group("For a CSV file");
  list("--range", &flags->ranges,
       "public bounds of numeric columns, for federated statistics: NAME:LOW:HIGH,...");
  list("--missing-value", &flags->missing_values,
       "what means that a value is missing, besides "
       "nothing, NA, NaN and ?");
  command->add_option("--delimiter", flags->delimiter, "one character, or tab")
      ->capture_default_str()
      ->group("For a CSV file");
  command
      ->add_flag("--no-header", flags->no_header,
                 "its first line is a record; columns are "
                 "called column_1, column_2, ...")
      ->group("For a CSV file");
}

bool IsTableFile(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error);
}

absl::StatusOr<Schema> SchemaOfFile(const std::string& path, const TableFlags& flags) {
  DURE_ASSIGN_OR_RETURN(TableOptions options, OptionsOf(flags));
  DURE_ASSIGN_OR_RETURN(const FileDescriptor file, OpenForReading(path));
  if (flags.schema.empty()) {
    if (flags.label.empty()) {
      return absl::FailedPreconditionError(absl::StrCat(
          path, " is a file: if it is a table, name the column to predict with --label"));
    }
    DURE_ASSIGN_OR_RETURN(Schema found, InferSchema(file.get(), path, options));
    for (const std::string& range : flags.ranges) DURE_RETURN_IF_ERROR(AddRange(range, &found));
    return found;
  }
  DURE_ASSIGN_OR_RETURN(const FileDescriptor schema_file, OpenForReading(flags.schema));
  DURE_ASSIGN_OR_RETURN(Schema schema, ReadSchema(schema_file.get(), flags.schema));
  if (!flags.label.empty() && flags.label != schema.label.name) {
    return absl::FailedPreconditionError(absl::StrCat("--label says \"", flags.label, "\", ",
                                                      flags.schema, " says \"", schema.label.name,
                                                      "\": leave --label out"));
  }
  // How the file is written is its owner's affair.
  if (options.format != CsvFormat()) schema.format = options.format;
  options.format = schema.format;
  options.like = &schema;
  DURE_ASSIGN_OR_RETURN(const Schema here, InferSchema(file.get(), path, options));
  DURE_RETURN_IF_ERROR(CheckSchemaAgainst(schema, here, path));
  return schema;
}

absl::StatusOr<Table> ReadTableFile(const std::string& path, const Schema& schema) {
  DURE_ASSIGN_OR_RETURN(const FileDescriptor file, OpenForReading(path));
  return ReadTable(file.get(), path, schema);
}

absl::StatusOr<std::optional<Table>> TableAt(const std::string& path, const TableFlags& flags) {
  if (IsTableFile(path)) {
    DURE_ASSIGN_OR_RETURN(const Schema schema, SchemaOfFile(path, flags));
    return ReadTableFile(path, schema);
  }
  if (!flags.label.empty() || !flags.schema.empty()) {
    return absl::FailedPreconditionError(
        FileIsMissing(path)
            ? absl::StrCat("there is no file ", path)
            : absl::StrCat(path, " is a folder: --label and --schema go with a CSV file"));
  }
  absl::StatusOr<DataFiles> files = OpenDataFolder(path);
  if (!files.ok() || !IsTable(*files)) return std::nullopt;
  return ReadTable(*files);
}

void PrintTable(const std::string& path, const Table& table, bool as_json) {
  const Schema& schema = table.schema;
  const std::vector<uint64_t> classes = ClassCounts(table);
  const std::vector<ColumnSummary> columns = Summarise(table);
  if (as_json) {
    json listed = json::array();
    for (const ColumnSummary& column : columns) listed.push_back(ColumnToJson(column));
    std::printf("%s\n", json({{"path", path},
                              {"records", table.records()},
                              {"shape", {schema.width()}},
                              {"label", schema.label.name},
                              {"classes", schema.label.classes},
                              {"label_counts", classes},
                              {"columns", listed}})
                            .dump(-1, ' ', false, json::error_handler_t::replace)
                            .c_str());
    return;
  }
  absl::PrintF("%s\n  records  %d, each %d features\n  label    %s", path, table.records(),
               schema.width(), Printable(schema.label.name, 60));
  absl::PrintF("  %s\n  columns  (missing values, then smallest, mean and largest, or counts)\n",
               schema.label.numeric ? "a number" : Counted(schema.label.classes, classes));
  for (const ColumnSummary& column : columns) {
    absl::PrintF("    %-24s %-12s", Printable(column.name, 60), ColumnKindInWords(column.kind));
    if (column.kind == ColumnKind::kNumeric) {
      absl::PrintF("%6d  %g  %g  %g", column.missing, column.smallest, column.mean, column.largest);
    } else if (column.kind == ColumnKind::kCategorical) {
      absl::PrintF("%6d  %s", column.missing, Counted(column.categories, column.category_counts));
    }
    std::printf("\n");
  }
}

}  // namespace dure::cli
