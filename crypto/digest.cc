#include "crypto/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace dure {
namespace {

template <size_t kBytes>
std::array<uint8_t, kBytes> BigEndian(uint64_t value) {
  std::array<uint8_t, kBytes> bytes;
  for (size_t i = 0; i < kBytes; ++i) {
    bytes[i] = static_cast<uint8_t>(value >> (8 * (kBytes - 1 - i)));
  }
  return bytes;
}

}  // namespace

std::string CryptoLibraryVersion() { return OpenSSL_version(OPENSSL_VERSION); }

Digest Sha256(ByteView data) {
  Digest digest;
  DURE_CHECK(EVP_Digest(data.data(), data.size(), digest.data(), nullptr, EVP_sha256(), nullptr) ==
             1);
  return digest;
}

struct Sha256Stream::Context {
  EVP_MD_CTX* evp = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(evp); }
};

Sha256Stream::Sha256Stream() : context_(std::make_unique<Context>()) {
  DURE_CHECK(context_->evp != nullptr &&
             EVP_DigestInit_ex(context_->evp, EVP_sha256(), nullptr) == 1);
}
Sha256Stream::~Sha256Stream() = default;

void Sha256Stream::Add(ByteView data) {
  DURE_CHECK(EVP_DigestUpdate(context_->evp, data.data(), data.size()) == 1);
}

Digest Sha256Stream::Finish() {
  Digest digest;
  DURE_CHECK(EVP_DigestFinal_ex(context_->evp, digest.data(), nullptr) == 1);
  return digest;
}

std::string ToHex(ByteView bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (uint8_t byte : bytes) {
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

std::optional<Digest> DigestFromBytes(std::string_view bytes) {
  Digest digest;
  if (bytes.size() != digest.size()) return std::nullopt;
  std::copy(bytes.begin(), bytes.end(), digest.begin());
  return digest;
}

Transcript::Transcript(std::string_view label) {
  static constexpr std::string_view kPrefix = "FLSA-v1/";
  bytes_.resize(kPrefix.size() + label.size() + 1);
  std::copy(label.begin(), label.end(), std::copy(kPrefix.begin(), kPrefix.end(), bytes_.begin()));
}

Transcript& Transcript::Add(ByteView element) {
  DURE_CHECK(element.size() <= UINT32_MAX);
  auto length = BigEndian<4>(element.size());
  bytes_.insert(bytes_.end(), length.begin(), length.end());
  bytes_.insert(bytes_.end(), element.begin(), element.end());
  return *this;
}

Digest Transcript::HashWithSecret(ByteView secret) const {
  DURE_CHECK(secret.size() <= UINT32_MAX);
  const auto length = BigEndian<4>(secret.size());
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  Digest digest;
  DURE_CHECK(context != nullptr && EVP_DigestInit_ex(context, EVP_sha256(), nullptr) == 1 &&
             EVP_DigestUpdate(context, bytes_.data(), bytes_.size()) == 1 &&
             EVP_DigestUpdate(context, length.data(), length.size()) == 1 &&
             EVP_DigestUpdate(context, secret.data(), secret.size()) == 1 &&
             EVP_DigestFinal_ex(context, digest.data(), nullptr) == 1);
  EVP_MD_CTX_free(context);
  return digest;
}

Transcript& Transcript::AddU32(uint32_t value) { return Add(ByteView(BigEndian<4>(value))); }
Transcript& Transcript::AddU64(uint64_t value) { return Add(ByteView(BigEndian<8>(value))); }
Transcript& Transcript::AddF64(double value) { return AddU64(std::bit_cast<uint64_t>(value)); }

}  // namespace dure
