// Any bytes as what a member keeps: refused, or exactly what would be written again.
#include "base/check.h"
#include "client/local_state.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const absl::StatusOr<dure::SavedLocalState> saved = dure::DecodeLocalState(bytes);
  if (saved.ok()) DURE_CHECK(dure::EncodeLocalState(saved->state, saved->model) == bytes);
  return 0;
}
