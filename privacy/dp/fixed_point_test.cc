#include "privacy/dp/fixed_point.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "crypto/random.h"
#include "gtest/gtest.h"
#include "privacy/dp/record_gradient.h"

namespace dure::dp {
namespace {

using Uint128 = unsigned __int128;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

ClippedSum Make(size_t dim, double clip_norm, int scale_log2) {
  return ClippedSum::Create({.dim = dim, .clip_norm = clip_norm, .scale_log2 = scale_log2}).value();
}

std::vector<int64_t> SumOf(const ClippedSum& sum) { return {sum.sums().begin(), sum.sums().end()}; }

Uint128 SquaredNorm(std::span<const int64_t> w) {
  Uint128 sum = 0;
  for (int64_t x : w) sum += static_cast<Uint128>(static_cast<__int128>(x) * x);
  return sum;
}

// (F s C)^2, rounded down: F s C = mantissa 2^exponent.
Uint128 Limit(double clip_norm, int scale_log2) {
  const double units = std::ldexp(clip_norm, kFixedPointLog2 + scale_log2);
  int exponent;
  const auto mantissa = static_cast<uint64_t>(std::frexp(units, &exponent) * 0x1p53);
  Uint128 square = static_cast<Uint128>(mantissa) * mantissa;
  for (int i = 2 * (53 - exponent); i > 0 && square > 0; --i) square >>= 1;
  return square;
}

// What ClippedSum does, one coordinate after the other.
std::vector<int64_t> SlowClip(const std::vector<float>& g, double clip_norm, int scale_log2) {
  std::vector<int64_t> w(g.size());
  double partial[2][16] = {};
  const size_t whole = g.size() / 16 * 16;
  for (size_t j = 0; j < g.size(); ++j) {
    partial[j >= whole][j % 16] += static_cast<double>(g[j]) * static_cast<double>(g[j]);
  }
  double norm_sq[2] = {};
  for (int part = 0; part < 2; ++part) {
    for (double x : partial[part]) norm_sq[part] += x;
  }
  const double norm = std::sqrt(norm_sq[0] + norm_sq[1]);
  if (!std::isfinite(norm)) return w;
  const double unit = std::ldexp(1.0, kFixedPointLog2 + scale_log2);
  const double factor = norm > clip_norm ? clip_norm / norm * unit : unit;
  for (size_t j = 0; j < g.size(); ++j) {
    w[j] = static_cast<int64_t>(std::trunc(static_cast<double>(g[j]) * factor));
  }
  if (SquaredNorm(w) > Limit(clip_norm, scale_log2)) std::fill(w.begin(), w.end(), 0);
  return w;
}

// Gradients of any size and shape, from the smallest to the largest binary32 and beyond.
class WildGradients {
 public:
  std::vector<float> Next() {
    std::vector<float> g(1 + random_.NextU64() % 100);
    const double magnitude = std::pow(10.0, static_cast<double>(random_.NextU64() % 80) - 42);
    const uint64_t kind = random_.NextU64() % 6;
    for (float& x : g) {
      double uniform = static_cast<double>(random_.NextU64() >> 11) * 0x1p-52 - 1;
      if (kind == 0) uniform = 1;                              // all equal
      if (kind == 1) uniform = random_.NextU64() % 8 ? 0 : 1;  // sparse
      if (kind == 2) uniform = std::round(uniform * 4);        // few values
      x = static_cast<float>(std::clamp(uniform * magnitude, -3.4e38, 3.4e38));
    }
    if (random_.NextU64() % 16 == 0) {
      const float odd[] = {kInfinity, -kInfinity, kNan};
      g[random_.NextU64() % g.size()] = odd[random_.NextU64() % 3];
    }
    return g;
  }
  AesCtrRandom& random() { return random_; }

