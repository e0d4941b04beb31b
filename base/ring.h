// Vectors over the ring Z_{2^b}, b = 1..64, and how they travel: element j of a packed vector is
// the bits [jb, (j+1)b) of the byte string, least significant bit first, padding zero
// (docs/secure-aggregation.md section 2.1). Thread-safe: pure functions.
//
// Only the low b bits of a word count. Whatever is above them may be anything, so that sums wrap
// freely and are reduced once, when they are packed or decoded.
#ifndef DURE_BASE_RING_H_
#define DURE_BASE_RING_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace dure {

// 32-bit words for b <= 32, 64-bit words above.
using RingVector = std::variant<std::vector<uint32_t>, std::vector<uint64_t>>;

inline constexpr int kMaxRingBits = 64;

// `dim` zeros. `bits` in 1..64, here and below (DURE_CHECK).
RingVector RingZeros(uint64_t dim, int bits);
uint64_t RingSize(const RingVector& vector);
// Whether the words are those of a ring of `bits`.
bool RingFits(const RingVector& vector, int bits);

// v mod 2^b for each v.
RingVector RingFromSigned(std::span<const int64_t> values, int bits);
// Each element as the number in [-2^(b-1), 2^(b-1)) that it stands for.
std::vector<int64_t> RingToSigned(const RingVector& vector, int bits);
// The same for elements first, ..., first + out.size() - 1, which are there (DURE_CHECK).
void RingToSigned(const RingVector& vector, int bits, uint64_t first, std::span<int64_t> out);

// sum += addend, word by word. Both have words of one width and the same size (DURE_CHECK).
void AddRing(const RingVector& addend, RingVector* sum);

// ceil(dim * bits / 8). dim < 2^57 (DURE_CHECK).
uint64_t PackedBytes(uint64_t dim, int bits);

// The packed form. RingFits(vector, bits) (DURE_CHECK).
std::string Pack(const RingVector& vector, int bits);
std::string Pack(std::span<const int64_t> values, int bits);

// InvalidArgument, with the lengths, unless `packed` is exactly `dim` elements of `bits` bits with
// zero padding.
absl::Status CheckPacked(std::span<const uint8_t> packed, uint64_t dim, int bits);
// The same of a packed vector of `bytes` bytes, the last of which is `last_byte`.
absl::Status CheckPackedSize(uint64_t bytes, uint8_t last_byte, uint64_t dim, int bits);

// InvalidArgument as CheckPacked.
absl::StatusOr<RingVector> Unpack(std::span<const uint8_t> packed, uint64_t dim, int bits);

// sum += packed, mod 2^b. InvalidArgument as CheckPacked, and `sum` is then unchanged.
// RingFits(*sum, bits) (DURE_CHECK). Long vectors are divided over up to `threads` threads (0: as
// many as the machine has).
absl::Status UnpackAndAdd(std::span<const uint8_t> packed, int bits, RingVector* sum,
                          int threads = 1);

// The same for elements first, first + 1, ... of `sum`: `packed` is PackedBytes(count, bits) bytes
// of a longer packed vector. `first` is a multiple of 8, and so is `count` unless it reaches the
// end (DURE_CHECK).
void UnpackAndAddPart(std::span<const uint8_t> packed, int bits, uint64_t first, uint64_t count,
                      RingVector* sum, int threads = 1);

}  // namespace dure

#endif  // DURE_BASE_RING_H_
