// The mask generator: AES-256-CTR words added to or subtracted from a vector over the ring
// (docs/secure-aggregation.md section 1.1). One word is 4 bytes for b <= 32, else 8, little-endian;
// its low b bits are the mask. Thread-safe.
#ifndef DURE_PRIVACY_SECAGG_MASK_H_
#define DURE_PRIVACY_SECAGG_MASK_H_

#include <span>
#include <utility>

#include "base/ranges.h"
#include "base/ring.h"
#include "crypto/digest.h"
#include "crypto/secret_bytes.h"

namespace dure::secagg {

inline constexpr size_t kMaskKeyBytes = 48;  // key (32) || iv (16)

enum class MaskSign { kAdd, kSubtract };
constexpr MaskSign Opposite(MaskSign sign) {
  return sign == MaskSign::kAdd ? MaskSign::kSubtract : MaskSign::kAdd;
}

// One mask and what is to be done with it. `key` has kMaskKeyBytes.
struct KeyedMask {
  SecretBytes key;
  MaskSign sign = MaskSign::kAdd;
};

// vector += or -= PRG(key) for each mask, element by element. The words' bits above b are not
// reduced (base/ring.h). Long vectors are divided over up to `threads` threads (0: as many as the
// machine has); the result is the same for any number. Keys of another length: DURE_CHECK.
void ApplyMasks(std::span<const KeyedMask> masks, int threads, RingVector* vector);

// The same for the elements of `range` only, which is within the vector, and is empty or begins at
// a multiple of kMaskRangeMultiple (DURE_CHECK).
inline constexpr uint64_t kMaskRangeMultiple = 4;  // words in a block of AES, at most
void ApplyMasks(std::span<const KeyedMask> masks, const Range& range, int threads,
                RingVector* vector);

// One mask, on the caller's thread.
void ApplyMask(ByteView key, MaskSign sign, RingVector* vector);

// A vector that must not be seen before it is masked: move-only, wiped at the end.
class SecretRing {
 public:
  explicit SecretRing(RingVector vector) : vector_(std::move(vector)) {}
  SecretRing(SecretRing&& other) noexcept = default;
  SecretRing& operator=(SecretRing&& other) noexcept;
  ~SecretRing() { Wipe(); }

  RingVector* get() { return &vector_; }

 private:
  void Wipe();

  RingVector vector_;
};

}  // namespace dure::secagg

#endif  // DURE_PRIVACY_SECAGG_MASK_H_
