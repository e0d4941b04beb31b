// What the columns of a table mean to a model: their kinds, the categories of those that hold
// words, what a missing value becomes, and the label. A federation states one, a member's file is
// compared with it before training. Its text form is docs/formats/data.md. Thread-safe: values and
// pure functions.
#ifndef DURE_LEARNER_DATA_SCHEMA_H_
#define DURE_LEARNER_DATA_SCHEMA_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace dure {

inline constexpr size_t kMaxColumns = 10'000;
inline constexpr size_t kMaxCategories = 1'000;   // of one column
inline constexpr size_t kMaxClasses = 256;        // of the label
inline constexpr size_t kMaxMissingValues = 100;  // stated besides the built-in ones
inline constexpr size_t kMaxNameBytes = 256;      // of a column, category, class or missing value
inline constexpr uint64_t kMaxSchemaBytes = uint64_t{4} << 20;

enum class ColumnKind {
  kNumeric,      // one feature
  kCategorical,  // one feature a category: 1 for the one that the record has, 0 for the others
  kIgnored,      // no feature
};

enum class MissingRule {
  kError,     // refused where it is met
  kMean,      // numeric only: the mean that the schema states
  kConstant,  // numeric: that number; categorical: 0 for every category
};

// Public bounds, agreed and never computed from data: federated statistics count what is beyond
// them as the bound itself.
struct ValueRange {
  double low = 0;
  double high = 0;  // above `low`

  friend bool operator==(const ValueRange&, const ValueRange&) = default;
};

struct SchemaColumn {
  std::string name;
  ColumnKind kind = ColumnKind::kIgnored;
  std::vector<std::string> categories;  // their order is the order of the features
  MissingRule missing = MissingRule::kError;
  double constant = 0;
  // Numeric: a feature is (value - mean) / deviation. Both or neither.
  std::optional<double> mean;
  std::optional<double> deviation;  // above 0
  std::optional<ValueRange> range;  // numeric

  friend bool operator==(const SchemaColumn&, const SchemaColumn&) = default;
};

struct SchemaLabel {
  std::string name;
  bool numeric = false;              // a number to predict; no classes
  std::vector<std::string> classes;  // as they stand in the file; their order is their number
  std::optional<ValueRange> range;   // numeric

  friend bool operator==(const SchemaLabel&, const SchemaLabel&) = default;
};

// How a file is written. A member's own affair: no part of a comparison.
struct CsvFormat {
  char delimiter = ',';
  bool header = true;  // without one, columns are called column_1, column_2, ...
  std::vector<std::string> missing_values;  // besides "", "NA", "NaN" and "?"

  friend bool operator==(const CsvFormat&, const CsvFormat&) = default;
};

struct Schema {
  CsvFormat format;
  std::vector<SchemaColumn> columns;  // in the order of the features; without the label
  SchemaLabel label;

  // Features of a record.
  uint64_t width() const;

  friend bool operator==(const Schema&, const Schema&) = default;
};

// InvalidArgument, naming the column, the limit and the remedy, if a name is empty, too long, not
// UTF-8 or used twice, a list is too long or has a word twice, a number is not finite, a rule does
// not fit the kind, or nothing is left to learn from.
absl::Status CheckSchema(const Schema& schema);

// What differs between the schema `there` (the federation's) and `here` (the member's), a line in
// words each, in the order of `there`; empty if a file of `here` can be read by `there`. Fewer
// categories or classes than there are no difference, nor are rules for missing values, numbers to
// standardise with, ranges, the order of columns and ignored columns.
std::vector<std::string> SchemaDifferences(const Schema& there, const Schema& here);
// FailedPrecondition with all of them, naming the member's file `name`.
absl::Status CheckSchemaAgainst(const Schema& there, const Schema& here, std::string_view name);

// The canonical text form: equal schemas have equal texts. Precondition: CheckSchema is OK.
std::string SchemaToText(const Schema& schema);
// InvalidArgument with "NAME:LINE: what, the limit", also if CheckSchema is not OK;
// ResourceExhausted above kMaxSchemaBytes.
absl::StatusOr<Schema> SchemaFromText(std::string_view text, std::string_view name);

// RFC 3629.
bool IsUtf8(std::string_view text);

const char* ColumnKindInWords(ColumnKind kind);
// "error", "mean" or "constant V".
std::string MissingRuleInWords(const SchemaColumn& column);

}  // namespace dure

#endif  // DURE_LEARNER_DATA_SCHEMA_H_
