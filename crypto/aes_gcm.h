// AES-256-GCM (NIST SP 800-38D) over OpenSSL EVP. Thread-safe.
//
// A nonce must never be used twice with one key; the caller sees to it. A caller whose key encrypts
// one message only may use zeros.
#ifndef DURE_CRYPTO_AES_GCM_H_
#define DURE_CRYPTO_AES_GCM_H_

#include <array>
#include <string>

#include "absl/status/statusor.h"
#include "crypto/digest.h"
#include "crypto/secret_bytes.h"

namespace dure {

inline constexpr size_t kAesGcmTagBytes = 16;
using AesGcmNonce = std::array<uint8_t, 12>;

// Ciphertext and tag: kAesGcmTagBytes longer than `plaintext`. `key` has 32 bytes (DURE_CHECK).
std::string AesGcmSeal(ByteView key, const AesGcmNonce& nonce, ByteView associated,
                       ByteView plaintext);

// InvalidArgument if `sealed` was not made by AesGcmSeal with the same key, nonce and associated
// data.
absl::StatusOr<SecretBytes> AesGcmOpen(ByteView key, const AesGcmNonce& nonce, ByteView associated,
                                       ByteView sealed);

}  // namespace dure

#endif  // DURE_CRYPTO_AES_GCM_H_
