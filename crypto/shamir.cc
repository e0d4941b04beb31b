#include "crypto/shamir.h"

#include <algorithm>
#include <array>
#include <bitset>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace dure {
namespace {

constexpr size_t kLanes = 8;  // bytes of a uint64_t, multiplied side by side

// Eight products at once: shift and add, with masks in place of branches.
uint64_t MultiplyLanes(uint64_t lanes, uint8_t factor) {
  uint64_t product = 0;
  for (int bit = 0; bit < 8; ++bit) {
    product ^= lanes & (0 - static_cast<uint64_t>(factor >> bit & 1));
    const uint64_t carry = lanes >> 7 & 0x0101010101010101;
    // x^8 = x^4 + x^3 + x + 1 modulo 0x11B.
    lanes = (lanes & 0x7f7f7f7f7f7f7f7f) << 1 ^ carry ^ carry << 1 ^ carry << 3 ^ carry << 4;
  }
  return product;
}

// accumulator = accumulator * factor + addend, element by element.
void MultiplyAndAdd(std::span<uint8_t> accumulator, uint8_t factor, ByteView addend) {
  for (size_t i = 0; i < accumulator.size(); i += kLanes) {
    const size_t part = std::min(kLanes, accumulator.size() - i);
    uint64_t lanes = 0;
    uint64_t other = 0;
    std::memcpy(&lanes, accumulator.data() + i, part);
    std::memcpy(&other, addend.data() + i, part);
    lanes = MultiplyLanes(lanes, factor) ^ other;
    std::memcpy(accumulator.data() + i, &lanes, part);
  }
}

// Logarithms to the base 3, which generates the field, and powers of it. For numbers that everybody
// knows: which entry is read shows in the cache.
struct PublicTables {
  std::array<uint16_t, 256> log = {};
  std::array<uint8_t, 255> power = {};
};

constexpr PublicTables MakePublicTables() {
  PublicTables tables;
  unsigned value = 1;
  for (unsigned i = 0; i < 255; ++i) {
    tables.power[i] = static_cast<uint8_t>(value);
    tables.log[value] = static_cast<uint16_t>(i);
    value ^= value << 1;  // times 3
    if (value >= 256) value ^= 0x11b;
  }
  return tables;
}

// Lagrange's coefficient of the share at `x`: the product over the others of x_m / (x_m - x);
// minus is plus. The places of shares are public and distinct, and none is 0.
uint8_t CoefficientAtZero(uint8_t x, std::span<const ShamirShare> shares) {
  static constexpr PublicTables kTables = MakePublicTables();
  uint32_t sum = 0;  // of logarithms; at most 253 of them, each below 510
  for (const ShamirShare& other : shares) {
    if (other.x == x) continue;
    sum += 255u + kTables.log[other.x] - kTables.log[other.x ^ x];
  }
  return kTables.power[sum % 255];
}

}  // namespace

uint8_t Gf256Multiply(uint8_t a, uint8_t b) { return static_cast<uint8_t>(MultiplyLanes(a, b)); }

uint8_t Gf256Inverse(uint8_t a) {
  // a^254 = a^(2 + 4 + 8 + ... + 128).
  uint8_t result = 1;
  uint8_t power = a;
  for (int i = 0; i < 7; ++i) {
    power = Gf256Multiply(power, power);
    result = Gf256Multiply(result, power);
  }
  return result;
}

std::vector<SecretBytes> ShamirSplit(ByteView secret, ShamirSize size, Random& random) {
  DURE_CHECK(size.threshold >= 1 && size.threshold <= size.shares &&
             size.shares <= kMaxShamirShares);
  std::vector<SecretBytes> coefficients;
  for (int i = 1; i < size.threshold; ++i) {
    coefficients.emplace_back(secret.size());
    random.Fill(coefficients.back().mutable_view());
  }
  std::vector<SecretBytes> shares;
  shares.reserve(static_cast<size_t>(size.shares));
  for (int x = 1; x <= size.shares; ++x) {
    SecretBytes share(secret.size());  // Horner's scheme from the highest coefficient
    for (size_t i = coefficients.size(); i-- > 0;) {
      MultiplyAndAdd(share.mutable_view(), static_cast<uint8_t>(x), coefficients[i].view());
    }
    MultiplyAndAdd(share.mutable_view(), static_cast<uint8_t>(x), secret);
    shares.push_back(std::move(share));
  }
  return shares;
}

absl::StatusOr<SecretBytes> ShamirRebuild(std::span<const ShamirShare> shares) {
  if (shares.empty()) return absl::InvalidArgumentError("no shares to rebuild a secret from");
  std::bitset<256> seen;
  for (const ShamirShare& share : shares) {
    if (share.x == 0 || seen[share.x]) {
      return absl::InvalidArgumentError(
          absl::StrCat("share at x = ", share.x, share.x == 0 ? ": x must not be 0" : " twice"));
    }
    seen.set(share.x);
    if (share.value.size() != shares[0].value.size()) {
      return absl::InvalidArgumentError(absl::StrCat("shares of ", shares[0].value.size(), " and ",
                                                     share.value.size(), " bytes"));
    }
  }
  SecretBytes secret(shares[0].value.size());
  SecretBytes term(secret.size());
  for (const ShamirShare& share : shares) {
    const uint8_t coefficient = CoefficientAtZero(share.x, shares);
    std::copy(share.value.begin(), share.value.end(), term.mutable_view().begin());
    MultiplyAndAdd(term.mutable_view(), coefficient, secret.view());
    std::swap(term, secret);
  }
  return secret;
}

}  // namespace dure
