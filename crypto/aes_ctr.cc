#include "crypto/aes_ctr.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"

namespace dure {
namespace {

constexpr size_t kKeyBytes = 32;
constexpr size_t kMaxCallBytes = size_t{1} << 30;  // EVP lengths are int

EVP_CIPHER_CTX* Native(void* context) { return static_cast<EVP_CIPHER_CTX*>(context); }

}  // namespace

void AesCtr::Free::operator()(void* context) const { EVP_CIPHER_CTX_free(Native(context)); }

AesCtr::AesCtr(ByteView key_and_iv, uint64_t first_block) : context_(EVP_CIPHER_CTX_new()) {
  DURE_CHECK(context_ != nullptr && key_and_iv.size() == kKeyBytes + kBlockBytes);
  std::array<uint8_t, kBlockBytes> counter;
  std::copy(key_and_iv.begin() + kKeyBytes, key_and_iv.end(), counter.begin());
  // counter += first_block, both big-endian.
  uint64_t rest = first_block;
  for (size_t i = kBlockBytes; i-- > 0 && rest != 0;) {
    const uint64_t sum = (rest & 0xff) + counter[i];
    counter[i] = static_cast<uint8_t>(sum);
    rest = (rest >> 8) + (sum >> 8);
  }
  static EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-CTR", nullptr);
  DURE_CHECK(EVP_EncryptInit_ex2(Native(context_.get()), cipher, key_and_iv.data(), counter.data(),
                                 nullptr) == 1);
}

void AesCtr::Update(const uint8_t* in, std::span<uint8_t> out) {
  int written = 0;
  DURE_CHECK(EVP_EncryptUpdate(Native(context_.get()), out.data(), &written, in,
                               static_cast<int>(out.size())) == 1);
}

void AesCtr::Generate(std::span<uint8_t> out) {
  // The stream is what becomes of zeros: the same few every time are in the cache already.
  alignas(64) static constexpr std::array<uint8_t, 8192> kZeros = {};
  while (!out.empty()) {
    const size_t part = std::min(out.size(), kZeros.size());
    Update(kZeros.data(), out.first(part));
    out = out.subspan(part);
  }
}

void AesCtr::Apply(std::span<uint8_t> data) {
  while (!data.empty()) {
    const size_t part = std::min(data.size(), kMaxCallBytes);
    Update(data.data(), data.first(part));
    data = data.subspan(part);
  }
}

}  // namespace dure
