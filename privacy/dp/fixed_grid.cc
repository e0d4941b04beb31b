#include "privacy/dp/fixed_grid.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <limits>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "privacy/dp/blocks.h"
#include "privacy/dp/encoding_integers.h"
#include "privacy/dp/random_words.h"

namespace dure::dp {
namespace {

constexpr int kMaxGridLog2 = 30;
constexpr double kMaxSum = 0x1p31;  // of all members' coordinates; not reached
// Added to a number below 2^51 and taken off again, it leaves the nearest integer.
constexpr double kRoundToInteger = 0x1.8p52;
constexpr uint64_t kNone = std::numeric_limits<uint64_t>::max();

// floor(x + U), U uniform on the multiples of 2^-24 in [0, 1): with the range's integer below 2^28
// the sum never reaches the next one.
void RoundAtRandom(std::span<double> x, AesCtrRandom& random) {
  RandomWords words(random, x.size() / 2 + 1);
  uint64_t word = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    word = i % 2 == 0 ? words.Next() : word >> 32;
    x[i] = std::floor(x[i] + static_cast<double>(word & 0xFFFFFF) * 0x1p-24);
  }
}

// What was seen of a block of an update while it was put on the grid.
struct Seen {
  uint64_t outside = 0;  // beyond the range
  bool not_finite = false;
};
// Loops of one kind of number each, without a sum of floating-point numbers, so that compilers make
// vectors of them.
[[gnu::always_inline]] inline Seen ScaleBlock(std::span<const float> update, double range,
                                              double factor, bool to_nearest, double* out) {
  constexpr uint32_t kExponent = 0x7F800000;  // all ones: infinite, or not a number
  uint32_t not_finite = 0;
  uint64_t outside = 0;
  for (const float value : update) {
    not_finite |= (std::bit_cast<uint32_t>(value) & kExponent) == kExponent ? 1 : 0;
  }
  for (size_t i = 0; i < update.size(); ++i) {
    const double x = update[i];
    const double below = x < range ? x : range;
    const double kept = below > -range ? below : -range;
    outside += kept != x ? 1 : 0;
    const double scaled = kept * factor;
    out[i] = to_nearest ? (scaled + kRoundToInteger) - kRoundToInteger : scaled;
  }
  return {.outside = outside, .not_finite = not_finite != 0};
}

// The same bits on every processor: AVX2 has no multiplication that adds without rounding.
#if defined(__x86_64__)
[[gnu::target("avx2")]] Seen ScaleBlockAvx2(std::span<const float> update, double range,
                                            double factor, bool to_nearest, double* out) {
  return ScaleBlock(update, range, factor, to_nearest, out);
}
#endif

Seen ScaleOnProcessor(std::span<const float> update, double range, double factor, bool to_nearest,
                      double* out) {
#if defined(__x86_64__)
  static const bool kAvx2 = __builtin_cpu_supports("avx2") != 0;
  if (kAvx2) return ScaleBlockAvx2(update, range, factor, to_nearest, out);
#endif
  return ScaleBlock(update, range, factor, to_nearest, out);
}

}  // namespace

absl::StatusOr<FixedGrid> DeriveFixedGrid(uint32_t members, double range, int number_bits) {
  if (members < 1) return absl::InvalidArgumentError("members = 0: a sum needs a member");
  if (!(std::isfinite(range) && range > 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("range = ", range, " is not a positive finite number"));
  }
  int log2 = kMaxGridLog2;
  // The product of members, below 2^32, and a power of two is exact; the last one rounds once.
  while (log2 >= 0 && !(std::ldexp(static_cast<double>(members), log2) * range < kMaxSum)) --log2;
  if (log2 >= 0) {
    if (number_bits != 0) {
      DURE_ASSIGN_OR_RETURN(
          log2, ScaleLog2OfWidth(number_bits, 0, log2, [range](int scale_log2) {
            return NumberBits(static_cast<uint64_t>(std::floor(std::ldexp(range, scale_log2))));
          }));
    }
    return FixedGrid{.scale_log2 = log2, .range = range};
  }
  return absl::InvalidArgumentError(absl::StrCat("range = ", range, " times ", members,
                                                 " members is not below 2^31; choose a ",
                                                 "smaller range or cohort"));
}

absl::StatusOr<GridUpdate> EncodeOnGrid(std::span<const float> update,
                                        const GridUpdateParams& params) {
  const FixedGrid& grid = params.grid;
  DURE_CHECK(!update.empty() && params.weight >= 0 && params.weight <= 1);
  DURE_CHECK(grid.scale_log2 >= 0 && grid.scale_log2 <= kMaxGridLog2 && grid.range > 0 &&
             std::ldexp(grid.range, grid.scale_log2) < kMaxSum);
  DURE_CHECK(params.weight_coordinate <= std::numeric_limits<int32_t>::max());
  GridUpdate result;
  result.words.resize(update.size() + (params.append_weight ? 1 : 0));
  const double factor = std::ldexp(params.weight, grid.scale_log2);
  std::atomic<uint64_t> saturated = 0, not_finite = kNone;
  std::optional<BlockSeeds> seeds;
  if (params.coins != nullptr) seeds.emplace(CountBlocks(update.size()), *params.coins);
  ForEachBlock(update.size(), params.threads, [&](const Block& block) {
    uint32_t* const words = result.words.data() + block.first;
    const Seen seen = ScaleOnProcessor(update.subspan(block.first, block.size), grid.range, factor,
                                       !seeds.has_value(), block.scratch.data());
    if (seen.not_finite) {
      uint64_t first = block.first;
      while (std::isfinite(update[first])) ++first;
      uint64_t seen = not_finite.load();
      while (first < seen && !not_finite.compare_exchange_weak(seen, first)) {
      }
      return;
    }
    saturated += seen.outside;
    if (seeds) {
      AesCtrRandom stream = seeds->RandomOf(block);
      RoundAtRandom(block.scratch.first(block.size), stream);
    }
    for (size_t i = 0; i < block.size; ++i) {
      words[i] = static_cast<uint32_t>(static_cast<int32_t>(block.scratch[i]));
    }
  });
  if (not_finite != kNone) {
    return absl::FailedPreconditionError(
        absl::StrCat("coordinate ", not_finite.load(), " of the update is not a finite number"));
  }
  result.saturated = saturated;
  if (params.append_weight) result.words.back() = params.weight_coordinate;
  return result;
}

}  // namespace dure::dp
