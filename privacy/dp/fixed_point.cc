#include "privacy/dp/fixed_point.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "privacy/dp/record_gradient.h"

namespace dure::dp {
namespace {


constexpr double kMaxUnitsOfClip = 0x1p50;  // F s C: so |w| stays below 2^51, see Truncate
constexpr double kSumLimit = 0x1p62;

// The vector types of GCC and Clang, two coordinates at a time: every machine this runs on has such
// registers, and wider ones gain little, as the exact squares are scalar. The norm has kNormLanes
// partial sums in a fixed order, so that every bit of the result is the same on every machine
// (the build file turns fused multiply-add off for this file).
constexpr size_t kLanes = 2;
constexpr size_t kNormLanes = 16;
typedef float Floats __attribute__((vector_size(kLanes * sizeof(float))));
typedef double Doubles __attribute__((vector_size(kLanes * sizeof(double))));
typedef int64_t Ints __attribute__((vector_size(kLanes * sizeof(int64_t))));

size_t Padded(size_t dim) { return (dim + kNormLanes - 1) / kNormLanes * kNormLanes; }

struct Clip {
  double norm = 0;       // C
  double unit = 0;       // F s
  Uint128 limit_sq = 0;  // floor((F s C)^2)
};

// trunc(x) for |x| < 2^51. |x| + 2^52 is |x| rounded to an integer, in the low bits of the double;
// where that went up, one is taken off. A cast between vector types keeps the bits.
void Truncate(const Doubles& x, Ints* out) {
  const Doubles zero = {};
  const Doubles magic = zero + 0x1p52;
  const Ints negative = x < zero;  // -1 or 0
  const Doubles size = (Doubles)((Ints)x & INT64_MAX);
  const Doubles shifted = size + magic;
  const Ints went_up = (shifted - magic) > size;
  const Ints magnitude = (Ints)shifted - (Ints)magic + went_up;
  *out = (magnitude ^ negative) - negative;
}

// Squared L2 norm of dim coordinates, a multiple of kNormLanes.
double NormSq(const float* g, size_t dim) {
  constexpr size_t kParts = kNormLanes / kLanes;
  Doubles partial[kParts] = {};
  for (size_t j = 0; j < dim; j += kNormLanes) {
    for (size_t part = 0; part < kParts; ++part) {
      Floats lanes;
      std::memcpy(&lanes, g + j + part * kLanes, sizeof(lanes));
      Doubles x = __builtin_convertvector(lanes, Doubles);
      partial[part] += x * x;
    }
  }
  double norm_sq = 0;
  for (size_t lane = 0; lane < kNormLanes; ++lane) {
    norm_sq += partial[lane / kLanes][lane % kLanes];
  }
  return norm_sq;
}

// w = trunc(factor g) for dim coordinates, a multiple of kLanes; returns the exact sum of squares.
// Precondition: |factor g_j| < 2^51.
Uint128 Quantise(const float* g, size_t dim, double factor, int64_t* w) {
  Uint128 sum_sq = 0;
  for (size_t j = 0; j < dim; j += kLanes) {
    Floats lanes;
    std::memcpy(&lanes, g + j, sizeof(lanes));
    const Doubles x = __builtin_convertvector(lanes, Doubles) * factor;
    Ints integers;
    Truncate(x, &integers);
    std::memcpy(w + j, &integers, sizeof(integers));
    for (size_t i = 0; i < kLanes; ++i) {
      sum_sq += static_cast<Uint128>(static_cast<__int128>(w[j + i]) * w[j + i]);
    }
  }
  return sum_sq;
}

void AddInts(const int64_t* w, size_t dim, int64_t* sums) {
  for (size_t j = 0; j < dim; j += kLanes) {
    Ints sum, more;
    std::memcpy(&sum, sums + j, sizeof(sum));
    std::memcpy(&more, w + j, sizeof(more));
    sum += more;
    std::memcpy(sums + j, &sum, sizeof(sum));
  }
}

// Clips, converts and checks one gradient, then adds it to `sums`; or leaves `sums` as it is.
// `w` and `sums` have Padded(dim) elements.
void AddClipped(const float* g, size_t dim, const Clip& clip, int64_t* w, int64_t* sums) {
  const size_t whole = dim / kNormLanes * kNormLanes;
  float tail[kNormLanes] = {};
  if (whole < dim) std::memcpy(tail, g + whole, (dim - whole) * sizeof(float));

  // Squares of finite floats neither overflow nor vanish in binary64: a sum that is not finite has
  // a coordinate that is not.
  const double norm_sq = NormSq(g, whole) + NormSq(tail, kNormLanes);
  if (!std::isfinite(norm_sq)) return;
  const double norm = std::sqrt(norm_sq);
  const double factor = norm > clip.norm ? clip.norm / norm * clip.unit : clip.unit;

  Uint128 sum_sq = Quantise(g, whole, factor, w);
  if (whole < dim) sum_sq += Quantise(tail, kNormLanes, factor, w + whole);
  if (sum_sq <= clip.limit_sq) AddInts(w, Padded(dim), sums);
}

// floor(x^2) for 0 <= x <= 2^50.
Uint128 FloorSquare(double x) {
  int exponent;
  const auto mantissa = static_cast<uint64_t>(std::ldexp(std::frexp(x, &exponent), 53));
  const int shift = 2 * (53 - exponent);  // at least 4, as exponent <= 51
  return shift < 128 ? static_cast<Uint128>(mantissa) * mantissa >> shift : 0;
}

}  // namespace

ClippedSum::ClippedSum(const Params& params)
    : params_(params),
      unit_(std::ldexp(1.0, kFixedPointLog2 + params.scale_log2)),
      limit_sq_(FloorSquare(unit_ * params.clip_norm)),
      // One more than the bound of a coordinate, rounded up: so the product stays below 2^62.
      capacity_(static_cast<uint64_t>(kSumLimit / (std::ceil(unit_ * params.clip_norm) + 1))),
      scratch_(Padded(params.dim)),
      sums_(Padded(params.dim)) {}

absl::StatusOr<ClippedSum> ClippedSum::Create(const Params& params) {
  if (params.dim < 1 || params.dim > kMaxDim) {
    return absl::InvalidArgumentError(
        absl::StrCat("dim = ", params.dim, " is outside 1 to ", kMaxDim));
  }
  if (!(std::isfinite(params.clip_norm) && params.clip_norm > 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("clip_norm = ", params.clip_norm, " is not a positive finite number"));
  }
  if (params.scale_log2 < 0 || params.scale_log2 > kMaxScaleLog2) {
    return absl::InvalidArgumentError(
        absl::StrCat("scale_log2 = ", params.scale_log2, " is outside 0 to ", kMaxScaleLog2));
  }
  if (std::ldexp(params.clip_norm, kFixedPointLog2 + params.scale_log2) > kMaxUnitsOfClip) {
    return absl::InvalidArgumentError(absl::StrCat("clip_norm = ", params.clip_norm, " at scale 2^",
                                                   params.scale_log2,
                                                   " is above 2^50 units of fixed point"));
  }
  return ClippedSum(params);
}

void ClippedSum::Add(std::span<const float> gradient) {
  DURE_CHECK(gradient.size() == params_.dim && added_ < capacity_);
  ++added_;
  const Clip clip = {.norm = params_.clip_norm, .unit = unit_, .limit_sq = limit_sq_};
  AddClipped(gradient.data(), params_.dim, clip, scratch_.data(), sums_.data());
}

void ClippedSum::MergeWith(const ClippedSum& other) {
  DURE_CHECK(params_ == other.params_ && other.added_ <= capacity_ - added_);
  added_ += other.added_;
  AddInts(other.sums_.data(), sums_.size(), sums_.data());
}

void ClippedSum::Reset() {
  added_ = 0;
  std::fill(scratch_.begin(), scratch_.end(), 0);
  std::fill(sums_.begin(), sums_.end(), 0);
}

}  // namespace dure::dp
