#include "privacy/dp/rotation.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "crypto/aes_ctr.h"
#include "crypto/hkdf.h"
#include "privacy/dp/client_encoding.h"

namespace dure::dp {
namespace {

constexpr size_t kKeyBytes = 48;
// Two coordinates at a time, as in privacy/dp/fixed_point.cc.
typedef double Doubles __attribute__((vector_size(2 * sizeof(double))));

Doubles Load(const double* x) {
  Doubles pair;
  std::memcpy(&pair, x, sizeof(pair));
  return pair;
}

void Store(const Doubles& pair, double* x) { std::memcpy(x, &pair, sizeof(pair)); }

// One level of butterflies: pairs that are `half` apart.
void Level(size_t half, std::span<double> x) {
  double* const data = x.data();
  for (size_t start = 0; start < x.size(); start += 2 * half) {
    double* const low = data + start;
    double* const high = low + half;
    if (half == 1) {
      const double sum = *low + *high;
      *high = *low - *high;
      *low = sum;
      continue;
    }
    for (size_t i = 0; i < half; i += 2) {
      const Doubles a = Load(low + i), b = Load(high + i);
      Store(a + b, low + i);
      Store(a - b, high + i);
    }
  }
}

// Two levels at once, half and 2 half, which halves the traffic to memory. half >= 2.
void TwoLevels(size_t half, std::span<double> x) {
  for (size_t start = 0; start < x.size(); start += 4 * half) {
    double* const p = x.data() + start;
    for (size_t i = 0; i < half; i += 2) {
      const Doubles a = Load(p + i), b = Load(p + half + i);
      const Doubles c = Load(p + 2 * half + i), d = Load(p + 3 * half + i);
      const Doubles ab = a + b, a_b = a - b, cd = c + d, c_d = c - d;
      Store(ab + cd, p + i);
      Store(a_b + c_d, p + half + i);
      Store(ab - cd, p + 2 * half + i);
      Store(a_b - c_d, p + 3 * half + i);
    }
  }
}

}  // namespace

Rotation::Rotation(const Digest& seed, uint64_t block)
    : key_(HkdfSha256({.key = seed, .salt = {}, .info = Transcript("rot").bytes()}, kKeyBytes)),
      block_(block) {
  DURE_CHECK(std::has_single_bit(block) && block <= kMaxRotationBlock);
}

void Rotation::Apply(uint64_t first, std::span<double> x) const {
  Flip(first, x);
  Transform(x);
}

void Rotation::Invert(uint64_t first, std::span<double> x) const {
  Transform(x);
  Flip(first, x);
}

void Rotation::Flip(uint64_t first, std::span<double> x) const {
  constexpr uint64_t kSignsPerAesBlock = 8 * AesCtr::kBlockBytes;
  static_assert(kMaxRotationBlock % kSignsPerAesBlock == 0);
  DURE_CHECK(first % kMaxRotationBlock == 0 && x.size() <= kMaxRotationBlock);
  std::array<uint8_t, kMaxRotationBlock / 8> signs;
  AesCtr stream(key_.view(), first / kSignsPerAesBlock);
  stream.Generate(std::span(signs).first((x.size() + 7) / 8));
  const double factor = 1 / std::sqrt(static_cast<double>(block_));
  const double factors[2] = {factor, -factor};
  for (size_t i = 0; i < x.size(); ++i) x[i] *= factors[signs[i / 8] >> i % 8 & 1];
}

void Rotation::Transform(std::span<double> x) const {
  DURE_CHECK(x.size() % block_ == 0);
  if (block_ == 1) return;
  for (size_t start = 0; start < x.size(); start += block_) {
    const std::span<double> block = x.subspan(start, block_);
    Level(1, block);
    size_t half = 2;
    for (; 4 * half <= block_; half *= 4) TwoLevels(half, block);
    if (half < block_) Level(half, block);
  }
}

}  // namespace dure::dp
