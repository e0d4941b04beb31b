// Checkpoints that somebody else wrote: whatever the bytes are, they are read or refused.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "crypto/digest.h"
#include "simulation/checkpoint.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  (void)dure::simulation::DecodeCheckpoint(bytes);
  // With the checksum that they would need, so that what is behind it is reached.
  const std::string sealed =
      std::string(bytes) + dure::ToString(dure::Sha256(dure::AsBytes(bytes)));
  (void)dure::simulation::DecodeCheckpoint(sealed);
  return 0;
}
