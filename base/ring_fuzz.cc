// Packed vectors, as uploads bring them: bytes -> Unpack and UnpackAndAdd. The first byte chooses
// the bits of a word, the second the dimension. What is taken is what Pack would have written.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/check.h"
#include "base/ring.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const int bits = 1 + data[0] % dure::kMaxRingBits;
  const uint64_t dim = data[1];
  const std::span<const uint8_t> packed(data + 2, size - 2);
  const bool sound = dure::CheckPacked(packed, dim, bits).ok();
  const auto vector = dure::Unpack(packed, dim, bits);
  DURE_CHECK(vector.ok() == sound);
  dure::RingVector sum = dure::RingZeros(dim, bits);
  DURE_CHECK(dure::UnpackAndAdd(packed, bits, &sum).ok() == sound);
  if (!sound) return 0;
  DURE_CHECK(dure::RingFits(*vector, bits) && dure::RingSize(*vector) == dim);
  DURE_CHECK(dure::RingToSigned(sum, bits) == dure::RingToSigned(*vector, bits));
  const std::string_view bytes(reinterpret_cast<const char*>(packed.data()), packed.size());
  DURE_CHECK(dure::Pack(*vector, bits) == bytes);
  return 0;
}
