// The public integers of a clipped update against tests/golden/encoding_params.csv, their limits,
// and their errors.
#include "privacy/dp/client_encoding.h"

#include <cmath>
#include <limits>
#include <string>

#include "gtest/gtest.h"
#include "tests/support/golden.h"

namespace dure::dp {
namespace {

using ::dure::testing::ReadGolden;
using ::dure::testing::Row;

ClientEncodingParams Params() {
  return {
      .dim = 26010, .clip_norm = 1, .noise_multiplier = 1, .invited = 10, .honest_survivors = 7};
}

void ExpectRefused(const ClientEncodingParams& params, const std::string& name) {
  auto result = DeriveClientEncoding(params);
  ASSERT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(std::string(result.status().message()).find(name), std::string::npos)
      << result.status();
}

TEST(ClientEncodingTest, IntegersAreTheKnownOnes) {
  for (const Row& row : ReadGolden("encoding_params.csv")) {
    const ClientEncodingParams params = {
        .dim = std::stoull(row.at("dim")),
        .clip_norm = std::stod(row.at("clip")),
        .noise_multiplier = std::stod(row.at("noise_multiplier")),
        .invited = static_cast<uint32_t>(std::stoul(row.at("n"))),
        .honest_survivors =
            static_cast<uint32_t>(std::stoul(row.at("u_min")) - std::stoul(row.at("c_max")))};
    auto encoding = DeriveClientEncoding(params);
    ASSERT_TRUE(encoding.ok()) << encoding.status();
    EXPECT_EQ(encoding->scale, std::stoull(row.at("scale")));
    EXPECT_EQ(encoding->norm_bound_sq, std::stoull(row.at("norm_bound_sq_int")));
    const uint64_t sigma2 = std::stoull(row.at("sigma2_local_int"));
    // The column knows no least noise.
    EXPECT_EQ(encoding->sigma2_local, std::max(kMinSigma2Local, sigma2));
    if (sigma2 < kMinSigma2Local) continue;
    EXPECT_EQ(encoding->abs_sum_bound, std::stoull(row.at("abs_sum_bound")));
    EXPECT_EQ(std::to_string(encoding->bits), row.at("bits"));
  }
}

TEST(ClientEncodingTest, NormBoundIsTheLeastOfBoth) {
  for (uint64_t dim : {1, 2, 3, 100, 65536, 1'000'003}) {
    for (double clip : {1e-4, 0.1, 0.7, 1.0, 3.0}) {
      ClientEncodingParams params = Params();
      params.dim = dim;
      params.clip_norm = clip;
      auto encoding = DeriveClientEncoding(params);
      ASSERT_TRUE(encoding.ok()) << encoding.status();
      const long double root = std::sqrt(static_cast<long double>(dim));
      const long double scaled = std::ldexp(static_cast<long double>(clip), encoding->scale_log2);
      const long double bound =
          std::min((scaled + root) * (scaled + root),
                   scaled * scaled + static_cast<long double>(dim) / 4 + scaled + root / 2);
      EXPECT_EQ(encoding->norm_bound_sq, static_cast<uint64_t>(bound)) << dim << " " << clip;
      EXPECT_GE(scaled, 4 * root * (1 - 1e-15L));
      EXPECT_LT(scaled, 8 * root);
    }
  }
}

TEST(ClientEncodingTest, RotationNeverNeedsMoreBits) {
  for (uint64_t dim : {1, 64, 26010, 10'000'000}) {
    ClientEncodingParams params = Params();
    params.dim = RotatedDim(dim);
    params.clip_norm = 0.5;
    params.invited = 1000;
    const ClientEncoding plain = DeriveClientEncoding(params).value();
    params.rotated = true;
    const ClientEncoding rotated = DeriveClientEncoding(params).value();
    EXPECT_LE(rotated.abs_sum_bound, plain.abs_sum_bound);
    EXPECT_EQ(rotated.norm_bound_sq, plain.norm_bound_sq);
    EXPECT_EQ(rotated.sigma2_local, plain.sigma2_local);
    params.dim += 1;  // a coordinate outside the blocks is not spread
    const ClientEncoding ragged = DeriveClientEncoding(params).value();
    params.rotated = false;
    if (dim > 64) {
      EXPECT_LT(rotated.abs_sum_bound, plain.abs_sum_bound);
      EXPECT_EQ(ragged.abs_sum_bound, DeriveClientEncoding(params)->abs_sum_bound);
    }
  }
}

TEST(ClientEncodingTest, RotatedCoordinatesFillWholeBlocks) {
  EXPECT_EQ(RotatedDim(1), 1u);
  EXPECT_EQ(RotatedDim(26010), 32768u);
  EXPECT_EQ(RotatedDim(32768), 32768u);
  EXPECT_EQ(RotatedDim(32769), 65536u);
  for (uint64_t dim : {1u, 5u, 26010u, 40000u, 10'000'000u}) {
    EXPECT_EQ(RotatedDim(dim) % RotationBlock(RotatedDim(dim)), 0u);
    EXPECT_GE(RotatedDim(dim), dim);
  }
}

TEST(ClientEncodingTest, NoiseRisesWithMultiplierAndFallsWithSurvivors) {
  ClientEncodingParams params = Params();
  uint64_t last = 0;
  for (double z : {1e-9, 0.3, 1.0, 1.5, 3.0, 10.0}) {
    params.noise_multiplier = z;
    const uint64_t sigma2 = DeriveClientEncoding(params)->sigma2_local;
    EXPECT_GT(sigma2, last);
    EXPECT_GE(sigma2, kMinSigma2Local);
    last = sigma2;
  }
  params = Params();
  for (uint32_t survivors : {1, 2, 7, 10}) {
    params.honest_survivors = survivors;
    const ClientEncoding encoding = DeriveClientEncoding(params).value();
    EXPECT_GE(static_cast<double>(encoding.sigma2_local) * survivors,
              static_cast<double>(encoding.norm_bound_sq));
  }
}

TEST(ClientEncodingTest, WithoutNoiseTheNormStillCounts) {
  ClientEncodingParams params = Params();
  params.noise_multiplier = 0;
  params.noiseless = true;
  auto encoding = DeriveClientEncoding(params);
  ASSERT_TRUE(encoding.ok()) << encoding.status();
  EXPECT_EQ(encoding->sigma2_local, 0u);
  EXPECT_EQ(encoding->abs_sum_bound,
            10 * static_cast<uint64_t>(std::sqrt(encoding->norm_bound_sq)));
  params.noise_multiplier = 1;
  ExpectRefused(params, "noise_multiplier");
}

TEST(ClientEncodingTest, BadParametersAreNamed) {
  const double infinity = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  ExpectRefused({}, "dim");
  ClientEncodingParams params = Params();
  params.dim = kMaxDim + 1;
  ExpectRefused(params, "dim");
  for (double bad : {0.0, -1.0, nan, infinity, -infinity, 1e308, 1e-320}) {
    params = Params();
    params.clip_norm = bad;
    ExpectRefused(params, "clip_norm");
  }
  for (double bad : {0.0, -1.0, nan, infinity, 1e308, 1e9}) {
    params = Params();
    params.noise_multiplier = bad;
    ExpectRefused(params, "noise_multiplier");
  }
  params = Params();
  params.honest_survivors = 0;
  ExpectRefused(params, "honest_survivors");
  params.honest_survivors = 11;
  ExpectRefused(params, "honest_survivors");
  params = Params();
  params.invited = 0;
  ExpectRefused(params, "cohort");
}

TEST(ClientEncodingTest, LargestCohortFits) {
  ClientEncodingParams params = Params();
  params.dim = kMaxDim;
  params.invited = std::numeric_limits<uint32_t>::max();
  params.honest_survivors = params.invited;
  auto encoding = DeriveClientEncoding(params);
  ASSERT_TRUE(encoding.ok()) << encoding.status();
  EXPECT_LE(encoding->bits, kMaxRingBits);
}

// By hand, d = 26,010 and C = 1: at s = 256, B^2 = 65,536 + 6,502.5 + 256 + 80.6 = 72,375.1, so
// that B is 269; at s = 512 it would be 518.
TEST(ClientEncodingTest, ChosenWidthGivesTheLargestScaleWithSoManyBits) {
  ClientEncodingParams params = {
      .dim = 26'010, .clip_norm = 1, .noise_multiplier = 1, .invited = 10, .honest_survivors = 8};
  params.number_bits = 10;  // up to 511
  const auto encoding = DeriveClientEncoding(params);
  ASSERT_TRUE(encoding.ok()) << encoding.status();
  EXPECT_EQ(encoding->scale, 256u);
  EXPECT_EQ(encoding->norm_bound_sq, 72'375u);
  EXPECT_EQ(encoding->sigma2_local, 9047u);  // the noise follows B: ceil(72,375 / 8)
  params.number_bits = 11;
  EXPECT_EQ(DeriveClientEncoding(params)->scale, 512u);
  // As many bits as the automatic scale has give that scale.
  params.number_bits = 0;
  const auto automatic = DeriveClientEncoding(params);
  params.number_bits = NumberBits(FloorSqrt(automatic->norm_bound_sq));
  EXPECT_EQ(DeriveClientEncoding(params)->scale, automatic->scale);
}

TEST(ClientEncodingTest, WidthsThatCannotWorkAreRefusedWithThoseThatCan) {
  ClientEncodingParams params = {
      .dim = 26'010, .clip_norm = 1, .noise_multiplier = 1, .invited = 10, .honest_survivors = 8};
  for (const int bits : {2, 7, 22, 32}) {
    params.number_bits = bits;
    ExpectRefused(params, "8 to 21 bits");
  }
  // Largest models and smallest clip norms: no arithmetic overflows on the way.
  params.dim = kMaxDim;
  params.clip_norm = 1e-3;
  // Rounding alone gives a norm of about sqrt(d) / 2 = 2^15, which 16 bits cannot hold; with 17 the
  // norm is below 2^16.
  params.number_bits = 16;
  ExpectRefused(params, "17 to 21 bits");
  params.number_bits = 17;
  EXPECT_LT(DeriveClientEncoding(params)->norm_bound_sq, uint64_t{1} << 32);
}

}  // namespace
}  // namespace dure::dp
