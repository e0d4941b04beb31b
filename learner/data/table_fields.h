// What single fields of a table say, for the files of this room that read tables. Thread-safe.
#ifndef DURE_LEARNER_DATA_TABLE_FIELDS_H_
#define DURE_LEARNER_DATA_TABLE_FIELDS_H_

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "learner/data/csv.h"
#include "learner/data/schema.h"

namespace dure {

// Without spaces and tabs at both ends.
inline std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

inline bool IsBuiltInMissing(std::string_view trimmed) {
  return trimmed.empty() || trimmed == "NA" || trimmed == "NaN" || trimmed == "?";
}

inline bool IsMissing(std::string_view trimmed, const CsvFormat& format) {
  return IsBuiltInMissing(trimmed) ||
         std::find(format.missing_values.begin(), format.missing_values.end(), trimmed) !=
             format.missing_values.end();
}

// A label as it is compared with the classes: whole numbers from 0 to 255 in the plain decimal form
// ("3" for " 3.0"), anything else trimmed.
std::string ClassName(std::string_view field);
// Whether `class_name` is such a number, and which.
bool ClassNumber(std::string_view class_name, uint32_t* number);

// The names of the columns: the first record, or column_1, ... when the format says that there is
// no header; then `*has_record` says whether the reader is at a record already. InvalidArgument for
// an empty file, a name that is empty or there twice; ResourceExhausted above kMaxColumns.
absl::StatusOr<std::vector<std::string>> ReadColumnNames(CsvReader& reader, const CsvFormat& format,
                                                         bool* has_record);
// InvalidArgument if the record has more or fewer fields than there are columns.
absl::Status CheckFieldCount(const CsvReader& reader, const std::vector<std::string>& names);
// Which column is called so; InvalidArgument with what is near.
absl::StatusOr<size_t> FindColumn(const std::vector<std::string>& names, std::string_view wanted,
                                  const CsvReader& reader);

absl::Status MissingFault(const CsvReader& reader, size_t index, std::string_view column);
// `text` is no number: why, and what to do.
absl::Status NumberFault(const CsvReader& reader, size_t index, std::string_view column,
                         std::string_view text);

}  // namespace dure

#endif  // DURE_LEARNER_DATA_TABLE_FIELDS_H_
