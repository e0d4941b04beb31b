#include "crypto/x25519.h"

#include <openssl/evp.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

#include "base/check.h"

namespace dure {
namespace {

constexpr size_t kKeyBytes = 32;

struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct FreeContext {
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
};
using Key = std::unique_ptr<EVP_PKEY, FreeKey>;
using Context = std::unique_ptr<EVP_PKEY_CTX, FreeContext>;

// p = 2^255 - 19, least byte first, is ed ff ... ff 7f; numbers beside it differ in the first byte.
constexpr X25519PublicKey NextToTheField(uint8_t first_byte) {
  X25519PublicKey number = {};
  number.fill(0xff);
  number.front() = first_byte;
  number.back() = 0x7f;
  return number;
}

EVP_PKEY* Native(void* key) { return static_cast<EVP_PKEY*>(key); }

}  // namespace

void X25519PrivateKey::Free::operator()(void* key) const { EVP_PKEY_free(Native(key)); }

X25519PrivateKey::X25519PrivateKey(SecretBytes raw) : raw_(std::move(raw)) {
  DURE_CHECK(raw_.size() == kKeyBytes);
  key_.reset(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, raw_.view().data(), raw_.size()));
  size_t size = public_key_.size();
  DURE_CHECK(key_ != nullptr &&
             EVP_PKEY_get_raw_public_key(Native(key_.get()), public_key_.data(), &size) == 1 &&
             size == kKeyBytes);
}

X25519PrivateKey X25519PrivateKey::Generate(Random& random) {
  SecretBytes raw(kKeyBytes);
  random.Fill(raw.mutable_view());
  return X25519PrivateKey(std::move(raw));
}

X25519PrivateKey X25519PrivateKey::FromRaw(SecretBytes raw) {
  return X25519PrivateKey(std::move(raw));
}

absl::StatusOr<SecretBytes> X25519PrivateKey::Agree(const X25519PublicKey& peer) const {
  Key other(EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, peer.data(), peer.size()));
  DURE_CHECK(other != nullptr);
  Context context(EVP_PKEY_CTX_new(Native(key_.get()), nullptr));
  SecretBytes secret(kKeyBytes);
  size_t size = secret.size();
  DURE_CHECK(context != nullptr && EVP_PKEY_derive_init(context.get()) == 1);
  // OpenSSL refuses an all-zero result; the comparison does not rely on it.
  if (EVP_PKEY_derive_set_peer(context.get(), other.get()) != 1 ||
      EVP_PKEY_derive(context.get(), secret.mutable_view().data(), &size) != 1 ||
      size != kKeyBytes || secret.Equals(std::array<uint8_t, kKeyBytes>{})) {
    return absl::InvalidArgumentError("X25519 key of low order: no secret can be agreed with it");
  }
  return secret;
}

bool IsUsableX25519Key(const X25519PublicKey& key) {
  // The coordinates of all points whose order divides 8, on the curve and on its twist, as numbers
  // below 2^255: 0, 1, p - 1, p, p + 1 and the two of order 8 (Bernstein, "Curve25519", section 3).
  // Clamped private keys are multiples of 8, so these and no others give zero with every one.
  static constexpr X25519PublicKey kLowOrder[] = {
      {},
      {1},
      {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3,
       0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
       0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
      {0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1,
       0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c,
       0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57},
      NextToTheField(0xec),
      NextToTheField(0xed),
      NextToTheField(0xee),
  };
  X25519PublicKey number = key;
  number.back() &= 0x7f;  // the highest bit does not count (RFC 7748 section 5)
  return std::find(std::begin(kLowOrder), std::end(kLowOrder), number) == std::end(kLowOrder);
}

}  // namespace dure
