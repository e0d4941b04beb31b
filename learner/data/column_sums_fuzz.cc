// A schema, a zero byte, and a standardisation from a coordinator that is not trusted: what is
// accepted comes back as the same bytes and makes a schema that is one.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "learner/data/column_sums.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t end = text.find('\0');
  const auto schema = dure::SchemaFromText(text.substr(0, end), "fuzz");
  if (!schema.ok()) return 0;
  const auto sums = dure::ColumnSums::Create(*schema, 1 + size % dure::kMaxBins);
  if (!sums.ok()) return 0;
  DURE_CHECK(CheckSchema(StandardisedBy(*schema, StandardisationOfRanges(*schema))).ok());
  const std::string_view bytes = end == std::string_view::npos ? "" : text.substr(end + 1);
  const auto standards = dure::StandardisationFromBytes(bytes, *schema);
  if (!standards.ok()) return 0;
  DURE_CHECK(StandardisationToBytes(*standards) == bytes);
  StandardisedBy(*schema, *standards);
  return 0;
}
