// The inner loops of training one record at a time: a small matrix product, tanh and max-pooling,
// in vectors of 16 floats, compiled for the baseline, AVX2 and AVX-512 and chosen by what the
// processor has. Every result is a function of the arguments and the processor only: nothing here
// depends on threads, on alignment or on what was computed before. Thread-safe.
#ifndef DURE_LEARNER_KERNELS_H_
#define DURE_LEARNER_KERNELS_H_

#include <cstddef>
#include <cstdint>

namespace dure::kernels {

// Rows of matrices that are read or written in whole vectors are padded to a multiple of this.
inline constexpr size_t kLanes = 16;
constexpr size_t Padded(size_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

// c = start + a b, with a: m x k read at a[row * a_row + col * a_col], b: k x n and c: m x n with
// rows ldb and ldc apart. `start` is a row of n floats added to each row, or null for zeros.
struct MatMul {
  size_t m = 0, n = 0, k = 0;
  const float* a = nullptr;
  size_t a_row = 0, a_col = 0;
  const float* b = nullptr;
  size_t ldb = 0;
  float* c = nullptr;
  size_t ldc = 0;
  const float* start = nullptr;
};
void Multiply(const MatMul& product);

// out[i] = tanh(in[i]), to about 2 units in the last place; in == out is allowed.
void Tanh(const float* in, float* out, size_t n);

// gradient[i] *= 1 - value[i]^2, with value = tanh(...).
void TanhBackward(const float* value, float* gradient, size_t n);

// Max-pooling of [height][width][channels] without padding.
struct Pool {
  size_t channels = 0, in_width = 0, out_height = 0, out_width = 0, kernel = 0, stride = 0;
};
// `chosen` gets, for each output, the place in its window (row * kernel + column) of the first
// maximum.
void MaxPool(const Pool& pool, const float* in, float* out, int32_t* chosen);
// Adds each output's gradient to the input that was chosen; `in_gradient` must start as zeros.
void MaxPoolBackward(const Pool& pool, const float* out_gradient, const int32_t* chosen,
                     float* in_gradient);

// "avx512", "avx2" or "baseline": what is used on this processor.
const char* InstructionSet();

}  // namespace dure::kernels

#endif  // DURE_LEARNER_KERNELS_H_
