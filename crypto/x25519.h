// X25519 key agreement (RFC 7748 section 5) over OpenSSL EVP. Thread-safe.
#ifndef DURE_CRYPTO_X25519_H_
#define DURE_CRYPTO_X25519_H_

#include <array>
#include <memory>

#include "absl/status/statusor.h"
#include "crypto/digest.h"
#include "crypto/random.h"
#include "crypto/secret_bytes.h"

namespace dure {

using X25519PublicKey = std::array<uint8_t, 32>;

// A private key. Move-only; wiped at the end.
class X25519PrivateKey {
 public:
  // 32 bytes of `random`.
  static X25519PrivateKey Generate(Random& random);
  // From 32 bytes as they were drawn; they are clamped where they are used, not where they are
  // kept. DURE_CHECK on the length.
  static X25519PrivateKey FromRaw(SecretBytes raw);

  const X25519PublicKey& public_key() const { return public_key_; }
  // The 32 bytes that it was made from: what secret sharing shares.
  const SecretBytes& raw() const { return raw_; }

  // The shared secret, 32 bytes. InvalidArgument if `peer` is a point of low order, that is if the
  // result would be all zero whatever the private key (RFC 7748 section 6.1).
  absl::StatusOr<SecretBytes> Agree(const X25519PublicKey& peer) const;

 private:
  struct Free {
    void operator()(void* key) const;
  };
  explicit X25519PrivateKey(SecretBytes raw);

  SecretBytes raw_;
  std::unique_ptr<void, Free> key_;  // OpenSSL's, kept because making it costs a multiplication
  X25519PublicKey public_key_ = {};
};

// False for points of low order: no agreement with such a key is secret.
bool IsUsableX25519Key(const X25519PublicKey& key);

}  // namespace dure

#endif  // DURE_CRYPTO_X25519_H_
