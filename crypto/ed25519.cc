#include "crypto/ed25519.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <algorithm>

#include "base/check.h"

namespace dure {
namespace {

EVP_PKEY* Native(void* key) { return static_cast<EVP_PKEY*>(key); }

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_MD_CTX, FreeContext>;

// A key protected by a passphrase is refused instead of asking on the terminal.
int NoPassphrase(char*, int, int, void*) { return -1; }

}  // namespace

void SigningKey::Free::operator()(void* key) const { EVP_PKEY_free(Native(key)); }

SigningKey::SigningKey(void* key) : key_(key) {
  size_t size = public_key_.size();
  DURE_CHECK(EVP_PKEY_get_raw_public_key(Native(key), public_key_.data(), &size) == 1 &&
             size == public_key_.size());
}

SigningKey SigningKey::Generate(Random& random) {
  SecretBytes seed(32);
  random.Fill(seed.mutable_view());
  return FromSeed(seed.view());
}

SigningKey SigningKey::FromSeed(ByteView seed) {
  DURE_CHECK(seed.size() == 32);
  EVP_PKEY* key =
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size());
  DURE_CHECK(key != nullptr);
  return SigningKey(key);
}

absl::StatusOr<SigningKey> SigningKey::FromPem(std::string_view pem) {
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  EVP_PKEY* key = PEM_read_bio_PrivateKey(bio, nullptr, NoPassphrase, nullptr);
  BIO_free(bio);
  if (key == nullptr || EVP_PKEY_get_id(key) != EVP_PKEY_ED25519) {
    EVP_PKEY_free(key);
    return absl::InvalidArgumentError("not an Ed25519 private key in PKCS #8 PEM");
  }
  return SigningKey(key);
}

Signature SigningKey::Sign(ByteView message) const {
  Context context(EVP_MD_CTX_new());
  Signature signature;
  size_t size = signature.size();
  DURE_CHECK(
      EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, Native(native())) == 1 &&
      EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()) == 1 &&
      size == signature.size());
  return signature;
}

SecretBytes SigningKey::ToPem() const {
  BIO* bio = BIO_new(BIO_s_secmem());
  DURE_CHECK(PEM_write_bio_PKCS8PrivateKey(bio, Native(native()), nullptr, nullptr, 0, nullptr,
                                           nullptr) == 1);
  char* data = nullptr;
  long size = BIO_get_mem_data(bio, &data);
  SecretBytes pem(ByteView(reinterpret_cast<const uint8_t*>(data), static_cast<size_t>(size)));
  BIO_free(bio);
  return pem;
}

bool VerifySignature(const PublicKey& key, ByteView message, ByteView signature) {
  if (signature.size() != sizeof(Signature)) return false;
  EVP_PKEY* native =
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.data(), key.size());
  if (native == nullptr) return false;
  Context context(EVP_MD_CTX_new());
  bool valid = EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, native) == 1 &&
               EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                                message.size()) == 1;
  EVP_PKEY_free(native);
  return valid;
}

}  // namespace dure
