#include "learner/tile_kernels.h"

#include <algorithm>
#include <array>
#include <utility>

#include "learner/vectors.h"

namespace dure::kernels {
namespace {

// What a register holds: a wider vector would be kept in memory.
using Vec8 [[gnu::vector_size(32), gnu::may_alias]] = float;
using Vec4 [[gnu::vector_size(16), gnu::may_alias]] = float;

template <typename V>
inline constexpr size_t kWidth = sizeof(V) / sizeof(float);

template <typename V>
DURE_INLINE void Read(V* v, const float* from) {
  std::memcpy(v, from, sizeof(V));
}
template <typename V>
DURE_INLINE void Write(float* to, const V& v) {
  std::memcpy(to, &v, sizeof(V));
}

// Most rows whose places are reckoned from one pointer; see Tile.
constexpr int kHalf = 7;

// What becomes of one vector of sums.
template <typename V>
DURE_INLINE void Finish(const TileProduct& p, V* sum, float* to) {
  if (p.relu) *sum = *sum < 0.0f ? V{} : *sum;
  if (p.then != Then::kStore) {
    V old;
    Read(&old, to);
    *sum = p.then == Then::kAdd ? old + *sum : old + p.factor * *sum;
  }
  Write(to, *sum);
}

// kRows rows of kPanels panels of sums, held in registers. A row of `a` is found by one of a few
// multiples of the distance between rows: a pointer for each of them would not fit the registers.
template <typename V, int kRows, int kPanels>
DURE_INLINE void Tile(const TileProduct& p, size_t first_row, size_t panel) {
  constexpr int kPerPanel = static_cast<int>(kLanes / kWidth<V>);
  constexpr int kVecs = kPanels * kPerPanel;
  constexpr auto kPanel = [](int v) { return static_cast<size_t>(v / kPerPanel); };
  constexpr auto kLane = [](int v) { return static_cast<size_t>(v % kPerPanel) * kWidth<V>; };
  V sum[kRows][kVecs];
#pragma GCC unroll 4
  for (int v = 0; v < kVecs; ++v) {
    V start = {};
    if (p.start != nullptr) Read(&start, p.start + (panel + kPanel(v)) * kLanes + kLane(v));
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) sum[r][v] = start;
  }
  const size_t row = p.a_row * sizeof(float);
  const size_t at[kHalf] = {0, row, 2 * row, 3 * row, 4 * row, 5 * row, 6 * row};
  const float* a_begin = p.a + first_row * p.a_row;
  const float* b_begin = p.b + panel * p.b_panel;
  for (size_t o = 0; o < p.outer; ++o) {
    const char* a = reinterpret_cast<const char*>(a_begin + o * p.a_outer);
    const float* b = b_begin + o * p.b_outer;
    for (size_t i = p.inner; i > 0; --i) {
      V right[kVecs];
#pragma GCC unroll 4
      for (int v = 0; v < kVecs; ++v) Read(&right[v], b + kPanel(v) * p.b_panel + kLane(v));
      const char* a_half = a + kHalf * row;
      // Hides from the compiler that the two are related, or it makes a pointer for each row.
      if constexpr (kRows > kHalf) asm("" : "+r"(a_half));
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const char* place = r < kHalf ? a + at[r % kHalf] : a_half + at[r % kHalf];
        const float left = *reinterpret_cast<const float*>(place);
#pragma GCC unroll 4
        for (int v = 0; v < kVecs; ++v) sum[r][v] += left * right[v];
      }
      a += p.a_step * sizeof(float);
      b += p.b_step;
    }
  }
  float* c = p.c + first_row * p.c_row + panel * p.c_panel;
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; ++v) {
      Finish(p, &sum[r][v],
             c + static_cast<size_t>(r) * p.c_row + kPanel(v) * p.c_panel + kLane(v));
    }
  }
}

using TileFunction = void (*)(const TileProduct&, size_t row, size_t panel);

