#include "base/ring.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/packed_sum.h"
#include "base/ranges.h"
#include "base/status_macros.h"

namespace dure {
namespace {

static_assert(std::endian::native == std::endian::little,
              "packed vectors are little-endian; a big-endian host needs byte swaps here");

constexpr uint64_t kMaxDim = uint64_t{1} << 57;
// Fewer elements are not worth a thread of their own.
constexpr uint64_t kElementsForThread = 1 << 18;

void CheckBits(int bits) { DURE_CHECK(bits >= 1 && bits <= kMaxRingBits); }

uint64_t LowBits(int bits) { return bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1; }

// Calls f(index, element) for every element from `j` on. Bytes beyond the end read as zero.
template <typename F>
void ForEachPacked(std::span<const uint8_t> packed, uint64_t j, uint64_t dim, int bits, F f) {
  const uint64_t mask = LowBits(bits);
  const uint8_t* data = packed.data();
  if (bits <= 57) {
    // One unaligned load of 8 bytes holds any element, whatever bit of its first byte it begins at.
    if (packed.size() >= 8) {
      const uint64_t last_load = (packed.size() - 8) * 8 + 7;
      const uint64_t fast = std::min<uint64_t>(dim, last_load / static_cast<uint64_t>(bits) + 1);
      uint64_t bit = j * static_cast<uint64_t>(bits);
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

// out += the first elements of `packed`, which has them all.
template <typename Word>
void AddPart(std::span<const uint8_t> packed, int bits, std::span<Word> out) {
  uint64_t done = 0;
  if constexpr (sizeof(Word) == 4) done = AddPackedPrefix(packed, bits, out);
  ForEachPacked(packed, done, out.size(), bits,
                [out](uint64_t j, uint64_t element) { out[j] += static_cast<Word>(element); });
}

// Writes a bit stream, least significant bit first.
class BitWriter {
 public:
  static constexpr int kMaxBits = 57;  // of one Put(): seven more may wait

  explicit BitWriter(char* out) : out_(out) {}

  // Appends the low `bits` of `value`; the others are zero. Writes 8 bytes at the current place.
  void Put(uint64_t value, int bits) {
    pending_ |= value << waiting_;
    waiting_ += bits;
    std::memcpy(out_, &pending_, 8);
    const int whole = waiting_ / 8;
    out_ += whole;
    pending_ = whole == 8 ? 0 : pending_ >> 8 * whole;
    waiting_ %= 8;
  }
  // The same, without writing beyond the bytes that the bits reach.
  void PutLast(uint64_t value, int bits) {
    for (; bits > 0; bits -= 8, value >>= 8) {
      const int part = std::min(bits, 8);
      pending_ |= (value & LowBits(part)) << waiting_;
      waiting_ += part;
      if (waiting_ < 8) continue;
      *out_++ = static_cast<char>(pending_);
      pending_ >>= 8;
      waiting_ -= 8;
    }
  }
  void Finish() {
    if (waiting_ > 0) *out_ = static_cast<char>(pending_);
  }

 private:
  char* out_;
  uint64_t pending_ = 0;
  int waiting_ = 0;  // bits in `pending_`, below 8 between calls
};

// Writes get(0), get(1), ... as a bit stream. `out` has PackedBytes(dim, bits) bytes.
template <typename Get>
void PackInto(uint64_t dim, int bits, char* out, Get get) {
  const uint64_t mask = LowBits(bits);
  BitWriter writer(out);
  // The last eight bytes are written one by one.
  const uint64_t tail = 64 / static_cast<uint64_t>(bits) + 1;
  const uint64_t fast = dim > tail ? dim - tail : 0;
  uint64_t j = 0;
  if (2 * bits <= BitWriter::kMaxBits) {
    for (; j + 2 <= fast; j += 2) {
      writer.Put((get(j) & mask) | (get(j + 1) & mask) << bits, 2 * bits);
    }
  } else if (bits <= BitWriter::kMaxBits) {
    for (; j < fast; ++j) writer.Put(get(j) & mask, bits);
  } else {
    for (; j < fast; ++j) {
      writer.Put(get(j) & LowBits(32), 32);
      writer.Put((get(j) & mask) >> 32, bits - 32);
    }
  }
  for (; j < dim; ++j) writer.PutLast(get(j) & mask, bits);
  writer.Finish();
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
  std::vector<int64_t> values(RingSize(vector));
  RingToSigned(vector, bits, 0, values);
  return values;
}

void RingToSigned(const RingVector& vector, int bits, uint64_t first, std::span<int64_t> out) {
  DURE_CHECK(RingFits(vector, bits) && first <= RingSize(vector) &&
             out.size() <= RingSize(vector) - first);
  const int unused = 64 - bits;
  std::visit(
      [&](const auto& words) {
        const auto from = std::span(words).subspan(first, out.size());
        std::transform(from.begin(), from.end(), out.begin(), [unused](uint64_t word) {
          return static_cast<int64_t>(word << unused) >> unused;
        });
      },
      vector);
}

void AddRing(const RingVector& addend, RingVector* sum) {
  DURE_CHECK(addend.index() == sum->index() && RingSize(addend) == RingSize(*sum));
  std::visit(
      [&](auto& words) {
        const auto& other = std::get<std::decay_t<decltype(words)>>(addend);
        for (size_t i = 0; i < words.size(); ++i) words[i] += other[i];
      },
      *sum);
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
        PackInto(words.size(), bits, packed.data(),
                 [&](uint64_t j) -> uint64_t { return words[j]; });
      },
      vector);
  return packed;
}

std::string Pack(std::span<const int64_t> values, int bits) {
  std::string packed(PackedBytes(values.size(), bits), '\0');
  PackInto(values.size(), bits, packed.data(),
           [&](uint64_t j) { return static_cast<uint64_t>(values[j]); });
  return packed;
}

absl::Status CheckPacked(std::span<const uint8_t> packed, uint64_t dim, int bits) {
  return CheckPackedSize(packed.size(), packed.empty() ? 0 : packed.back(), dim, bits);
}

absl::Status CheckPackedSize(uint64_t bytes, uint8_t last_byte, uint64_t dim, int bits) {
  const uint64_t expected = PackedBytes(dim, bits);
  if (bytes != expected) {
    return absl::InvalidArgumentError(absl::StrCat("packed vector of ", bytes, " bytes; ", dim,
                                                   " elements of ", bits, " bits have ", expected));
  }
  const int used = static_cast<int>(dim * static_cast<uint64_t>(bits) % 8);
  if (used != 0 && last_byte >> used != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("packed vector of ", bytes, " bytes: its padding is not zero"));
  }
  return absl::OkStatus();
}

absl::StatusOr<RingVector> Unpack(std::span<const uint8_t> packed, uint64_t dim, int bits) {
  DURE_RETURN_IF_ERROR(CheckPacked(packed, dim, bits));
  RingVector vector = RingZeros(dim, bits);
  std::visit(
      [&](auto& words) {
        using Word = typename std::decay_t<decltype(words)>::value_type;
        ForEachPacked(packed, 0, dim, bits, [out = words.data()](uint64_t j, uint64_t element) {
          out[j] = static_cast<Word>(element);
        });
      },
      vector);
  return vector;
}

absl::Status UnpackAndAdd(std::span<const uint8_t> packed, int bits, RingVector* sum, int threads) {
  DURE_RETURN_IF_ERROR(CheckPacked(packed, RingSize(*sum), bits));
  UnpackAndAddPart(packed, bits, 0, RingSize(*sum), sum, threads);
  return absl::OkStatus();
}

void UnpackAndAddPart(std::span<const uint8_t> packed, int bits, uint64_t first, uint64_t count,
                      RingVector* sum, int threads) {
  DURE_CHECK(RingFits(*sum, bits) && packed.size() == PackedBytes(count, bits));
  DURE_CHECK(first % 8 == 0 && first <= RingSize(*sum) && count <= RingSize(*sum) - first);
  DURE_CHECK(count % 8 == 0 || first + count == RingSize(*sum));
  std::visit(
      [&](auto& words) {
        // Eight elements begin with a byte of their own.
        ForEachRange({.begin = 0, .end = count},
                     {.least = kElementsForThread, .multiple = 8, .threads = threads},
                     [&](const Range& range) {
                       AddPart(packed.subspan(range.begin / 8 * static_cast<uint64_t>(bits)), bits,
                               std::span(words).subspan(first + range.begin, range.size()));
                     });
      },
      *sum);
}

}  // namespace dure
