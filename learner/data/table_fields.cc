#include "learner/data/table_fields.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "federation/suggest.h"
#include "learner/data/table.h"

namespace dure {

bool ParseNumber(std::string_view text, double* value) {
  text = Trimmed(text);
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, *value);
  if (stop != end || text.empty()) return false;
  // Too large, or so near to 0 that it is 0.
  if (error == std::errc::result_out_of_range) {
    *value = std::strtod(std::string(text).c_str(), nullptr);
  }
  return (error == std::errc() || error == std::errc::result_out_of_range) && std::isfinite(*value);
}

std::string ClassName(std::string_view field) {
  const std::string_view trimmed = Trimmed(field);
  double value = 0;
  if (ParseNumber(trimmed, &value) && value >= 0 && value < kMaxClasses &&
      value == std::floor(value)) {
    return absl::StrCat(static_cast<uint32_t>(value));
  }
  return std::string(trimmed);
}

bool ClassNumber(std::string_view class_name, uint32_t* number) {
  const char* const end = class_name.data() + class_name.size();
  const auto [stop, error] = std::from_chars(class_name.data(), end, *number);
  return error == std::errc() && stop == end && *number < kMaxClasses;
}

absl::StatusOr<std::vector<std::string>> ReadColumnNames(CsvReader& reader, const CsvFormat& format,
                                                         bool* has_record) {
  DURE_ASSIGN_OR_RETURN(const bool any, reader.Next());
  if (!any) {
    return absl::InvalidArgumentError(
        absl::StrCat(reader.name(), " is empty: a table has a line with the names of its columns"));
  }
  *has_record = !format.header;
  if (reader.fields().size() > kMaxColumns) {
    return absl::ResourceExhaustedError(absl::StrCat(reader.name(), ":1: ", reader.fields().size(),
                                                     " columns, limit ", kMaxColumns));
  }
  std::vector<std::string> names;
  std::set<std::string> seen;
  for (size_t i = 0; i < reader.fields().size(); ++i) {
    names.push_back(format.header ? std::string(Trimmed(reader.fields()[i]))
                                  : absl::StrCat("column_", i + 1));
    if (names.back().empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(reader.name(), ":", reader.LineOf(i), ": column ", i + 1,
                       " has no name: give it one in the header, or say --no-header"));
    }
    if (!seen.insert(names.back()).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(reader.name(), ":", reader.LineOf(i), ": column ", i + 1, " is called \"",
                       Excerpt(names.back()),
                       "\" like one before it: rename it, or say --no-header if the "
                       "file has none"));
    }
  }
  return names;
}

absl::Status CheckFieldCount(const CsvReader& reader, const std::vector<std::string>& names) {
  const size_t fields = reader.fields().size();
  if (fields == names.size()) return absl::OkStatus();
  if (fields < names.size()) {
    return reader.Fault(
        fields, names[fields],
        absl::StrCat("missing: this line has ", fields, fields == 1 ? " field" : " fields",
                     ", the table has ", names.size(),
                     " columns; a value that is not known is an empty field"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat(reader.name(), ":", reader.LineOf(names.size()), ": column ", names.size() + 1,
                   ": too much: this line has ", fields, " fields, the table has ", names.size(),
                   " columns; a field with a delimiter inside goes in quotes"));
}

absl::StatusOr<size_t> FindColumn(const std::vector<std::string>& names, std::string_view wanted,
                                  const CsvReader& reader) {
  auto found = std::find(names.begin(), names.end(), wanted);
  if (found != names.end()) return static_cast<size_t>(found - names.begin());
  double unused = 0;
  const bool only_numbers = std::all_of(names.begin(), names.end(), [&](const std::string& name) {
    return ParseNumber(name, &unused);
  });
  std::vector<std::string> shown(names.begin(),
                                 names.begin() + std::min<ptrdiff_t>(std::ssize(names), 20));
  const std::string nearest = NearestWord(wanted, names);
  std::string hint = nearest.empty() ? "" : absl::StrCat(": did you mean \"", nearest, "\"?");
  if (only_numbers)
    hint = ": its first line holds only numbers; if that is no header, say --no-header";
  if (names.size() == 1) {
    hint = absl::StrCat(": it has one column, \"", Excerpt(names[0]),
                        "\"; if the delimiter is not a comma, say which with --delimiter");
  }
  if (hint.empty()) {
    hint = ": it has ";
    for (size_t i = 0; i < shown.size(); ++i) {
      absl::StrAppend(&hint, i > 0 ? ", " : "", Excerpt(shown[i]));
    }
    if (shown.size() < names.size()) absl::StrAppend(&hint, " and more");
  }
  return absl::InvalidArgumentError(
      absl::StrCat(reader.name(), " has no column \"", Excerpt(wanted), "\"", hint));
}

absl::Status MissingFault(const CsvReader& reader, size_t index, std::string_view column) {
  return reader.Fault(index, column,
                      "a value is missing here: fill it in, or say with --missing what a missing "
                      "value becomes (mean or constant:NUMBER), or leave the column out with "
                      "--ignore");
}

absl::Status NumberFault(const CsvReader& reader, size_t index, std::string_view column,
                         std::string_view text) {
  const bool comma = text.find(',') != std::string_view::npos;
  return reader.Fault(
      index, column,
      absl::StrCat("\"", Excerpt(text), "\" is no number, and the column is numeric: ",
                   comma ? "write decimals with a point and nothing between thousands"
                         : "mend it, or list it with --missing-value if it means that there is "
                           "none"));
}

}  // namespace dure