template <typename Set, int kPanels, size_t... kIndex>
constexpr auto TilesOf(std::index_sequence<kIndex...>) {
  return std::array<TileFunction, sizeof...(kIndex)>{
      &Set::template OneTile<static_cast<int>(kIndex) + 1, kPanels>...};
}

// Rows are dealt evenly, so that no tile is much smaller than the others.
template <typename Set, int kPanels>
void Columns(const TileProduct& p, size_t panel) {
  static constexpr auto kTiles = TilesOf<Set, kPanels>(std::make_index_sequence<Set::kRows>());
  const size_t tiles = (p.rows + Set::kRows - 1) / Set::kRows;
  for (size_t tile = 0, row = 0; tile < tiles; ++tile) {
    const size_t end = p.rows * (tile + 1) / tiles;
    kTiles[end - row - 1](p, row, panel);
    row = end;
  }
}

template <typename Set>
void Multiply(const TileProduct& p) {
  size_t panel = 0;
  if constexpr (Set::kPanels == 2) {
    for (; panel + 2 <= p.panels; panel += 2) Columns<Set, 2>(p, panel);
  }
  for (; panel < p.panels; ++panel) Columns<Set, 1>(p, panel);
}

DURE_INLINE void TransposeNumbers(const float* from, size_t rows, size_t columns, size_t from_row,
                                  float* to, size_t to_row) {
  for (size_t j = 0; j < columns; ++j) {
    for (size_t i = 0; i < rows; ++i) to[j * to_row + i] = from[i * from_row + j];
  }
}

// Swaps the right half of each group of 2 kHalfGroup columns of `a` with the left half of `b`.
template <size_t kHalfGroup, size_t... kColumn>
DURE_INLINE void SwapHalves(Vec* a, Vec* b, std::index_sequence<kColumn...>) {
  const Vec upper = __builtin_shufflevector(
      *a, *b, ((kColumn & kHalfGroup) == 0 ? kColumn : kLanes + kColumn - kHalfGroup)...);
  *b = __builtin_shufflevector(
      *a, *b, ((kColumn & kHalfGroup) == 0 ? kColumn + kHalfGroup : kLanes + kColumn)...);
  *a = upper;
}

template <size_t kHalfGroup>
DURE_INLINE void SwapAllHalves(Vec* rows) {
#pragma GCC unroll 16
  for (size_t i = 0; i < kLanes; ++i) {
    if ((i & kHalfGroup) != 0) continue;
    SwapHalves<kHalfGroup>(&rows[i], &rows[i + kHalfGroup], std::make_index_sequence<kLanes>());
  }
}

// 16 x 16 numbers in registers; only worth it where there are 32 of them.
DURE_INLINE void TransposeBlock(const float* from, size_t from_row, float* to, size_t to_row) {
  Vec rows[kLanes];
#pragma GCC unroll 16
  for (size_t i = 0; i < kLanes; ++i) Read(&rows[i], from + i * from_row);
  SwapAllHalves<8>(rows);
  SwapAllHalves<4>(rows);
  SwapAllHalves<2>(rows);
  SwapAllHalves<1>(rows);
#pragma GCC unroll 16
  for (size_t i = 0; i < kLanes; ++i) Write(to + i * to_row, rows[i]);
}

template <typename V>
DURE_INLINE void TransposeBody(const float* from, size_t rows, size_t columns, size_t from_row,
                               float* to, size_t to_row) {
  for (size_t i = 0; i < rows; i += kLanes) {
    const size_t now = std::min(kLanes, rows - i);
    size_t j = 0;
    if constexpr (kWidth<V> == kLanes) {
      for (; now == kLanes && j + kLanes <= columns; j += kLanes) {
        TransposeBlock(from + i * from_row + j, from_row, to + j * to_row + i, to_row);
      }
    }
    TransposeNumbers(from + i * from_row + j, now, columns - j, from_row, to + j * to_row + i,
                     to_row);
  }
}

