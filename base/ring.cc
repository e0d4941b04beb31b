#include "base/ring.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"

namespace dure {
namespace {

static_assert(std::endian::native == std::endian::little,
              "packed vectors are little-endian; a big-endian host needs byte swaps here");

constexpr uint64_t kMaxDim = uint64_t{1} << 57;

void CheckBits(int bits) { DURE_CHECK(bits >= 1 && bits <= kMaxRingBits); }

uint64_t LowBits(int bits) { return bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1; }

// Calls f(index, element) for every element. Bytes beyond the end read as zero.
template <typename F>
void ForEachPacked(std::span<const uint8_t> packed, uint64_t dim, int bits, F f) {
  const uint64_t mask = LowBits(bits);
  const uint8_t* data = packed.data();
  uint64_t j = 0;
  if (bits <= 57) {
    // One unaligned load of 8 bytes holds any element, whatever bit of its first byte it begins at.
    if (packed.size() >= 8) {
      const uint64_t last_load = (packed.size() - 8) * 8 + 7;
      const uint64_t fast = std::min<uint64_t>(dim, last_load / static_cast<uint64_t>(bits) + 1);
      uint64_t bit = 0;
      for (; j < fast; ++j, bit += static_cast<uint64_t>(bits)) {
        uint64_t word;
        std::memcpy(&word, data + (bit >> 3), 8);
        f(j, (word >> (bit & 7)) & mask);
      }
    }
  }
  for (; j < dim; ++j) {
    const uint64_t bit = j * static_cast<uint64_t>(bits);
    const uint64_t first = bit >> 3;
    uint8_t window[16] = {};
    std::memcpy(window, data + first, std::min<uint64_t>(9, packed.size() - first));
    uint64_t low, high;
    std::memcpy(&low, window, 8);
    std::memcpy(&high, window + 8, 8);
    const int shift = static_cast<int>(bit & 7);
    f(j, (shift == 0 ? low : low >> shift | high << (64 - shift)) & mask);
  }
}

// Writes get(0), get(1), ... as a bit stream. `out` has PackedBytes(dim, bits) bytes.
template <typename Get>
void PackInto(uint64_t dim, int bits, char* out, Get get) {
  const uint64_t mask = LowBits(bits);
  if (bits <= 32) {
    // Below 32 bits wait in `pending`, so an element always fits above them.
    uint64_t pending = 0;
    int filled = 0;
    for (uint64_t j = 0; j < dim; ++j) {
      pending |= (static_cast<uint64_t>(get(j)) & mask) << filled;
      filled += bits;
      if (filled >= 32) {
        std::memcpy(out, &pending, 4);
        out += 4;
        pending >>= 32;
        filled -= 32;
      }
    }
    std::memcpy(out, &pending, static_cast<size_t>((filled + 7) / 8));
    return;
  }
  unsigned __int128 pending = 0;
  int filled = 0;
  for (uint64_t j = 0; j < dim; ++j) {
    pending |= static_cast<unsigned __int128>(static_cast<uint64_t>(get(j)) & mask) << filled;
    filled += bits;
    if (filled >= 64) {
      std::memcpy(out, &pending, 8);
      out += 8;
      pending >>= 64;
      filled -= 64;
    }
  }
  std::memcpy(out, &pending, static_cast<size_t>((filled + 7) / 8));
}

}  // namespace

RingVector RingZeros(uint64_t dim, int bits) {
  CheckBits(bits);
  if (bits <= 32) return std::vector<uint32_t>(dim);
  return std::vector<uint64_t>(dim);
}

uint64_t RingSize(const RingVector& vector) {
  return std::visit([](const auto& words) -> uint64_t { return words.size(); }, vector);
}

bool RingFits(const RingVector& vector, int bits) {
  CheckBits(bits);
  return std::holds_alternative<std::vector<uint32_t>>(vector) == (bits <= 32);
}

RingVector RingFromSigned(std::span<const int64_t> values, int bits) {
  RingVector vector = RingZeros(values.size(), bits);
  std::visit(
      [&](auto& words) {
        using Word = typename std::decay_t<decltype(words)>::value_type;
        std::transform(values.begin(), values.end(), words.begin(),
                       [](int64_t value) { return static_cast<Word>(value); });
      },
      vector);
  return vector;
}

std::vector<int64_t> RingToSigned(const RingVector& vector, int bits) {
  DURE_CHECK(RingFits(vector, bits));
  std::vector<int64_t> values(RingSize(vector));
  const int unused = 64 - bits;
  std::visit(
      [&](const auto& words) {
        std::transform(words.begin(), words.end(), values.begin(), [unused](uint64_t word) {
          return static_cast<int64_t>(word << unused) >> unused;
        });
      },
      vector);
  return values;
}

uint64_t PackedBytes(uint64_t dim, int bits) {
  CheckBits(bits);
  DURE_CHECK(dim < kMaxDim);
  return (dim * static_cast<uint64_t>(bits) + 7) / 8;
}

std::string Pack(const RingVector& vector, int bits) {
  DURE_CHECK(RingFits(vector, bits));
  std::string packed(PackedBytes(RingSize(vector), bits), '\0');
  std::visit(
      [&](const auto& words) {
        PackInto(words.size(), bits, packed.data(), [&](uint64_t j) { return words[j]; });
      },
      vector);
  return packed;
}

std::string Pack(std::span<const int64_t> values, int bits) {
  std::string packed(PackedBytes(values.size(), bits), '\0');
  PackInto(values.size(), bits, packed.data(), [&](uint64_t j) { return values[j]; });
  return packed;
}

absl::Status CheckPacked(std::span<const uint8_t> packed, uint64_t dim, int bits) {
  const uint64_t expected = PackedBytes(dim, bits);
  if (packed.size() != expected) {
    return absl::InvalidArgumentError(absl::StrCat("packed vector of ", packed.size(), " bytes; ",
                                                   dim, " elements of ", bits, " bits have ",
                                                   expected));
  }
  const int used = static_cast<int>(dim * static_cast<uint64_t>(bits) % 8);
  if (used != 0 && packed.back() >> used != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("packed vector of ", packed.size(), " bytes: its padding is not zero"));
  }
  return absl::OkStatus();
}

absl::StatusOr<RingVector> Unpack(std::span<const uint8_t> packed, uint64_t dim, int bits) {
  DURE_RETURN_IF_ERROR(CheckPacked(packed, dim, bits));
  RingVector vector = RingZeros(dim, bits);
  std::visit(
      [&](auto& words) {
        using Word = typename std::decay_t<decltype(words)>::value_type;
        ForEachPacked(packed, dim, bits, [out = words.data()](uint64_t j, uint64_t element) {
          out[j] = static_cast<Word>(element);
        });
      },
      vector);
  return vector;
}

absl::Status UnpackAndAdd(std::span<const uint8_t> packed, int bits, RingVector* sum) {
  DURE_CHECK(RingFits(*sum, bits));
  const uint64_t dim = RingSize(*sum);
  DURE_RETURN_IF_ERROR(CheckPacked(packed, dim, bits));
  std::visit(
      [&](auto& words) {
        using Word = typename std::decay_t<decltype(words)>::value_type;
        ForEachPacked(packed, dim, bits, [out = words.data()](uint64_t j, uint64_t element) {
          out[j] += static_cast<Word>(element);
        });
      },
      *sum);
  return absl::OkStatus();
}

}  // namespace dure
