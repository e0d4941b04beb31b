// Any bytes as a schema: read or refused, never a fault; what is read has one text.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "learner/data/schema.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto schema = dure::SchemaFromText({reinterpret_cast<const char*>(data), size}, "fuzz");
  if (!schema.ok()) return 0;
  const auto again = dure::SchemaFromText(dure::SchemaToText(*schema), "again");
  DURE_CHECK(again.ok() && *again == *schema);
  DURE_CHECK(dure::SchemaDifferences(*schema, *again).empty());
  return 0;
}
