// Tables from CSV files: what a file's columns are, found by reading it once, and its values by a
// schema, found or stated. Values are parsed where they lie in the read buffer; what is kept is one
// float a value. Thread-safe: values and pure functions, but for the reader they are given.
#ifndef DURE_LEARNER_DATA_TABLE_H_
#define DURE_LEARNER_DATA_TABLE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "learner/data/csv.h"
#include "learner/data/dataset.h"
#include "learner/data/schema.h"

namespace dure {

// What a person says of a file; the rest is found out.
struct TableOptions {
  CsvFormat format;
  std::string label;  // name of its column
  // Names of columns. With the label among them it is a number to predict.
  std::vector<std::string> numeric;
  std::vector<std::string> categorical;
  std::vector<std::string> ignored;
  std::vector<std::string> classes;  // of the label, in their order; empty: found
  // Of numeric columns; in categorical ones a missing value is no category, or an error too.
  MissingRule missing = MissingRule::kError;
  double constant = 0;
  // Borrowed. A schema that the file shall be compared with (SchemaDifferences), instead of all the
  // lists and the label above: columns that it does not use are ignored, those that it has and the
  // file has not are left out, and missing values are passed over.
  const Schema* like = nullptr;
};

// The schema of the whole file. A column is numeric if all its values are numbers, categorical if
// none is, with the categories sorted by their bytes; a column with both must be named in the
// options. Labels that are whole numbers from 0 to 255 are class numbers, others are class names,
// sorted. InvalidArgument with file, line, column and remedy for anything that is no table, for a
// name that the file does not have, a column without any value, a missing value where the rule is
// an error, too many categories or classes; as CsvReader::Next.
absl::StatusOr<Schema> InferSchema(CsvReader& reader, const TableOptions& options);
absl::StatusOr<Schema> InferSchema(int fd, const std::string& name, const TableOptions& options);

struct Table {
  Schema schema;
  std::vector<uint32_t> used;  // which columns of the schema have values here: those not ignored
  // Record after record, one value for each of `used`: the number, or the number of the category;
  // NaN where it is missing.
  std::vector<float> values;
  std::vector<float> labels;  // class numbers, or numbers to predict

  uint64_t records() const { return labels.size(); }
};

// Columns are found by name; those that the schema does not have are passed over. `expected` is how
// many records memory is reserved for. InvalidArgument, with file, line, column and remedy, for
// anything that does not fit the schema; as CsvReader::Next; ResourceExhausted above
// kMaxDatasetRecords or kMaxDatasetBytes.
absl::StatusOr<Table> ReadTable(CsvReader& reader, const Schema& schema, uint64_t expected);
absl::StatusOr<Table> ReadTable(int fd, const std::string& name, const Schema& schema);
// Of a folder's files, of which the second is the schema (IsTable).
absl::StatusOr<Table> ReadTable(const DataFiles& files);
// Errors as SchemaFromText.
absl::StatusOr<Schema> ReadSchema(int fd, const std::string& name);

struct ColumnSummary {
  std::string name;
  ColumnKind kind = ColumnKind::kIgnored;
  uint64_t missing = 0;
  double smallest = 0, mean = 0, largest = 0;  // numeric, of what is not missing
  std::vector<std::string> categories;
  std::vector<uint64_t> category_counts;
};
// Of all columns of the schema, in its order.
std::vector<ColumnSummary> Summarise(const Table& table);

// As a model sees it: categories spread to one feature each, missing values filled, standardised
// where the schema says so. `name` is for messages. InvalidArgument if a missing value should
// become a mean that the schema does not state, or if a feature is beyond what a float holds.
absl::StatusOr<Dataset> ToDataset(Table table, std::string_view name);

// A finite number, with a point, white space around it allowed; nothing otherwise.
bool ParseNumber(std::string_view text, double* value);

}  // namespace dure

#endif  // DURE_LEARNER_DATA_TABLE_H_
