// Ed25519 signatures (RFC 8032, pure Ed25519) over OpenSSL EVP. Thread-safe.
#ifndef DURE_CRYPTO_ED25519_H_
#define DURE_CRYPTO_ED25519_H_

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "crypto/digest.h"
#include "crypto/random.h"
#include "crypto/secret_bytes.h"

namespace dure {

using PublicKey = std::array<uint8_t, 32>;
using Signature = std::array<uint8_t, 64>;

// A private signing key. Move-only; OpenSSL wipes it.
class SigningKey {
 public:
  static SigningKey Generate(Random& random);
  // From the 32-byte seed of RFC 8032.
  static SigningKey FromSeed(ByteView seed);
  // PKCS #8 PEM. InvalidArgument if it is not an Ed25519 key.
  static absl::StatusOr<SigningKey> FromPem(std::string_view pem);

  const PublicKey& public_key() const { return public_key_; }
  Signature Sign(ByteView message) const;
  SecretBytes ToPem() const;

  // The OpenSSL key, for crypto/x509.cc only.
  void* native() const { return key_.get(); }

 private:
  struct Free {
    void operator()(void* key) const;
  };
  explicit SigningKey(void* key);
  std::unique_ptr<void, Free> key_;
  PublicKey public_key_;
};

bool VerifySignature(const PublicKey& key, ByteView message, ByteView signature);

}  // namespace dure

#endif  // DURE_CRYPTO_ED25519_H_
