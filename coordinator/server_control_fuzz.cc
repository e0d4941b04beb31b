// Any bytes as a saved control variate with the state of an optimiser: refused, or exactly what
// would be saved again.
#include "base/check.h"
#include "coordinator/server_control.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  dure::ServerControl control(size > 4 ? data[4] % 8 + 1 : 1, 1);
  absl::StatusOr<std::string> optimizer = control.Load(bytes);
  if (optimizer.ok()) DURE_CHECK(control.Save(*std::move(optimizer)) == bytes);
  return 0;
}
