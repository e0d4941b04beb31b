#include "crypto/random.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace dure {
namespace {

constexpr size_t kBufferBytes = 4096;
constexpr size_t kMaxCallBytes = size_t{1} << 30;  // EVP lengths are int

}  // namespace

void SystemRandom::Fill(std::span<uint8_t> out) {
  while (!out.empty()) {
    size_t part = std::min(out.size(), kMaxCallBytes);
    DURE_CHECK(RAND_priv_bytes(out.data(), static_cast<int>(part)) == 1);
    out = out.subspan(part);
  }
}

struct AesCtrRandom::State {
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  std::array<uint8_t, kBufferBytes> buffer;
  size_t used = kBufferBytes;

  ~State() {
    EVP_CIPHER_CTX_free(context);
    OPENSSL_cleanse(buffer.data(), buffer.size());
  }

  // Overwrites `out` with the next bytes of the keystream.
  void Generate(std::span<uint8_t> out) {
    std::memset(out.data(), 0, out.size());
    int written = 0;
    DURE_CHECK(EVP_EncryptUpdate(context, out.data(), &written, out.data(),
                                 static_cast<int>(out.size())) == 1);
  }
};

AesCtrRandom::AesCtrRandom(const Seed& seed) : state_(std::make_unique<State>()) {
  const uint8_t counter[16] = {};
  DURE_CHECK(state_->context != nullptr);
  DURE_CHECK(EVP_EncryptInit_ex(state_->context, EVP_aes_256_ctr(), nullptr, seed.data(),
                                counter) == 1);
}

AesCtrRandom::AesCtrRandom(Random& source) : AesCtrRandom([&source] {
      Seed seed;
      source.Fill(seed);
      return seed;
    }()) {}

AesCtrRandom::~AesCtrRandom() = default;
AesCtrRandom::AesCtrRandom(AesCtrRandom&&) noexcept = default;
AesCtrRandom& AesCtrRandom::operator=(AesCtrRandom&&) noexcept = default;

void AesCtrRandom::Fill(std::span<uint8_t> out) {
  State& s = *state_;
  size_t take = std::min(out.size(), kBufferBytes - s.used);
  std::memcpy(out.data(), s.buffer.data() + s.used, take);
  s.used += take;
  out = out.subspan(take);
  while (out.size() >= kBufferBytes) {
    size_t part = std::min(out.size(), kMaxCallBytes);
    s.Generate(out.first(part));
    out = out.subspan(part);
  }
  if (out.empty()) return;
  s.Generate(s.buffer);
  std::memcpy(out.data(), s.buffer.data(), out.size());
  s.used = out.size();
}

uint64_t AesCtrRandom::NextU64() {
  uint8_t bytes[8];
  Fill(bytes);
  uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = value << 8 | bytes[i];
  return value;
}

}  // namespace dure
