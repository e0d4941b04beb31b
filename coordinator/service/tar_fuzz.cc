// Headers of archives, as `dure restore` reads them: what is taken is what would be written.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "coordinator/service/tar_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view block(reinterpret_cast<const char*>(data), size);
  auto entry = dure::DecodeTarHeader(block);
  if (!entry.ok() || !entry->has_value()) return 0;
  auto encoded = dure::EncodeTarHeader(**entry);
  if (!encoded.ok()) std::abort();
  auto again = dure::DecodeTarHeader(*encoded);
  if (!again.ok() || *again != *entry) std::abort();
  return 0;
}
