// HKDF-SHA256: extract and expand (RFC 5869) over OpenSSL EVP. Thread-safe.
#ifndef DURE_CRYPTO_HKDF_H_
#define DURE_CRYPTO_HKDF_H_

#include <cstddef>

#include "crypto/digest.h"
#include "crypto/secret_bytes.h"

namespace dure {

struct HkdfInput {
  ByteView key;  // input keying material
  ByteView salt;
  ByteView info;
};

// `size` bytes, 1 to 255 * 32 (DURE_CHECK).
SecretBytes HkdfSha256(const HkdfInput& input, size_t size);

}  // namespace dure

#endif  // DURE_CRYPTO_HKDF_H_
