// Exact coins for the samplers of this room: Bernoulli(a / b) and Bernoulli(exp(-a / b)) for
// integers a and b, from uniform words (Canonne, Kamath, Steinke 2020, Algorithm 1).
//
// A coin Bernoulli(a/b) asks whether a uniform real U is below a/b. The binary digits of U are
// those of the words, drawn as they are needed. A comparison in binary64 decides where its error
// bound allows, which is nearly always; else the digits of a/b are computed one by one with 128-bit
// integers, without an end. So a coin is exact if the words are uniform. Not thread-safe.
#ifndef DURE_PRIVACY_DP_BERNOULLI_EXP_H_
#define DURE_PRIVACY_DP_BERNOULLI_EXP_H_

#include <array>
#include <cmath>
#include <cstdint>

#include "privacy/dp/random_words.h"

namespace dure::dp {

// a / b in [0, 1], and the same number after at most six roundings to binary64.
struct Rational {
  double rounded;
  unsigned __int128 numerator;
  unsigned __int128 denominator;
};

// `rounded`, divided by k with two roundings more, is within 2^-50 of the true quotient, and U is
// within 2^-53 of its first 53 bits: a difference above this bound has the right sign.
inline constexpr double kBinary64Doubt = 0x1p-45;

// Whether U < a / (b k), where U begins with the digits of `word`. Precondition: b k < 2^127.
[[gnu::noinline]] inline bool IsBelowByDigits(uint64_t word, const Rational& ratio, uint32_t k,
                                              RandomWords& words) {
  const unsigned __int128 denominator = ratio.denominator * k;
  unsigned __int128 rest = ratio.numerator;
  for (;; word = words.Next()) {
    for (int bit = 63; bit >= 0; --bit) {
      rest *= 2;
      const bool digit = rest >= denominator;
      if (digit) rest -= denominator;
      const bool uniform_digit = word >> bit & 1;
      if (uniform_digit != digit) return digit;
    }
  }
}

// The same, in binary64 where that decides.
inline bool IsBelow(uint64_t word, const Rational& ratio, uint32_t k, RandomWords& words) {
  constexpr uint32_t kTable = 32;
  static constexpr std::array<double, kTable> kReciprocal = [] {
    std::array<double, kTable> table{};
    for (uint32_t i = 1; i < kTable; ++i) table[i] = 1.0 / i;
    return table;
  }();
  const double uniform = static_cast<double>(static_cast<int64_t>(word >> 11)) * 0x1p-53;
  const double difference = uniform - ratio.rounded * (k < kTable ? kReciprocal[k] : 1.0 / k);
  if (std::abs(difference) < kBinary64Doubt) [[unlikely]] {
    return IsBelowByDigits(word, ratio, k, words);
  }
  return difference < 0;
}

// Bernoulli(exp(-a/b)): toss Bernoulli(a / (b k)) for k = 1, 2, ... until one fails; true if that k
// is odd. Precondition: b < 2^120; that k reaches 2^7 has probability 1 / (2^7)! at most.
inline bool BernoulliExp(const Rational& ratio, RandomWords& words) {
  for (uint32_t k = 1;; ++k) {
    if (!IsBelow(words.Next(), ratio, k, words)) return k & 1;
  }
}

}  // namespace dure::dp

#endif  // DURE_PRIVACY_DP_BERNOULLI_EXP_H_
