#include "privacy/secagg/mask.h"

#include <algorithm>
#include <array>
#include <type_traits>
#include <variant>

#include "base/check.h"
#include "crypto/aes_ctr.h"
#include "crypto/secret_bytes.h"

namespace dure::secagg {
namespace {

// Small enough to stay in the first-level cache.
constexpr size_t kChunkBytes = 16 * 1024;

template <typename Word>
void ApplyWords(AesCtr& stream, MaskSign sign, std::span<Word> vector) {
  alignas(64) std::array<Word, kChunkBytes / sizeof(Word)> words;
  auto bytes = std::as_writable_bytes(std::span(words));
  std::span<uint8_t> chunk(reinterpret_cast<uint8_t*>(bytes.data()), bytes.size());
  while (!vector.empty()) {
    const size_t count = std::min(words.size(), vector.size());
    stream.Generate(chunk.first(count * sizeof(Word)));
    if (sign == MaskSign::kAdd) {
      for (size_t i = 0; i < count; ++i) vector[i] += words[i];
    } else {
      for (size_t i = 0; i < count; ++i) vector[i] -= words[i];
    }
    vector = vector.subspan(count);
  }
  WipeBytes(chunk);
}

}  // namespace

void ApplyMask(ByteView key, MaskSign sign, RingVector* vector) {
  DURE_CHECK(key.size() == kMaskKeyBytes);
  AesCtr stream(key);
  std::visit(
      [&](auto& words) {
        using Word = typename std::decay_t<decltype(words)>::value_type;
        ApplyWords<Word>(stream, sign, words);
      },
      *vector);
}

SecretRing& SecretRing::operator=(SecretRing&& other) noexcept {
  if (this != &other) {
    Wipe();
    vector_ = std::move(other.vector_);
  }
  return *this;
}

void SecretRing::Wipe() {
  std::visit(
      [](auto& words) {
        WipeBytes({reinterpret_cast<uint8_t*>(words.data()), words.size() * sizeof(words[0])});
        words.clear();
      },
      vector_);
}

}  // namespace dure::secagg