 private:
  AesCtrRandom random_{AesCtrRandom::Seed{11}};
};

TEST(ClippedSumTest, EqualsTheSlowReferenceAndNeverPassesTheBound) {
  WildGradients wild;
  int clipped = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::vector<float> g = wild.Next();
    const int scale_log2 = static_cast<int>(wild.random().NextU64() % 20);
    const double clip_norm = std::pow(10.0, static_cast<double>(wild.random().NextU64() % 7) - 3);
    ClippedSum sum = Make(g.size(), clip_norm, scale_log2);
    sum.Add(g);
    ASSERT_EQ(SumOf(sum), SlowClip(g, clip_norm, scale_log2)) << i;
    const Uint128 size = SquaredNorm(sum.sums());
    ASSERT_TRUE(size <= Limit(clip_norm, scale_log2)) << i;
    clipped += size > Limit(clip_norm, scale_log2) / 2;
  }
  EXPECT_GT(clipped, 5'000);  // the property was tried where it is tight
}

TEST(ClippedSumTest, SmallGradientIsOnlyTruncated) {
  ClippedSum sum = Make(4, 1.0, 0);
  sum.Add(std::vector<float>{0.5f, -0.25f, 1e-5f, -1e-5f});
  EXPECT_EQ(SumOf(sum), (std::vector<int64_t>{32768, -16384, 0, 0}));
}

TEST(ClippedSumTest, LargeGradientIsScaledToTheClipNorm) {
  ClippedSum sum = Make(2, 1.0, 4);
  sum.Add(std::vector<float>{3e30f, -4e30f});
  const double unit = 65536 * 16;
  EXPECT_NEAR(static_cast<double>(sum.sums()[0]), 0.6 * unit, 1.1);
  EXPECT_NEAR(static_cast<double>(sum.sums()[1]), -0.8 * unit, 1.1);
}

TEST(ClippedSumTest, NonFiniteGradientLeavesNoTrace) {
  for (size_t dim : {1, 7, 16, 33}) {
    for (float odd : {kInfinity, -kInfinity, kNan}) {
      ClippedSum sum = Make(dim, 1.0, 4);
      sum.Add(std::vector<float>(dim, 0.01f));
      const std::vector<int64_t> before = SumOf(sum);
      for (size_t at : {size_t{0}, dim / 2, dim - 1}) {
        std::vector<float> g(dim, 0.02f);
        g[at] = odd;
        sum.Add(g);
        EXPECT_EQ(SumOf(sum), before);
      }
      EXPECT_EQ(sum.added(), 4u);
    }
  }
}

// C is sqrt(3) rounded down, the gradient (2, 2, 2): each w is 2^16 exactly, and their squares sum
// to 3 2^32, which is above (F C)^2 by less than one. Floating point alone would let it pass.
TEST(ClippedSumTest, GradientAboveTheBoundByRoundingCountsAsZero) {
  const double clip_norm = std::sqrt(3.0);
  ASSERT_TRUE(Limit(clip_norm, 0) == (Uint128{3} << 32) - 1);
  ClippedSum sum = Make(3, clip_norm, 0);
  sum.Add(std::vector<float>{0.5f, 0.5f, 0.5f});
  const std::vector<int64_t> before = SumOf(sum);
  sum.Add(std::vector<float>{2, 2, 2});
  EXPECT_EQ(SumOf(sum), before);
  EXPECT_EQ(sum.added(), 2u);
}

TEST(ClippedSumTest, MergedSumsAreTheSumOfAll) {
  WildGradients wild;
  ClippedSum all = Make(37, 1.0, 8), left = all, right = all;
  for (int i = 0; i < 200; ++i) {
    std::vector<float> g = wild.Next();
    g.resize(37);
    all.Add(g);
    (i % 3 == 0 ? left : right).Add(g);
  }
  left.MergeWith(right);
  EXPECT_EQ(SumOf(left), SumOf(all));
  EXPECT_EQ(left.added(), all.added());
  left.Reset();
  EXPECT_EQ(SumOf(left), std::vector<int64_t>(37));
  EXPECT_EQ(left.added(), 0u);
}

TEST(ClippedSumTest, CapacityKeepsTheSumBelow2To62) {
  EXPECT_EQ(Make(1, 1.0, 30).capacity(), 65535u);  // less than 2^62 / 2^46
  EXPECT_GE(Make(1, 1.0, 34).capacity(), 4000u);
  EXPECT_GT(Make(26010, 1.0, 14).capacity(), uint64_t{1} << 31);
}

void ExpectRefused(ClippedSum::Params params) {
  EXPECT_EQ(ClippedSum::Create(params).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ClippedSumTest, UnsetDimIsRefused) { ExpectRefused({.clip_norm = 1}); }
TEST(ClippedSumTest, HugeDimIsRefused) { ExpectRefused({.dim = kMaxDim + 1, .clip_norm = 1}); }
TEST(ClippedSumTest, UnsetClipNormIsRefused) { ExpectRefused({.dim = 1}); }
TEST(ClippedSumTest, NegativeClipNormIsRefused) { ExpectRefused({.dim = 1, .clip_norm = -1}); }
TEST(ClippedSumTest, ClipNormNanIsRefused) { ExpectRefused({.dim = 1, .clip_norm = kNan}); }
TEST(ClippedSumTest, InfiniteClipNormIsRefused) {
  ExpectRefused({.dim = 1, .clip_norm = kInfinity});
}
TEST(ClippedSumTest, NegativeScaleIsRefused) {
  ExpectRefused({.dim = 1, .clip_norm = 1, .scale_log2 = -1});
}
TEST(ClippedSumTest, HugeScaleIsRefused) {
  ExpectRefused({.dim = 1, .clip_norm = 1e-9, .scale_log2 = 49});
}
TEST(ClippedSumTest, ClipNormTooLargeForTheScaleIsRefused) {
  ExpectRefused({.dim = 1, .clip_norm = 1.01, .scale_log2 = 34});
}

}  // namespace
}  // namespace dure::dp
