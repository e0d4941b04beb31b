#include "learner/data/table.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "learner/data/table_fields.h"

namespace dure {
namespace {

constexpr float kMissing = std::numeric_limits<float>::quiet_NaN();

using WordNumbers = absl::flat_hash_map<absl::string_view, uint32_t>;

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

WordNumbers Numbered(const std::vector<std::string>& words) {
  WordNumbers numbers;
  for (const std::string& word : words) numbers.emplace(word, numbers.size());
  return numbers;
}

// Reads one table.
class Loading {
 public:
  Loading(CsvReader& reader, const Schema& schema) : reader_(reader), schema_(schema) {}

  absl::StatusOr<Table> Run(uint64_t expected) {
    bool has_record = false;
    DURE_ASSIGN_OR_RETURN(names_, ReadColumnNames(reader_, schema_.format, &has_record));
    DURE_RETURN_IF_ERROR(Plan());
    const uint64_t limit =
        std::min(kMaxDatasetRecords, kMaxDatasetBytes / sizeof(float) / schema_.width());
    expected = std::min(expected, limit);
    table_.values.reserve(expected * used_.size());
    table_.labels.reserve(expected);
    for (;; has_record = false) {
      if (!has_record) {
        DURE_ASSIGN_OR_RETURN(const bool more, reader_.Next());
        if (!more) break;
      }
      DURE_RETURN_IF_ERROR(CheckFieldCount(reader_, names_));
      if (table_.records() == limit) {
        return absl::ResourceExhaustedError(
            absl::StrCat(reader_.name(), ":", reader_.LineOf(0), ": more than ", limit,
                         " records of ", schema_.width(), " features, the limit (",
                         kMaxDatasetRecords, " records, ", kMaxDatasetBytes, " bytes)"));
      }
      DURE_RETURN_IF_ERROR(Read());
    }
    table_.schema = schema_;
    return std::move(table_);
  }

 private:
  struct Used {
    size_t field = 0;
    const SchemaColumn* column = nullptr;
    WordNumbers categories;
  };

  absl::Status Plan() {
    for (size_t i = 0; i < schema_.columns.size(); ++i) {
      const SchemaColumn& column = schema_.columns[i];
      if (column.kind == ColumnKind::kIgnored) continue;
      DURE_ASSIGN_OR_RETURN(const size_t field, FindColumn(names_, column.name, reader_));
      used_.push_back({field, &column, Numbered(column.categories)});
      table_.used.push_back(static_cast<uint32_t>(i));
    }
    DURE_ASSIGN_OR_RETURN(label_, FindColumn(names_, schema_.label.name, reader_));
    classes_ = Numbered(schema_.label.classes);
    return absl::OkStatus();
  }

  absl::Status Read() {
    for (const Used& used : used_) {
      const std::string_view text = Trimmed(reader_.fields()[used.field]);
      float value = 0;
      DURE_RETURN_IF_ERROR(used.column->kind == ColumnKind::kNumeric
                               ? ReadNumber(used, text, &value)
                               : ReadCategory(used, text, &value));
      table_.values.push_back(value);
    }
    float label = 0;
    DURE_RETURN_IF_ERROR(ReadLabel(Trimmed(reader_.fields()[label_]), &label));
    table_.labels.push_back(label);
    return absl::OkStatus();
  }

  absl::Status ReadNumber(const Used& used, std::string_view text, float* value) const {
    double number = 0;
    if (!schema_.format.missing_values.empty() && IsMissing(text, schema_.format)) {
      return Missing(used, value);
    }
    if (ParseNumber(text, &number)) return Narrow(used.field, number, text, value);
    if (IsBuiltInMissing(text)) return Missing(used, value);
    return NumberFault(reader_, used.field, used.column->name, text);
  }

  absl::Status Narrow(size_t field, double number, std::string_view text, float* value) const {
    if (std::abs(number) > std::numeric_limits<float>::max()) {
      return reader_.Fault(field, names_[field],
                           absl::StrCat(Excerpt(text), " is beyond 3.4e38, the limit"));
    }
    *value = static_cast<float>(number);
    return absl::OkStatus();
  }

  absl::Status ReadCategory(const Used& used, std::string_view text, float* value) const {
    auto found = used.categories.find(View(text));
    if (found != used.categories.end()) {
      *value = static_cast<float>(found->second);
      return absl::OkStatus();
    }
    if (IsMissing(text, schema_.format)) return Missing(used, value);
    return reader_.Fault(
        used.field, used.column->name,
        absl::StrCat("\"", Excerpt(text), "\" is none of the ", used.categories.size(),
                     " categories of the schema: mend it, or have it added to the schema"));
  }

  absl::Status Missing(const Used& used, float* value) const {
    if (used.column->missing == MissingRule::kError) {
      return MissingFault(reader_, used.field, used.column->name);
    }
    *value = kMissing;
    return absl::OkStatus();
  }

  absl::Status ReadLabel(std::string_view text, float* value) const {
    const std::string& name = schema_.label.name;
    if (schema_.label.numeric) {
      double number = 0;
      if (!ParseNumber(text, &number)) return NumberFault(reader_, label_, name, text);
      return Narrow(label_, number, text, value);
    }
    auto found = classes_.find(View(text));
    if (found == classes_.end()) found = classes_.find(ClassName(text));
    if (found == classes_.end()) {
      return reader_.Fault(
          label_, name,
          absl::StrCat("\"", Excerpt(text), "\" is none of the ", classes_.size(),
                       " classes of the schema (\"", Excerpt(schema_.label.classes.front()),
                       "\" to \"", Excerpt(schema_.label.classes.back()), "\")"));
    }
    *value = static_cast<float>(found->second);
    return absl::OkStatus();
  }

