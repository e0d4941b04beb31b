#include "crypto/x25519.h"

#include <openssl/evp.h>

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
  // Clamped private keys are multiples of the cofactor, so one of them shows it for all.
  static const X25519PrivateKey* const probe =
      new X25519PrivateKey(X25519PrivateKey::FromRaw(SecretBytes(kKeyBytes)));
  return probe->Agree(key).ok();
}

}  // namespace dure
