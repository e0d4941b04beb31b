#include "crypto/aes_gcm.h"

#include <openssl/evp.h>

#include <climits>
#include <memory>

#include "base/check.h"

namespace dure {
namespace {

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

enum class Direction { kOpen = 0, kSeal = 1 };

Context Begin(Direction direction, ByteView key, const AesGcmNonce& nonce, ByteView associated) {
  DURE_CHECK(key.size() == 32 && associated.size() <= INT_MAX);
  static EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  Context context(EVP_CIPHER_CTX_new());
  int written = 0;
  DURE_CHECK(context != nullptr &&
             EVP_CipherInit_ex2(context.get(), cipher, key.data(), nonce.data(),
                                static_cast<int>(direction), nullptr) == 1);
  DURE_CHECK(EVP_CipherUpdate(context.get(), nullptr, &written, associated.data(),
                              static_cast<int>(associated.size())) == 1);
  return context;
}

}  // namespace

std::string AesGcmSeal(ByteView key, const AesGcmNonce& nonce, ByteView associated,
                       ByteView plaintext) {
  DURE_CHECK(plaintext.size() <= INT_MAX - kAesGcmTagBytes);
  Context context = Begin(Direction::kSeal, key, nonce, associated);
  std::string sealed(plaintext.size() + kAesGcmTagBytes, '\0');
  auto* out = reinterpret_cast<uint8_t*>(sealed.data());
  int written = 0;
  int rest = 0;
  DURE_CHECK(EVP_CipherUpdate(context.get(), out, &written, plaintext.data(),
                              static_cast<int>(plaintext.size())) == 1);
  DURE_CHECK(EVP_CipherFinal_ex(context.get(), out + written, &rest) == 1);
  DURE_CHECK(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, kAesGcmTagBytes,
                                 out + plaintext.size()) == 1);
  return sealed;
}

absl::StatusOr<SecretBytes> AesGcmOpen(ByteView key, const AesGcmNonce& nonce, ByteView associated,
                                       ByteView sealed) {
  const absl::Status refused =
      absl::InvalidArgumentError("AES-256-GCM: the message is not authentic");
  if (sealed.size() < kAesGcmTagBytes || sealed.size() > INT_MAX) return refused;
  ByteView ciphertext = sealed.first(sealed.size() - kAesGcmTagBytes);
  std::array<uint8_t, kAesGcmTagBytes> tag;
  std::copy(sealed.end() - kAesGcmTagBytes, sealed.end(), tag.begin());
  Context context = Begin(Direction::kOpen, key, nonce, associated);
  SecretBytes plaintext(ciphertext.size());
  int written = 0;
  int rest = 0;
  uint8_t none;
  DURE_CHECK(
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, kAesGcmTagBytes, tag.data()) == 1);
  if (EVP_CipherUpdate(context.get(), plaintext.mutable_view().data(), &written, ciphertext.data(),
                       static_cast<int>(ciphertext.size())) != 1 ||
      EVP_CipherFinal_ex(context.get(), &none, &rest) != 1) {
    return refused;
  }
  return plaintext;
}

}  // namespace dure