  CsvReader& reader_;
  const Schema& schema_;
  std::vector<std::string> names_;
  std::vector<Used> used_;
  size_t label_ = 0;
  WordNumbers classes_;
  Table table_;
};

// The features of one value, at `out`.
absl::Status Spread(const SchemaColumn& column, float value, float* out) {
  if (column.kind == ColumnKind::kCategorical) {
    std::fill_n(out, column.categories.size(), 0.0f);
    if (!std::isnan(value)) out[static_cast<size_t>(value)] = 1;
    return absl::OkStatus();
  }
  double number = value;
  if (std::isnan(value)) {
    number = column.constant;
    if (column.missing == MissingRule::kMean) {
      if (!column.mean && !column.range) {
        return absl::InvalidArgumentError(
            "a missing value should become the mean, and the schema states none: state one "
            "(standardise MEAN DEVIATION), or say --missing constant:NUMBER");
      }
      // Until statistics have found a mean, the middle of what can be serves.
      number = column.mean ? *column.mean : column.range->low / 2 + column.range->high / 2;
    }
  }
  if (column.mean) number = (number - *column.mean) / *column.deviation;
  *out = static_cast<float>(number);
  if (std::isfinite(*out)) return absl::OkStatus();
  return absl::InvalidArgumentError("standardised, a value is beyond 3.4e38, the limit");
}

size_t FeaturesOf(const SchemaColumn& column) {
  return column.kind == ColumnKind::kCategorical ? column.categories.size() : 1;
}

}  // namespace

absl::StatusOr<Table> ReadTable(CsvReader& reader, const Schema& schema, uint64_t expected) {
  DURE_RETURN_IF_ERROR(CheckSchema(schema));
  return Loading(reader, schema).Run(expected);
}

absl::StatusOr<Table> ReadTable(int fd, const std::string& name, const Schema& schema) {
  DURE_ASSIGN_OR_RETURN(const CsvSize size, MeasureCsv(fd, name));
  // A record has a byte at least for each of its fields.
  const uint64_t fields = schema.columns.size() + 1;
  CsvReader reader(fd, name, schema.format.delimiter);
  return ReadTable(reader, schema, std::min(size.line_feeds + 1, size.bytes / fields + 1));
}

absl::StatusOr<Schema> ReadSchema(int fd, const std::string& name) {
  std::string text;
  std::array<char, 4096> part;
  while (text.size() <= kMaxSchemaBytes) {
    const ssize_t got = pread(fd, part.data(), part.size(), static_cast<off_t>(text.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, absl::StrCat("cannot read ", name));
    if (got == 0) break;
    text.append(part.data(), static_cast<size_t>(got));
  }
  return SchemaFromText(text, name);
}

absl::StatusOr<Table> ReadTable(const DataFiles& files) {
  DURE_ASSIGN_OR_RETURN(const Schema schema, ReadSchema(files.labels.get(), files.labels_path));
  return ReadTable(files.images.get(), files.images_path, schema);
}

std::vector<ColumnSummary> Summarise(const Table& table) {
  std::vector<ColumnSummary> summaries;
  for (const SchemaColumn& column : table.schema.columns) {
    summaries.push_back({.name = column.name,
                         .kind = column.kind,
                         .categories = column.categories,
                         .category_counts = std::vector<uint64_t>(column.categories.size())});
  }
  std::vector<uint64_t> counts(summaries.size());
  for (size_t i = 0; i < table.values.size(); ++i) {
    const uint32_t index = table.used[i % table.used.size()];
    ColumnSummary& summary = summaries[index];
    const double value = table.values[i];
    if (std::isnan(value)) {
      ++summary.missing;
    } else if (summary.kind == ColumnKind::kCategorical) {
      ++summary.category_counts[static_cast<size_t>(value)];
    } else {
      if (counts[index] == 0) summary.smallest = summary.largest = value;
      summary.smallest = std::min(summary.smallest, value);
      summary.largest = std::max(summary.largest, value);
      summary.mean += (value - summary.mean) / static_cast<double>(++counts[index]);
    }
  }
  return summaries;
}

absl::StatusOr<Dataset> ToDataset(Table table, std::string_view name) {
  const Schema& schema = table.schema;
  const size_t width = schema.width(), used = table.used.size();
  Dataset data;
  data.shape = {static_cast<uint32_t>(width)};
  data.labels = std::move(table.labels);
  // Without categories, features take the place of the values that they come from.
  const bool in_place = width == used;
  if (!in_place) data.numbers.resize(data.records() * width);
  std::vector<float>& out = in_place ? table.values : data.numbers;
  size_t to = 0;
  for (size_t i = 0; i < table.values.size(); ++i) {
    const SchemaColumn& column = schema.columns[table.used[i % used]];
    if (absl::Status status = Spread(column, table.values[i], &out[to]); !status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(View(name), ": record ", i / used + 1,
                                                     ", column \"", Excerpt(column.name),
                                                     "\": ", status.message()));
    }
    to += FeaturesOf(column);
  }
  if (in_place) data.numbers = std::move(table.values);
  return data;
}

}  // namespace dure
