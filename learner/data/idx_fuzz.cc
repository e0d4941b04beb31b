// Any bytes: read or refused, never a fault; what is read encodes to what was read.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "learner/data/idx.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  auto array = dure::DecodeIdx(bytes, "fuzz", 1 << 20);
  if (!array.ok()) return 0;
  auto again = dure::DecodeIdx(dure::EncodeIdx(array->dims, array->bytes), "again", 1 << 20);
  if (!again.ok() || again->dims != array->dims || again->bytes != array->bytes) std::abort();
  return 0;
}