template <typename V>
DURE_INLINE bool SubtractBody(const float* other, float limit, float* x, size_t n) {
  size_t i = 0;
  bool within = true;
  V beyond = {};
  // What is not a number fails every comparison.
  for (; i + kWidth<V> <= n; i += kWidth<V>) {
    V v, less;
    Read(&v, x + i);
    Read(&less, other + i);
    v -= less;
    Write(x + i, v);
    const V size = v < 0.0f ? -v : v;
    beyond = size <= limit ? beyond : V{} + 1.0f;
  }
  for (size_t j = 0; j < kWidth<V>; ++j) within &= beyond[j] == 0;
  for (; i < n; ++i) {
    x[i] -= other[i];
    within &= (x[i] < 0 ? -x[i] : x[i]) <= limit;
  }
  return within;
}

template <typename V>
DURE_INLINE void SumRowsBody(const float* from, size_t rows, size_t n, size_t apart, float* to) {
  size_t j = 0;
  for (; j + kWidth<V> <= n; j += kWidth<V>) {
    V sum = {}, next;
    for (size_t i = 0; i < rows; ++i) {
      Read(&next, from + i * apart + j);
      sum += next;
    }
    Write(to + j, sum);
  }
  for (; j < n; ++j) {
    to[j] = 0;
    for (size_t i = 0; i < rows; ++i) to[j] += from[i * apart + j];
  }
}

template <typename V>
DURE_INLINE void ReluBackwardBody(const float* value, float* gradient, size_t n) {
  size_t i = 0;
  for (; i + kWidth<V> <= n; i += kWidth<V>) {
    V v, g;
    Read(&v, value + i);
    Read(&g, gradient + i);
    g = v <= 0.0f ? V{} : g;
    Write(gradient + i, g);
  }
  for (; i < n; ++i) gradient[i] = value[i] <= 0 ? 0 : gradient[i];
}

template <typename V>
DURE_INLINE void ReluBody(const float* from, float* to, size_t n) {
  size_t i = 0;
  for (; i + kWidth<V> <= n; i += kWidth<V>) {
    V v;
    Read(&v, from + i);
    v = v < 0.0f ? V{} : v;
    Write(to + i, v);
  }
  for (; i < n; ++i) to[i] = from[i] < 0 ? 0 : from[i];
}

template <typename V>
DURE_INLINE void ApplyBody(Then then, float factor, const float* x, float* to, size_t n) {
  size_t i = 0;
  for (; i + kWidth<V> <= n; i += kWidth<V>) {
    V v, old;
    Read(&v, x + i);
    Read(&old, to + i);
    if (then == Then::kAdd) v = old + v;
    if (then == Then::kStep) v = old + factor * v;
    Write(to + i, v);
  }
  for (; i < n; ++i) {
    to[i] = then == Then::kStore ? x[i] : to[i] + (then == Then::kAdd ? x[i] : factor * x[i]);
  }
}

template <typename V>
DURE_INLINE void SgdStepBody(const SgdStep& s) {
  size_t i = 0;
  for (; i + kWidth<V> <= s.n; i += kWidth<V>) {
    V w, g, other;
    Read(&w, s.w + i);
    Read(&g, s.g + i);
    V move = s.factor * g;
    if (s.correction != nullptr) {
      Read(&other, s.correction + i);
      move -= s.rate * other;
    }
    if (s.began != nullptr) {
      Read(&other, s.began + i);
      move -= s.back * (w - other);
    }
    w += move;
    Write(s.w + i, w);
  }
  for (; i < s.n; ++i) {
    float move = s.factor * s.g[i];
    if (s.correction != nullptr) move -= s.rate * s.correction[i];
    if (s.began != nullptr) move -= s.back * (s.w[i] - s.began[i]);
    s.w[i] += move;
  }
}

