#include "privacy/secagg/mask.h"

#include <algorithm>
#include <array>
#include <type_traits>
#include <variant>
#include <vector>

#include "base/check.h"
#include "crypto/aes_ctr.h"

namespace dure::secagg {
namespace {

// Words of a mask at a time: with as many of the vector, half of a first-level cache.
constexpr size_t kChunkBytes = 8 * 1024;
// Masks that are applied to one chunk before the next: the vector travels through the memory once
// for so many.
constexpr size_t kMasksAtOnce = 16;
// Fewer elements are not worth a thread.
constexpr uint64_t kElementsForThread = 16 * 1024;

template <typename Word>
class Chunk {
 public:
  Chunk() = default;
  Chunk(const Chunk&) = delete;
  Chunk& operator=(const Chunk&) = delete;
  ~Chunk() { WipeBytes(Bytes(words_.size())); }

  static constexpr size_t size() { return kChunkBytes / sizeof(Word); }

  // `vector` has at most size() elements.
  void Apply(AesCtr& stream, MaskSign sign, std::span<Word> vector) {
    stream.Generate(Bytes(vector.size()));
    if (sign == MaskSign::kAdd) {
      for (size_t i = 0; i < vector.size(); ++i) vector[i] += words_[i];
    } else {
      for (size_t i = 0; i < vector.size(); ++i) vector[i] -= words_[i];
    }
  }

 private:
  std::span<uint8_t> Bytes(size_t words) {
    return {reinterpret_cast<uint8_t*>(words_.data()), words * sizeof(Word)};
  }
  alignas(64) std::array<Word, kChunkBytes / sizeof(Word)> words_;
};

// The part of one vector that begins at element `first`.
template <typename Word>
void ApplyToPart(std::span<const KeyedMask> masks, uint64_t first, std::span<Word> part) {
  static_assert(AesCtr::kBlockBytes / sizeof(Word) <= kMaskRangeMultiple);
  const uint64_t block = first * sizeof(Word) / AesCtr::kBlockBytes;
  Chunk<Word> chunk;
  for (; !masks.empty(); masks = masks.subspan(std::min(masks.size(), kMasksAtOnce))) {
    std::vector<AesCtr> streams;
    for (const KeyedMask& mask : masks.first(std::min(masks.size(), kMasksAtOnce))) {
      streams.emplace_back(mask.key.view(), block);
    }
    for (std::span<Word> rest = part; !rest.empty();) {
      const std::span<Word> now = rest.first(std::min(rest.size(), chunk.size()));
      for (size_t i = 0; i < streams.size(); ++i) chunk.Apply(streams[i], masks[i].sign, now);
      rest = rest.subspan(now.size());
    }
  }
}

}  // namespace

void ApplyMasks(std::span<const KeyedMask> masks, const Range& range, int threads,
                RingVector* vector) {
  DURE_CHECK(range.begin <= range.end && range.end <= RingSize(*vector));
  DURE_CHECK(range.begin % kMaskRangeMultiple == 0 || range.size() == 0);
  for (const KeyedMask& mask : masks) DURE_CHECK(mask.key.size() == kMaskKeyBytes);
  if (masks.empty() || range.size() == 0) return;
  std::visit(
      [&](auto& words) {
        using Word = typename std::decay_t<decltype(words)>::value_type;
        ForEachRange(
            range,
            {.least = kElementsForThread, .multiple = kMaskRangeMultiple, .threads = threads},
            [&](const Range& part) {
              ApplyToPart<Word>(masks, part.begin,
                                std::span(words).subspan(part.begin, part.size()));
            });
      },
      *vector);
}

void ApplyMasks(std::span<const KeyedMask> masks, int threads, RingVector* vector) {
  ApplyMasks(masks, {.begin = 0, .end = RingSize(*vector)}, threads, vector);
}

void ApplyMask(ByteView key, MaskSign sign, RingVector* vector) {
  const KeyedMask mask = {.key = SecretBytes(key), .sign = sign};
  ApplyMasks({&mask, 1}, /*threads=*/1, vector);
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
