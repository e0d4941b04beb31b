#include "privacy/dp/convolution.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "kissfft/kissfft.hh"

namespace dure::dp {
namespace {

using Complex = std::complex<double>;

// Relative error of one pass of butterflies, of each coefficient to the sum of all magnitudes and
// in the Euclidean norm alike (Higham 2002, Theorem 24.2: mu + gamma_4 (sqrt 2 + mu)). The twiddle
// factors of kissfft are off by mu <= 1.6e-15: the step of the angle is rounded, times up to
// `size`, and once more.
constexpr double kPassError = 3e-15;
// One complex product is off by less than sqrt(5) 2^-53 (Brent, Percival, Zimmermann 2007).
constexpr double kProductError = 2.5e-16;
constexpr double kNegligible = 1e-290;

Complex Times(Complex a, Complex b) {
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

double Passes(int64_t size) { return std::bit_width(static_cast<uint64_t>(size)) + 1; }

// base^count for |base| about 1 or less; 0 where that is below sqrt(kNegligible).
Complex Power(Complex base, uint64_t count) {
  Complex result = 1;
  for (;;) {
    if ((count & 1) != 0) result = Times(result, base);
    count >>= 1;
    if (count == 0) return result;
    base = Times(base, base);
    if (std::norm(base) < kNegligible) return 0;
  }
}

}  // namespace

CircularSum::CircularSum(int64_t size) : size_(size) {
  DURE_CHECK(size >= 16 && size <= kMaxSize && std::has_single_bit(static_cast<uint64_t>(size)));
}

std::vector<Complex> CircularSum::Transform(std::span<const double> values) const {
  std::vector<Complex> result(size_ / 2 + 1);
  const kissfft<double> plan(size_ / 2, /*inverse=*/false);
  plan.transform_real(values.data(), result.data());
  // The first element holds two real ones.
  result.back() = result.front().imag();
  result.front() = result.front().real();
  return result;
}

void CircularSum::Add(std::span<const double> mass, uint64_t count) {
  DURE_CHECK(static_cast<int64_t>(mass.size()) == size_ && count >= 1);
  if (spectrum_.empty()) {
    spectrum_.assign(size_ / 2 + 1, 1);
    error_.assign(size_ / 2 + 1, 0);
  }
  const std::vector<Complex> transform = Transform(mass);
  const auto uses = static_cast<double>(count);
  const double one_error = kPassError * Passes(size_);
  for (size_t k = 0; k < transform.size(); ++k) {
    const Complex power = Power(transform[k], count);
    const double size = std::abs(power);
    // Both the exact and the computed value are at most this large.
    const double magnitude = std::min(1.0, std::abs(transform[k]) + one_error);
    const double power_error =
        uses * (one_error * std::pow(magnitude, uses - 1) + kProductError * size) +
        std::sqrt(kNegligible);
    error_[k] = error_[k] * (size + power_error) +
                std::abs(spectrum_[k]) * (power_error + kProductError * size);
    spectrum_[k] = Times(spectrum_[k], power);
  }
}

CircularSum::Result CircularSum::Finish() && {
  DURE_CHECK(!spectrum_.empty());
  // The transform back through the discrete Hartley transform, its own inverse:
  // H(v)_n = Re F(v)_n - Im F(v)_n.
  std::vector<double> hartley(size_);
  const int64_t half = size_ / 2;
  double error = 0;  // Euclidean norms over the whole spectrum
  double norm = 0;
  for (int64_t k = 0; k <= half; ++k) {
    error += 2 * error_[k] * error_[k];
    norm += 2 * std::norm(spectrum_[k]);
    hartley[k] = spectrum_[k].real() - spectrum_[k].imag();
    if (k > 0 && k < half) hartley[size_ - k] = spectrum_[k].real() + spectrum_[k].imag();
  }
  error = std::sqrt(error);
  norm = std::sqrt(norm);
  spectrum_ = Transform(hartley);
  Result result = {.mass = std::move(hartley)};
  const auto scale = 1 / static_cast<double>(size_);
  for (int64_t k = 0; k <= half; ++k) {
    result.mass[k] = (spectrum_[k].real() - spectrum_[k].imag()) * scale;
    if (k > 0 && k < half) {
      result.mass[size_ - k] = (spectrum_[k].real() + spectrum_[k].imag()) * scale;
    }
  }
  // sqrt(2): of a complex error, real and imaginary part may add up.
  result.error = 1.1 * std::sqrt(2.0 * scale) * (error + kPassError * Passes(size_) * norm);
  return result;
}

}  // namespace dure::dp
