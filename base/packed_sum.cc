#include "base/packed_sum.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "base/check.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace dure {

#ifdef __x86_64__

namespace {

// Eight elements take `bits` whole bytes, so that what is below holds for each eight alike.
constexpr uint64_t kGroup = 8;

// Where the vectors of a group are loaded from, and how an element is taken out of its bytes. A
// vector has two halves of 16 bytes, which the instructions keep apart.
struct Plan {
  std::array<uint32_t, 4> offsets;             // in bytes from the group's first, of each half
  alignas(32) std::array<uint8_t, 32> bytes;   // of the half, for each byte of the vector
  alignas(32) std::array<uint32_t, 8> shifts;  // of each element
  alignas(32) std::array<uint64_t, 4> shifts64;
};

// A window of `window` bytes for each element; a half has the elements first, first + 1, ....
void PlanHalf(int bits, uint32_t first, size_t half, size_t window, Plan* plan, uint32_t* offset) {
  const uint32_t begin = first * static_cast<uint32_t>(bits);
  *offset = begin / 8;
  for (size_t i = 0; i < 16 / window; ++i) {
    const uint32_t bit = begin % 8 + static_cast<uint32_t>(i) * static_cast<uint32_t>(bits);
    for (size_t byte = 0; byte < window; ++byte) {
      const size_t from = bit / 8 + byte;
      plan->bytes[16 * half + window * i + byte] =
          from < 16 ? static_cast<uint8_t>(from) : uint8_t{0x80};  // 0x80: a zero
    }
    if (window == 4) {
      plan->shifts[4 * half + i] = bit % 8;
    } else {
      plan->shifts64[2 * half + i] = bit % 8;
    }
  }
}

__attribute__((target("avx2"))) __m256i LoadHalves(const uint8_t* low, const uint8_t* high) {
  return _mm256_inserti128_si256(
      _mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(low))),
      _mm_loadu_si128(reinterpret_cast<const __m128i*>(high)), 1);
}

__attribute__((target("avx2"))) void AddTo(uint32_t* out, __m256i elements) {
  auto* place = reinterpret_cast<__m256i*>(out);
  _mm256_storeu_si256(place, _mm256_add_epi32(_mm256_loadu_si256(place), elements));
}

// At most 25 bits: an element and the bits before it in its first byte are within four bytes.
__attribute__((target("avx2"))) void AddNarrow(const uint8_t* data, int bits, uint64_t groups,
                                               uint32_t* out) {
  Plan plan;
  PlanHalf(bits, 0, 0, 4, &plan, &plan.offsets[0]);
  PlanHalf(bits, 4, 1, 4, &plan, &plan.offsets[1]);
  const __m256i bytes = _mm256_load_si256(reinterpret_cast<const __m256i*>(plan.bytes.data()));
  const __m256i shifts = _mm256_load_si256(reinterpret_cast<const __m256i*>(plan.shifts.data()));
  const __m256i mask = _mm256_set1_epi32((1 << bits) - 1);
  for (; groups > 0; --groups, data += bits, out += kGroup) {
    const __m256i loaded = LoadHalves(data + plan.offsets[0], data + plan.offsets[1]);
    const __m256i windows = _mm256_shuffle_epi8(loaded, bytes);
    AddTo(out, _mm256_and_si256(_mm256_srlv_epi32(windows, shifts), mask));
  }
}

// At most 32 bits: within eight bytes. Elements 0, 1, 4, 5 in one vector and 2, 3, 6, 7 in another.
__attribute__((target("avx2"))) void AddWide(const uint8_t* data, int bits, uint64_t groups,
                                             uint32_t* out) {
  Plan even, odd;
  PlanHalf(bits, 0, 0, 8, &even, &even.offsets[0]);
  PlanHalf(bits, 4, 1, 8, &even, &even.offsets[1]);
  PlanHalf(bits, 2, 0, 8, &odd, &odd.offsets[0]);
  PlanHalf(bits, 6, 1, 8, &odd, &odd.offsets[1]);
  const __m256i even_bytes = _mm256_load_si256(reinterpret_cast<const __m256i*>(even.bytes.data()));
  const __m256i odd_bytes = _mm256_load_si256(reinterpret_cast<const __m256i*>(odd.bytes.data()));
  const __m256i even_shifts =
      _mm256_load_si256(reinterpret_cast<const __m256i*>(even.shifts64.data()));
  const __m256i odd_shifts =
      _mm256_load_si256(reinterpret_cast<const __m256i*>(odd.shifts64.data()));
  const __m256i mask = _mm256_set1_epi32(static_cast<int>((uint64_t{1} << bits) - 1));
  for (; groups > 0; --groups, data += bits, out += kGroup) {
    const __m256i a = _mm256_srlv_epi64(
        _mm256_shuffle_epi8(LoadHalves(data + even.offsets[0], data + even.offsets[1]), even_bytes),
        even_shifts);
    const __m256i b = _mm256_srlv_epi64(
        _mm256_shuffle_epi8(LoadHalves(data + odd.offsets[0], data + odd.offsets[1]), odd_bytes),
        odd_shifts);
    const __m256i elements = _mm256_castps_si256(
        _mm256_shuffle_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), 0x88));
    AddTo(out, _mm256_and_si256(elements, mask));
  }
}

}  // namespace

uint64_t AddPackedPrefix(std::span<const uint8_t> packed, int bits, std::span<uint32_t> out) {
  DURE_CHECK(bits >= 1 && bits <= 32);
  static const bool has_avx2 = __builtin_cpu_supports("avx2");
  // The last load of a group begins within it and ends 16 bytes later at most.
  const auto group_bytes = static_cast<size_t>(bits);
  if (!has_avx2 || packed.size() < group_bytes + 16) return 0;
  const uint64_t groups =
      std::min<uint64_t>(out.size() / kGroup, (packed.size() - 16) / group_bytes);
  if (bits <= 25) {
    AddNarrow(packed.data(), bits, groups, out.data());
  } else {
    AddWide(packed.data(), bits, groups, out.data());
  }
  return groups * kGroup;
}

#else

uint64_t AddPackedPrefix(std::span<const uint8_t>, int bits, std::span<uint32_t>) {
  DURE_CHECK(bits >= 1 && bits <= 32);
  return 0;
}

#endif

}  // namespace dure