template <typename V>
DURE_INLINE void BytesToFloatsBody(const uint8_t* from, float* to, size_t n) {
  size_t i = 0;
  for (; i + kWidth<V> <= n; i += kWidth<V>) {
    V v;
    for (size_t j = 0; j < kWidth<V>; ++j) v[j] = from[i + j];
    v /= 255.0f;
    Write(to + i, v);
  }
  for (; i < n; ++i) to[i] = static_cast<float>(from[i]) / 255.0f;
}

// The rows of a tile are chosen so that its sums fill, but do not overflow, the registers.
#define DURE_TILE_KERNELS(NAME, WORD, VECTOR, ROWS, PANELS, TARGET)                               \
  struct NAME {                                                                                   \
    static constexpr int kPanels = PANELS;                                                        \
    static constexpr size_t kRows = ROWS;                                                         \
    template <int kTileRows, int kTilePanels>                                                     \
    TARGET static void OneTile(const TileProduct& p, size_t row, size_t panel) {                  \
      Tile<VECTOR, kTileRows, kTilePanels>(p, row, panel);                                        \
    }                                                                                             \
    TARGET static void Transpose(const float* from, size_t rows, size_t columns, size_t from_row, \
                                 float* to, size_t to_row) {                                      \
      TransposeBody<VECTOR>(from, rows, columns, from_row, to, to_row);                           \
    }                                                                                             \
    TARGET static void SumRows(const float* from, size_t rows, size_t n, size_t apart,            \
                               float* to) {                                                       \
      SumRowsBody<VECTOR>(from, rows, n, apart, to);                                              \
    }                                                                                             \
    TARGET static void ReluBackward(const float* value, float* gradient, size_t n) {              \
      ReluBackwardBody<VECTOR>(value, gradient, n);                                               \
    }                                                                                             \
    TARGET static void Relu(const float* from, float* to, size_t n) {                             \
      ReluBody<VECTOR>(from, to, n);                                                              \
    }                                                                                             \
    TARGET static void Apply(Then then, float factor, const float* x, float* to, size_t n) {      \
      ApplyBody<VECTOR>(then, factor, x, to, n);                                                  \
    }                                                                                             \
    TARGET static bool Subtract(const float* other, float limit, float* x, size_t n) {            \
      return SubtractBody<VECTOR>(other, limit, x, n);                                            \
    }                                                                                             \
    TARGET static void Step(const SgdStep& step) { SgdStepBody<VECTOR>(step); }                   \
    TARGET static void BytesToFloats(const uint8_t* from, float* to, size_t n) {                  \
      BytesToFloatsBody<VECTOR>(from, to, n);                                                     \
    }                                                                                             \
    static constexpr TileKernels Make() {                                                         \
      return {WORD, Multiply<NAME>, Transpose, SumRows, ReluBackward,                             \
              Relu, Apply,          Subtract,  Step,    BytesToFloats};                           \
    }                                                                                             \
  };                                                                                              \
  constexpr TileKernels k##NAME = NAME::Make()

DURE_TILE_KERNELS(Baseline, "baseline", Vec4, 2, 1, );
#if defined(__x86_64__)
DURE_TILE_KERNELS(Avx2, "avx2", Vec8, 6, 1, [[gnu::target("avx2,fma")]]);
DURE_TILE_KERNELS(Avx512, "avx512", Vec, 14, 2, [[gnu::target("avx512f,avx2,fma")]]);
#endif
#undef DURE_TILE_KERNELS

}  // namespace

std::vector<const TileKernels*> TileKernelsHere() {
  std::vector<const TileKernels*> here;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) here.push_back(&kAvx512);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) here.push_back(&kAvx2);
#endif
  here.push_back(&kBaseline);
  return here;
}

const TileKernels& BestTileKernels() {
  static const TileKernels& best = *TileKernelsHere().front();
  return best;
}

}  // namespace dure::kernels
