// The mask generator: AES-256-CTR words added to or subtracted from a vector over the ring
// (docs/secure-aggregation.md section 1.1). One word is 4 bytes for b <= 32, else 8, little-endian;
// its low b bits are the mask. Thread-safe.
#ifndef DURE_PRIVACY_SECAGG_MASK_H_
#define DURE_PRIVACY_SECAGG_MASK_H_

#include <utility>

#include "base/ring.h"
#include "crypto/digest.h"

namespace dure::secagg {

inline constexpr size_t kMaskKeyBytes = 48;  // key (32) || iv (16)

enum class MaskSign { kAdd, kSubtract };

// vector += or -= PRG(key), element by element. `key` has kMaskKeyBytes (DURE_CHECK). The words'
// bits above b are not reduced (base/ring.h).
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
