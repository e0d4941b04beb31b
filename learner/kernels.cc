#include "learner/kernels.h"

#include <cstring>

#include "learner/vectors.h"

namespace dure::kernels {
namespace {

// kRows x kVecs vectors of c, all held in registers.
template <int kRows, int kVecs>
DURE_INLINE void Tile(const MatMul& p, size_t row, size_t col) {
  Vec sum[kRows][kVecs];
  for (int v = 0; v < kVecs; ++v) {
    Vec start = {};
    if (p.start != nullptr) Load(&start, p.start + col + v * kLanes);
    for (int r = 0; r < kRows; ++r) sum[r][v] = start;
  }
  const float* a = p.a + row * p.a_row;
  const float* b = p.b + col;
  for (size_t k = 0; k < p.k; ++k, a += p.a_col, b += p.ldb) {
    Vec right[kVecs];
    for (int v = 0; v < kVecs; ++v) Load(&right[v], b + v * kLanes);
    for (int r = 0; r < kRows; ++r) {
      const float left = a[r * p.a_row];
      for (int v = 0; v < kVecs; ++v) sum[r][v] += left * right[v];
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVecs; ++v) Store(p.c + (row + r) * p.ldc + col + v * kLanes, sum[r][v]);
  }
}

template <int kRows, int kVecs>
DURE_INLINE void Columns(const MatMul& p, size_t col) {
  size_t row = 0;
  for (; row + kRows <= p.m; row += kRows) Tile<kRows, kVecs>(p, row, col);
  for (; row < p.m; ++row) Tile<1, kVecs>(p, row, col);
}

// What is left when n is not a multiple of the lanes.
DURE_INLINE void LastColumns(const MatMul& p, size_t col) {
  for (size_t row = 0; row < p.m; ++row) {
    for (size_t j = col; j < p.n; ++j) {
      float sum = p.start != nullptr ? p.start[j] : 0;
      for (size_t k = 0; k < p.k; ++k) sum += p.a[row * p.a_row + k * p.a_col] * p.b[k * p.ldb + j];
      p.c[row * p.ldc + j] = sum;
    }
  }
}

template <int kRowsOfTwo, int kRowsOfOne>
DURE_INLINE void MultiplyBody(const MatMul& p) {
  size_t col = 0;
  if (p.m == 1) {  // a row times a matrix: more columns at once, to hide latency
    for (; col + 4 * kLanes <= p.n; col += 4 * kLanes) Tile<1, 4>(p, 0, col);
  }
  for (; col + 2 * kLanes <= p.n; col += 2 * kLanes) Columns<kRowsOfTwo, 2>(p, col);
  for (; col + kLanes <= p.n; col += kLanes) Columns<kRowsOfOne, 1>(p, col);
  if (col < p.n) LastColumns(p, col);
}

// tanh |x| = e / (e + 2) with e = exp(2 |x|) - 1, which loses nothing near 0: 2 |x| = n ln 2 + r,
// e = 2^n (exp(r) - 1) + (2^n - 1), exp(r) - 1 by its Taylor polynomial on |r| <= ln 2 / 2.
DURE_INLINE void TanhVec(Vec* x) {
  const IntVec sign = reinterpret_cast<const IntVec&>(*x) & INT32_MIN;
  const IntVec magnitude_bits = reinterpret_cast<const IntVec&>(*x) & INT32_MAX;
  Vec y = reinterpret_cast<const Vec&>(magnitude_bits);
  const Vec limit = Vec{} + 9.5f;  // tanh is 1 in float32 from 9.02
  y = y < limit ? y : (y == y ? limit : y);
  y = y + y;
  const IntVec n = __builtin_convertvector(y * 1.44269504f + 0.5f, IntVec);
  const Vec whole = __builtin_convertvector(n, Vec);
  const Vec r = (y - whole * 0.693359375f) + whole * 2.12194440e-4f;  // ln 2 in two parts
  Vec p = r * (1.0f / 5040) + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r * r + r;
  const IntVec scale_bits = (n + 127) << 23;
  const Vec scale = reinterpret_cast<const Vec&>(scale_bits);
  const Vec e = scale * p + (scale - 1.0f);
  const Vec t = e / (e + 2.0f);
  const IntVec out = reinterpret_cast<const IntVec&>(t) | sign;
  *x = reinterpret_cast<const Vec&>(out);
}

DURE_INLINE void TanhBody(const float* in, float* out, size_t n) {
  size_t i = 0;
  Vec x;
  for (; i + kLanes <= n; i += kLanes) {
    Load(&x, in + i);
    TanhVec(&x);
    Store(out + i, x);
  }
  if (i < n) {
    x = Vec{};
    std::memcpy(&x, in + i, (n - i) * sizeof(float));
    TanhVec(&x);
    std::memcpy(out + i, &x, (n - i) * sizeof(float));
  }
}

DURE_INLINE void TanhBackwardBody(const float* value, float* gradient, size_t n) {
  for (size_t i = 0; i < n; ++i) gradient[i] *= 1.0f - value[i] * value[i];
}

DURE_INLINE void MaxPoolBody(const Pool& p, const float* in, float* out, int32_t* chosen) {
  for (size_t y = 0; y < p.out_height; ++y) {
    for (size_t x = 0; x < p.out_width; ++x) {
      const float* window = in + (y * p.stride * p.in_width + x * p.stride) * p.channels;
      size_t c = 0;
      for (; c + kLanes <= p.channels; c += kLanes) {
        Vec best, value;
        IntVec which = {};
        Load(&best, window + c);
        for (size_t place = 1; place < p.kernel * p.kernel; ++place) {
          const size_t at = place / p.kernel * p.in_width + place % p.kernel;
          Load(&value, window + at * p.channels + c);
          const IntVec larger = value > best;
          best = larger ? value : best;
          which = larger ? IntVec{} + static_cast<int32_t>(place) : which;
        }
        Store(out + c, best);
        Store(chosen + c, which);
      }
      for (; c < p.channels; ++c) {
        out[c] = window[c];
        chosen[c] = 0;
        for (size_t place = 1; place < p.kernel * p.kernel; ++place) {
          const size_t at = place / p.kernel * p.in_width + place % p.kernel;
          const float value = window[at * p.channels + c];
          if (!(value > out[c])) continue;
          out[c] = value;
          chosen[c] = static_cast<int32_t>(place);
        }
      }
      out += p.channels;
      chosen += p.channels;
    }
  }
}

DURE_INLINE void MaxPoolBackwardBody(const Pool& p, const float* out_gradient,
                                     const int32_t* chosen, float* in_gradient) {
  for (size_t y = 0; y < p.out_height; ++y) {
    for (size_t x = 0; x < p.out_width; ++x) {
      float* window = in_gradient + (y * p.stride * p.in_width + x * p.stride) * p.channels;
      for (size_t place = 0; place < p.kernel * p.kernel; ++place) {
        float* to = window + (place / p.kernel * p.in_width + place % p.kernel) * p.channels;
        const int32_t here = static_cast<int32_t>(place);
        size_t c = 0;
        for (; c + kLanes <= p.channels; c += kLanes) {
          Vec sum, gradient;
          IntVec which;
          Load(&sum, to + c);
          Load(&gradient, out_gradient + c);
          Load(&which, chosen + c);
          sum += which == here ? gradient : Vec{};
          Store(to + c, sum);
        }
        for (; c < p.channels; ++c) to[c] += chosen[c] == here ? out_gradient[c] : 0;
      }
      out_gradient += p.channels;
      chosen += p.channels;
    }
  }
}

struct Table {
  const char* name;
  void (*multiply)(const MatMul&);
  void (*tanh)(const float*, float*, size_t);
  void (*tanh_backward)(const float*, float*, size_t);
  void (*max_pool)(const Pool&, const float*, float*, int32_t*);
  void (*max_pool_backward)(const Pool&, const float*, const int32_t*, float*);
};

// The rows of a tile are chosen so that its sums fill, but do not overflow, the registers.
#define DURE_KERNELS(NAME, ROWS_OF_TWO, ROWS_OF_ONE, TARGET)                                    \
  struct NAME {                                                                                 \
    TARGET static void Multiply(const MatMul& p) { MultiplyBody<ROWS_OF_TWO, ROWS_OF_ONE>(p); } \
    TARGET static void Tanh(const float* in, float* out, size_t n) { TanhBody(in, out, n); }    \
    TARGET static void TanhBackward(const float* value, float* gradient, size_t n) {            \
      TanhBackwardBody(value, gradient, n);                                                     \
    }                                                                                           \
    TARGET static void MaxPool(const Pool& p, const float* in, float* out, int32_t* chosen) {   \
      MaxPoolBody(p, in, out, chosen);                                                          \
    }                                                                                           \
    TARGET static void MaxPoolBackward(const Pool& p, const float* out_gradient,                \
                                       const int32_t* chosen, float* in_gradient) {             \
      MaxPoolBackwardBody(p, out_gradient, chosen, in_gradient);                                \
    }                                                                                           \
    static constexpr Table Make(const char* name) {                                             \
      return {name, Multiply, Tanh, TanhBackward, MaxPool, MaxPoolBackward};                    \
    }                                                                                           \
  }

DURE_KERNELS(Baseline, 1, 2, );
#if defined(__x86_64__)
DURE_KERNELS(Avx2, 3, 6, [[gnu::target("avx2,fma")]]);
DURE_KERNELS(Avx512, 8, 14, [[gnu::target("avx512f,avx2,fma")]]);
#endif
#undef DURE_KERNELS

Table Choose() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return Avx512::Make("avx512");
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Avx2::Make("avx2");
#endif
  return Baseline::Make("baseline");
}

const Table& Chosen() {
  static const Table table = Choose();
  return table;
}

}  // namespace

void Multiply(const MatMul& product) { Chosen().multiply(product); }
void Tanh(const float* in, float* out, size_t n) { Chosen().tanh(in, out, n); }
void TanhBackward(const float* value, float* gradient, size_t n) {
  Chosen().tanh_backward(value, gradient, n);
}
void MaxPool(const Pool& pool, const float* in, float* out, int32_t* chosen) {
  Chosen().max_pool(pool, in, out, chosen);
}
void MaxPoolBackward(const Pool& pool, const float* out_gradient, const int32_t* chosen,
                     float* in_gradient) {
  Chosen().max_pool_backward(pool, out_gradient, chosen, in_gradient);
}
const char* InstructionSet() { return Chosen().name; }

}  // namespace dure::kernels
