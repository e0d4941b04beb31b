#include "privacy/dp/scaled_exp.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace dure::dp {
namespace {

using Uint128 = unsigned __int128;
using Limbs = std::vector<uint64_t>;  // least significant first

// x *= factor. Precondition: the product has room.
void Multiply(uint64_t factor, Limbs& x) {
  uint64_t carry = 0;
  for (uint64_t& limb : x) {
    const Uint128 product = static_cast<Uint128>(limb) * factor + carry;
    limb = static_cast<uint64_t>(product);
    carry = static_cast<uint64_t>(product >> 64);
  }
  DURE_CHECK(carry == 0);
}

// x = floor(x / divisor).
void Divide(uint64_t divisor, Limbs& x) {
  uint64_t rest = 0;
  for (size_t i = x.size(); i-- > 0;) {
    const Uint128 dividend = (static_cast<Uint128>(rest) << 64) | x[i];
    x[i] = static_cast<uint64_t>(dividend / divisor);
    rest = static_cast<uint64_t>(dividend % divisor);
  }
}

// x += y.
void Add(const Limbs& y, Limbs& x) {
  uint64_t carry = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const Uint128 sum = static_cast<Uint128>(x[i]) + y[i] + carry;
    x[i] = static_cast<uint64_t>(sum);
    carry = static_cast<uint64_t>(sum >> 64);
  }
}

// x = max(0, x - y).
void SubtractOrZero(const Limbs& y, Limbs& x) {
  uint64_t borrow = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const Uint128 taken = static_cast<Uint128>(y[i]) + borrow;
    borrow = taken > x[i];
    x[i] -= static_cast<uint64_t>(taken);
  }
  if (borrow != 0) std::fill(x.begin(), x.end(), 0);
}

bool IsZero(const Limbs& x) {
  return std::all_of(x.begin(), x.end(), [](uint64_t limb) { return limb == 0; });
}

bool IsLessOrEqual(const Limbs& x, const Limbs& y) {
  return !std::lexicographical_compare(y.rbegin(), y.rend(), x.rbegin(), x.rend());
}

}  // namespace

// The series sum_i (-x)^i / i!, x = a / b, in fixed point, its even and odd terms apart. Each term
// is the one before times a, over b, over i, rounded down twice: an error of at most 2 units of the
// last place, which the later terms multiply by x^m i! / (i+m)! <= e^x. So N terms are off by at
// most 2 N^2 e^x units together. The sum ends at the first term that is 0 with i > 2 x: what it
// leaves out is at most twice the true value of that term, itself at most 2 N e^x units.
ExpBounds BoundScaledExp(const ScaledExp& value, size_t fraction_limbs) {
  DURE_CHECK(value.scale >= 1 && value.shift >= 0 && value.numerator < uint64_t{1} << 63 &&
             value.denominator >= 1 && value.denominator <= uint64_t{1} << 63);
  const uint64_t x_up = value.numerator / value.denominator + 1;
  const uint64_t exp_bits = x_up + x_up / 2 + 1;  // e^x < 2^exp_bits
  // Limbs below those that are asked for, to take up all errors: e^x, scale, shift and 64 bits for
  // the number of terms, which is far below 2^30.
  const size_t guard_limbs = (exp_bits + 64 + static_cast<uint64_t>(value.shift) + 64) / 64 + 1;
  const size_t fraction = fraction_limbs + guard_limbs;
  const size_t whole = exp_bits / 64 + 3;  // a term times a has room

  Limbs term(fraction + whole), even(fraction + whole), odd(fraction + whole);
  term[fraction] = 1;
  uint64_t terms = 0;
  for (; !IsZero(term) || terms <= 2 * x_up; ++terms) {
    Add(term, terms % 2 == 0 ? even : odd);
    Multiply(value.numerator, term);
    Divide(value.denominator, term);
    Divide(terms + 1, term);
  }
  // 2 N^2 + 4 N <= 2 (N + 1)^2.
  Limbs error(fraction + whole);
  error[0] = 2 * (terms + 1) * (terms + 1);
  for (uint64_t bits = exp_bits; bits > 0; bits -= std::min<uint64_t>(bits, 32)) {
    Multiply(uint64_t{1} << std::min<uint64_t>(bits, 32), error);
  }
  Limbs low = even;
  SubtractOrZero(odd, low);
  Limbs high = low;
  SubtractOrZero(error, low);
  Add(error, high);
  for (Limbs* bound : {&low, &high}) {
    Multiply(value.scale, *bound);
    for (int bits = value.shift; bits > 0; bits -= std::min(bits, 32)) {
      Multiply(uint64_t{1} << std::min(bits, 32), *bound);
    }
  }
  // Down and up to the limbs that were asked for.
  auto cut = [&](const Limbs& bound) {
    const auto first = bound.begin() + static_cast<std::ptrdiff_t>(guard_limbs);
    DURE_CHECK(std::all_of(first + static_cast<std::ptrdiff_t>(fraction_limbs) + 1, bound.end(),
                           [](uint64_t limb) { return limb == 0; }));
    return Limbs(first, first + static_cast<std::ptrdiff_t>(fraction_limbs) + 1);
  };
  ExpBounds bounds = {.low = cut(low), .high = cut(high)};
  Limbs one(fraction_limbs + 1);
  one[0] = 1;
  Add(one, bounds.high);
  return bounds;
}

bool IsBelowScaledExp(uint64_t whole, const ScaledExp& value, RandomWords& words) {
  Limbs digits;  // of U, the most significant first
  for (size_t fraction_limbs = 2;; fraction_limbs *= 2) {
    while (digits.size() < fraction_limbs) digits.push_back(words.Next());
    const ExpBounds bounds = BoundScaledExp(value, fraction_limbs);
    Limbs uniform(digits.rbegin(), digits.rend());
    uniform.push_back(whole);
    if (IsLessOrEqual(bounds.high, uniform)) return false;
    // The digits to come add less than one unit.
    Limbs one(fraction_limbs + 1);
    one[0] = 1;
    Add(one, uniform);
    if (IsLessOrEqual(uniform, bounds.low)) return true;
  }
}

}  // namespace dure::dp
