// Any bytes as a table: read or refused, never a fault; the same in pieces as at once, and a schema
// that was found reads the file it was found in.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "learner/data/table.h"

namespace {

// All fields, or the message.
std::vector<std::string> Fields(std::string_view text, size_t chunk, char delimiter) {
  dure::CsvReader reader(text, chunk, "fuzz", delimiter);
  std::vector<std::string> all;
  for (;;) {
    absl::StatusOr<bool> more = reader.Next();
    if (!more.ok()) return {std::string(more.status().message())};
    if (!*more) return all;
    all.insert(all.end(), reader.fields().begin(), reader.fields().end());
    all.push_back(std::to_string(reader.LineOf(reader.fields().size())));
  }
}

}  // namespace

// The first byte chooses the delimiter and the rules.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const uint8_t choice = data[0];
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  dure::TableOptions options{.label = "y"};
  options.format.delimiter = choice & 1 ? ';' : ',';
  options.format.header = (choice & 2) == 0;
  if (!options.format.header) options.label = "column_1";
  if (choice & 4) options.missing = dure::MissingRule::kConstant;
  if (choice & 8) options.format.missing_values = {"-1", "none"};
  const char delimiter = options.format.delimiter;
  DURE_CHECK(Fields(text, size, delimiter) == Fields(text, 1 + (choice >> 4), delimiter));
  dure::CsvReader first(text, size, "fuzz", delimiter);
  const auto schema = dure::InferSchema(first, options);
  if (!schema.ok()) return 0;
  const auto again = dure::SchemaFromText(dure::SchemaToText(*schema), "again");
  DURE_CHECK(again.ok() && *again == *schema);
  dure::CsvReader second(text, size, "fuzz", delimiter);
  auto table = dure::ReadTable(second, *schema, 1);
  // Numbers beyond a float are refused only here.
  if (!table.ok()) {
    DURE_CHECK(table.status().message().find("beyond") != absl::string_view::npos);
    return 0;
  }
  dure::Summarise(*table);
  const auto dataset = dure::ToDataset(*std::move(table), "fuzz");
  DURE_CHECK(dataset.ok() && dataset->numbers.size() == dataset->labels.size() * schema->width());
  return 0;
}
