// Powers of probability vectors under circular convolution, by a discrete Fourier transform
// (kissfft, double precision), with a bound on the rounding error. Thread-safe: values.
#ifndef DURE_PRIVACY_DP_CONVOLUTION_H_
#define DURE_PRIVACY_DP_CONVOLUTION_H_

#include <complex>
#include <cstdint>
#include <span>
#include <vector>

namespace dure::dp {

// The distribution of a sum modulo `size` of independent integers.
class CircularSum {
 public:
  // Largest size, in elements.
  static constexpr int64_t kMaxSize = int64_t{1} << 22;

  // Precondition: a power of two, 16 to kMaxSize.
  explicit CircularSum(int64_t size);

  // Adds `count` independent integers with probabilities `mass`, which sum to 1 or less.
  // Precondition: mass.size() == size, count >= 1.
  void Add(std::span<const double> mass, uint64_t count);

  struct Result {
    std::vector<double> mass;
    // On the Euclidean norm of the difference to the exact vector.
    double error = 0;
  };
  // Precondition: at least one Add.
  Result Finish() &&;

 private:
  using Complex = std::complex<double>;

  std::vector<Complex> Transform(std::span<const double> values) const;

  int64_t size_;
  std::vector<Complex> spectrum_;  // 0 to size/2
  std::vector<double> error_;      // a bound on that of each
};

}  // namespace dure::dp

#endif  // DURE_PRIVACY_DP_CONVOLUTION_H_
