// A federation file may come from anybody. Whatever is read must be valid, and must be written and
// read back to the same.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "federation/spec.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  absl::StatusOr<dure::FederationSpec> spec = dure::ParseFederation(text, "fuzz.toml");
  if (!spec.ok()) return 0;
  DURE_CHECK(dure::ValidateFederation(*spec).ok());
  absl::StatusOr<dure::FederationSpec> again =
      dure::ParseFederation(dure::FederationToToml(*spec), "again.toml");
  DURE_CHECK(again.ok());
  DURE_CHECK(dure::SpecDigest(*again) == dure::SpecDigest(*spec));
  return 0;
}
