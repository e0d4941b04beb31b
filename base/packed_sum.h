// The inner loop of adding packed vectors (base/ring.h), many elements at a time where the
// processor can. Thread-safe: a pure function.
#ifndef DURE_BASE_PACKED_SUM_H_
#define DURE_BASE_PACKED_SUM_H_

#include <cstdint>
#include <span>

namespace dure {

// Adds elements 0, 1, ... of `packed`, of `bits` in 1..32 (DURE_CHECK), to out[0], out[1], ... and
// returns how many: not all of the last ones, and none on a processor without AVX2. `packed` has
// all elements of `out`.
uint64_t AddPackedPrefix(std::span<const uint8_t> packed, int bits, std::span<uint32_t> out);

}  // namespace dure

#endif  // DURE_BASE_PACKED_SUM_H_
