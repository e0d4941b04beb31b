#include "crypto/hkdf.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

#include <memory>

#include "base/check.h"

namespace dure {
namespace {

constexpr size_t kMaxBytes = 255 * 32;

struct FreeContext {
  void operator()(EVP_KDF_CTX* context) const { EVP_KDF_CTX_free(context); }
};

OSSL_PARAM Octets(const char* name, ByteView bytes) {
  return OSSL_PARAM_construct_octet_string(name, const_cast<uint8_t*>(bytes.data()), bytes.size());
}

}  // namespace

SecretBytes HkdfSha256(const HkdfInput& input, size_t size) {
  DURE_CHECK(size >= 1 && size <= kMaxBytes);
  // Looked up once: a search among providers costs more than the derivation.
  static EVP_KDF* const kdf = EVP_KDF_fetch(nullptr, "HKDF", nullptr);
  std::unique_ptr<EVP_KDF_CTX, FreeContext> context(EVP_KDF_CTX_new(kdf));
  DURE_CHECK(context != nullptr);
  char digest[] = "SHA256";
  OSSL_PARAM params[5];
  OSSL_PARAM* next = params;
  *next++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
  *next++ = Octets(OSSL_KDF_PARAM_KEY, input.key);
  if (!input.salt.empty()) *next++ = Octets(OSSL_KDF_PARAM_SALT, input.salt);
  if (!input.info.empty()) *next++ = Octets(OSSL_KDF_PARAM_INFO, input.info);
  *next = OSSL_PARAM_construct_end();
  SecretBytes out(size);
  DURE_CHECK(EVP_KDF_derive(context.get(), out.mutable_view().data(), size, params) == 1);
  return out;
}

}  // namespace dure
