#include "federation/binary16.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "federation/model_file.h"

namespace dure {
namespace {

// Bits of the fraction of binary32 that binary16 lacks, and the distance of the exponents' biases.
constexpr int kShift = 13;
constexpr uint32_t kBiasDistance = 127 - 15;
constexpr uint16_t kLargest = 0x7BFF;
constexpr uint32_t kInfinity32 = 0x7F800000;
// The smallest normal number of binary16, 2^-14, in binary32.
constexpr uint32_t kSmallestNormal = (kBiasDistance + 1) << 23;

// x / 2^shift to the nearest integer, of two as near the even one.
uint32_t ShiftToNearestEven(uint32_t x, int shift) {
  const uint32_t down = x >> shift;
  const uint32_t rest = x & ((1u << shift) - 1), half = 1u << (shift - 1);
  return down + (rest > half || (rest == half && (down & 1) != 0) ? 1 : 0);
}

}  // namespace

uint16_t ToBinary16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
  const uint32_t size = bits & 0x7FFFFFFF;
  if (size >= kInfinity32) {
    return static_cast<uint16_t>(sign | (size == kInfinity32 ? 0x7C00 : 0x7E00));
  }
  if (size < kSmallestNormal) {
    // A multiple of 2^-24: the fraction with its hidden one, moved by what the exponent lacks.
    const int exponent = static_cast<int>(size >> 23);
    const int shift = kShift + static_cast<int>(kBiasDistance) + 1 - exponent;
    if (exponent == 0 || shift > 24) return sign;  // below half of 2^-24
    const uint32_t fraction = (size & 0x7FFFFF) | 0x800000;
    return static_cast<uint16_t>(sign | ShiftToNearestEven(fraction, shift));
  }
  // A fraction that is rounded up to the next power of two carries into the exponent.
  const uint32_t rounded = ShiftToNearestEven(size - (kBiasDistance << 23), kShift);
  return static_cast<uint16_t>(sign | std::min<uint32_t>(rounded, kLargest));
}

float FromBinary16(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1F, fraction = bits & 0x3FF;
  if (exponent == 0) {
    const float size = std::ldexp(static_cast<float>(fraction), -24);
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(size));
  }
  if (exponent == 0x1F) return std::bit_cast<float>(sign | kInfinity32 | (fraction << kShift));
  return std::bit_cast<float>(sign | ((exponent + kBiasDistance) << 23) | (fraction << kShift));
}

uint64_t BytesOfNumber(CommunicationSection::Download download) {
  return download == CommunicationSection::FP16 ? sizeof(uint16_t) : sizeof(float);
}

std::string NumbersToBytes(std::span<const float> numbers,
                           CommunicationSection::Download download) {
  if (download != CommunicationSection::FP16) return ParamsToBytes(numbers);
  std::string bytes(numbers.size() * sizeof(uint16_t), '\0');
  for (size_t i = 0; i < numbers.size(); ++i) {
    const uint16_t bits = ToBinary16(numbers[i]);
    bytes[2 * i] = static_cast<char>(bits & 0xFF);
    bytes[2 * i + 1] = static_cast<char>(bits >> 8);
  }
  return bytes;
}

absl::StatusOr<std::vector<float>> NumbersFromBytes(std::string_view bytes, uint64_t count,
                                                    CommunicationSection::Download download) {
  if (download != CommunicationSection::FP16) return ParamsFromBytes(bytes, count);
  if (count > kMaxModelParams || bytes.size() != count * sizeof(uint16_t)) {
    return absl::InvalidArgumentError(absl::StrCat(bytes.size(), " bytes of binary16; ", count,
                                                   " numbers take ", count * sizeof(uint16_t)));
  }
  std::vector<float> numbers(count);
  for (size_t i = 0; i < numbers.size(); ++i) {
    const auto low = static_cast<uint8_t>(bytes[2 * i]);
    const auto high = static_cast<uint8_t>(bytes[2 * i + 1]);
    numbers[i] = FromBinary16(static_cast<uint16_t>(low | high << 8));
    if (!std::isfinite(numbers[i])) {
      return absl::InvalidArgumentError(
          absl::StrCat("parameter ", i, " of ", count, " is not a finite number"));
    }
  }
  return numbers;
}

uint64_t BeyondBinary16(std::span<const float> numbers) {
  // Half way from the largest number to what would be the next; that itself is rounded up.
  constexpr float kFirstBeyond = 65520;
  return static_cast<uint64_t>(std::count_if(numbers.begin(), numbers.end(), [](float value) {
    return std::isfinite(value) && std::abs(value) >= kFirstBeyond;
  }));
}

}  // namespace dure
