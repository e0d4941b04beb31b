// Any bytes as a line of a ledger: refused, or exactly what would be written again.
#include "base/check.h"
#include "client/ledger.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view line(reinterpret_cast<const char*>(data), size);
  absl::StatusOr<dure::LedgerEntry> entry = dure::DecodeLedgerEntry(line);
  if (entry.ok()) DURE_CHECK(dure::EncodeLedgerEntry(*entry) == std::string(line) + "\n");
  return 0;
}
