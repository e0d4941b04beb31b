// The inner loops of training whole mini-batches: one product of matrices in tiles held in
// registers, which forward passes, input gradients and weight gradients of linear layers and of
// convolutions all come down to, and what is done to rows of numbers between them. Compiled for
// the baseline, AVX2 and AVX-512. A number of a product is added up in the order of the sum,
// whatever the tiles: it depends on its own row and column and on the instruction set only.
// Thread-safe.
#ifndef DURE_LEARNER_TILE_KERNELS_H_
#define DURE_LEARNER_TILE_KERNELS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "learner/kernels.h"

namespace dure::kernels {

// What becomes of a product, or of a row of numbers: c = x, c += x, c += factor x.
enum class Then { kStore, kAdd, kStep };

// c = start + a b, where the columns of b and c lie in panels of kLanes. The sum runs over `outer`
// times `inner` places:
//
//   x[r][16 p + j] = sum over o, i of a[r a_row + o a_outer + i a_step] *
//                                     b[p b_panel + o b_outer + i b_step + j]
//
// and goes to c[r c_row + p c_panel + j]. Two levels, because the windows of a convolution are rows
// of a picture: no copy of them is made.
struct TileProduct {
  size_t rows = 0, panels = 0;
  size_t inner = 0, outer = 1;
  const float* a = nullptr;
  size_t a_row = 0, a_step = 0, a_outer = 0;
  const float* b = nullptr;
  size_t b_panel = 0, b_step = 0, b_outer = 0;
  float* c = nullptr;
  size_t c_row = 0, c_panel = 0;
  const float* start = nullptr;  // panels * kLanes numbers, added to each row; null: zeros
  bool relu = false;             // what is below 0 becomes 0, before the rest
  Then then = Then::kStore;
  float factor = 0;  // of kStep
};

// A step of plain SGD on n numbers at once: w += factor g - less - back (w - began), where g is a
// sum of directions.
struct SgdStep {
  size_t n = 0;
  float* w = nullptr;
  const float* g = nullptr;
  float factor = 0;
  const float* correction = nullptr;  // less = rate * correction; null: nothing
  float rate = 0;
  const float* began = nullptr;  // null: back is 0
  float back = 0;
};

// The functions of one instruction set. Numbers `n` need not be multiples of the lanes.
struct TileKernels {
  const char* name;  // "avx512", "avx2" or "baseline"
  void (*multiply)(const TileProduct& product);
  // to[j][i] = from[i][j], rows from_row and to_row apart.
  void (*transpose)(const float* from, size_t rows, size_t columns, size_t from_row, float* to,
                    size_t to_row);
  // to[j] = the sum over i of from[i][j], i < rows, j < n, rows `apart` apart.
  void (*sum_rows)(const float* from, size_t rows, size_t n, size_t apart, float* to);
  // gradient[i] = 0 where value[i] is 0 or less.
  void (*relu_backward)(const float* value, float* gradient, size_t n);
  // to[i] = from[i] < 0 ? 0 : from[i]; what is not a number stays so.
  void (*relu)(const float* from, float* to, size_t n);
  // to = x, to += x or to += factor x.
  void (*apply)(Then then, float factor, const float* x, float* to, size_t n);
  // x[i] -= other[i]; whether each of them is a number then, of at most `limit` in size.
  bool (*subtract)(const float* other, float limit, float* x, size_t n);
  void (*sgd_step)(const SgdStep& step);
  // As ByteToFloat of learner/data/dataset.h.
  void (*bytes_to_floats)(const uint8_t* from, float* to, size_t n);
};

// The best of this processor.
const TileKernels& BestTileKernels();
// All that this processor runs, the best first.
std::vector<const TileKernels*> TileKernelsHere();

}  // namespace dure::kernels

#endif  // DURE_LEARNER_TILE_KERNELS_H_
