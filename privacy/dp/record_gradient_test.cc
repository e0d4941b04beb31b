#include "privacy/dp/record_gradient.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "privacy/dp/fixed_point.h"
#include "tests/support/golden.h"

namespace dure::dp {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
// The largest of a deviation that a correct program shows with probability 1e-6, were its seed
// drawn anew: the statistical checks below are four.
constexpr double kFalseAlarmDeviations = 4.8917;

RecordGradientParams Params() {
  return {.dim = 26010, .clip_norm = 1, .noise_multiplier = 1, .honest_survivors = 8};
}

TEST(RecordGradientTest, IntegersAreTheKnownOnes) {
  for (const testing::Row& row : testing::ReadGolden("record_distributed_epsilon.csv")) {
    auto gradient = DeriveRecordGradient(
        {.dim = std::stoull(row.at("dim")),
         .clip_norm = std::stod(row.at("clip")),
         .noise_multiplier = std::stod(row.at("noise_multiplier")),
         .honest_survivors = static_cast<uint32_t>(std::stoul(row.at("honest_survivors")))});
    ASSERT_TRUE(gradient.ok()) << gradient.status();
    EXPECT_EQ(std::to_string(gradient->scale), row.at("scale"));
    EXPECT_EQ(gradient->scale, uint64_t{1} << gradient->scale_log2);
    EXPECT_EQ(std::to_string(gradient->norm_bound_sq), row.at("norm_bound_sq_int"));
    EXPECT_EQ(std::to_string(gradient->sigma2_local), row.at("sigma2_local_int"));
  }
}

// (s C + sqrt d)^2 with d a square and s C an integer is an integer, and not one more.
TEST(RecordGradientTest, NormBoundIsExactWhereItIsAnInteger) {
  auto gradient = DeriveRecordGradient(
      {.dim = 10000, .clip_norm = 1, .noise_multiplier = 1, .honest_survivors = 1});
  ASSERT_TRUE(gradient.ok());
  EXPECT_EQ(gradient->scale, 8192u);
  EXPECT_EQ(gradient->norm_bound_sq, uint64_t{8292} * 8292);
  EXPECT_EQ(gradient->sigma2_local, gradient->norm_bound_sq);
}

// Against long double, over sizes and norms; the 64-bit mantissa leaves room below 2^47.
TEST(RecordGradientTest, NormBoundAndNoiseAreRoundedUp) {
  for (uint64_t dim : {1ul, 2ul, 999ul, 26010ul, 11'000'003ul}) {
    for (double clip : {1e-6, 0.1, 0.7, 1.0, 3.3}) {
      for (double z : {0.3, 1.1, 2.0}) {
        auto gradient = DeriveRecordGradient(
            {.dim = dim, .clip_norm = clip, .noise_multiplier = z, .honest_survivors = 7});
        ASSERT_TRUE(gradient.ok()) << gradient.status();
        const long double scaled = std::ldexp(static_cast<long double>(clip), gradient->scale_log2);
        const long double root = std::sqrt(static_cast<long double>(dim));
        EXPECT_GE(scaled, 64 * root * (1 - 1e-15L));
        EXPECT_LT(scaled, 128 * root * (1 + 1e-15L));
        const long double bound = (scaled + root) * (scaled + root);
        EXPECT_GE(static_cast<long double>(gradient->norm_bound_sq), bound * (1 - 1e-18L));
        EXPECT_LT(static_cast<long double>(gradient->norm_bound_sq), bound + 1.001L);
        const auto multiplier = static_cast<long double>(z);
        const long double noise =
            multiplier * multiplier * static_cast<long double>(gradient->norm_bound_sq) / 7;
        EXPECT_GE(static_cast<long double>(gradient->sigma2_local), noise * (1 - 1e-18L));
        EXPECT_LT(static_cast<long double>(gradient->sigma2_local),
                  std::max(17.0L, noise + 1.001L));
      }
    }
  }
}

TEST(RecordGradientTest, NoiseIsNeverBelowSixteen) {
  auto gradient = DeriveRecordGradient(
      {.dim = 1, .clip_norm = 1, .noise_multiplier = 1e-6, .honest_survivors = 100});
  ASSERT_TRUE(gradient.ok());
  EXPECT_EQ(gradient->sigma2_local, 16u);
  gradient = DeriveRecordGradient(
      {.dim = 1, .clip_norm = 1, .noise_multiplier = 1e-300, .honest_survivors = 1});
  ASSERT_TRUE(gradient.ok());
  EXPECT_EQ(gradient->sigma2_local, 16u);
}

void ExpectRefused(const RecordGradientParams& params) {
  EXPECT_EQ(DeriveRecordGradient(params).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(RecordGradientTest, UnsetDimIsRefused) {
  RecordGradientParams params = Params();
  params.dim = 0;
  ExpectRefused(params);
}
TEST(RecordGradientTest, HugeDimIsRefused) {
  RecordGradientParams params = Params();
  params.dim = kMaxDim + 1;
  ExpectRefused(params);
}
TEST(RecordGradientTest, ZeroClipNormIsRefused) {
  RecordGradientParams params = Params();
  params.clip_norm = 0;
  ExpectRefused(params);
}
TEST(RecordGradientTest, NegativeClipNormIsRefused) {
  RecordGradientParams params = Params();
  params.clip_norm = -1;
  ExpectRefused(params);
}
TEST(RecordGradientTest, ClipNormNanIsRefused) {
  RecordGradientParams params = Params();
  params.clip_norm = kNan;
  ExpectRefused(params);
}
TEST(RecordGradientTest, InfiniteClipNormIsRefused) {
  RecordGradientParams params = Params();
  params.clip_norm = kInfinity;
  ExpectRefused(params);
}
TEST(RecordGradientTest, ClipNormThatNeedsAScaleBelowOneIsRefused) {
  RecordGradientParams params = Params();
  params.clip_norm = 128 * std::sqrt(26010.0) + 1;
  ExpectRefused(params);
}
TEST(RecordGradientTest, ClipNormThatNeedsAHugeScaleIsRefused) {
  RecordGradientParams params = Params();
  params.clip_norm = 1e-11;
  ExpectRefused(params);
}
TEST(RecordGradientTest, ZeroNoiseIsRefused) {
  RecordGradientParams params = Params();
  params.noise_multiplier = 0;
  ExpectRefused(params);
}
TEST(RecordGradientTest, WithoutNoiseThereIsNoMultiplierEither) {
  RecordGradientParams params = Params();
  params.noiseless = true;
  ExpectRefused(params);
  params.noise_multiplier = 0;
  const auto noisy = DeriveRecordGradient(Params());
  const auto noiseless = DeriveRecordGradient(params);
  ASSERT_TRUE(noisy.ok() && noiseless.ok());
  EXPECT_EQ(noiseless->sigma2_local, 0u);
  EXPECT_EQ(noiseless->scale, noisy->scale);
  EXPECT_EQ(noiseless->norm_bound_sq, noisy->norm_bound_sq);
}
TEST(RecordGradientTest, NegativeNoiseIsRefused) {
  RecordGradientParams params = Params();
  params.noise_multiplier = -1;
  ExpectRefused(params);
}
TEST(RecordGradientTest, NoiseNanIsRefused) {
  RecordGradientParams params = Params();
  params.noise_multiplier = kNan;
  ExpectRefused(params);
}
TEST(RecordGradientTest, InfiniteNoiseIsRefused) {
  RecordGradientParams params = Params();
  params.noise_multiplier = kInfinity;
  ExpectRefused(params);
}
TEST(RecordGradientTest, NoiseAboveTheSamplersLimitIsRefused) {
  RecordGradientParams params = Params();
  for (double z : {200.0, 1e9, 1e200}) {
    params.noise_multiplier = z;
    ExpectRefused(params);
  }
}
TEST(RecordGradientTest, NoSurvivorIsRefused) {
  RecordGradientParams params = Params();
  params.honest_survivors = 0;
  ExpectRefused(params);
}

TEST(BatchCapTest, KnownCaps) {
  EXPECT_EQ(BatchCap(6000, 0.01).value(), 123u);
  EXPECT_EQ(BatchCap(600, 0.01).value(), 31u);
}

TEST(BatchCapTest, EdgesOfTheRange) {
  EXPECT_EQ(BatchCap(1, 0.5).value(), 2u);
  EXPECT_EQ(BatchCap(1, 0x1p-41).value(), 1u);
  EXPECT_EQ(BatchCap(100, 1).value(), 101u);
  EXPECT_EQ(BatchCap(uint64_t{1} << 31, 1).value(), (uint32_t{1} << 31) + 1);
  EXPECT_EQ(BatchCap(30, 0.5).value(), 31u);  // P[Bin(30, 1/2) = 30] is above 2^-40
}

// Against the whole distribution, made by adding one record at a time.
TEST(BatchCapTest, TailIsBelowTheLimitAndOneLessIsNot) {
  for (double q : {0.001, 0.02, 0.3, 0.9, 0.999}) {
    std::vector<long double> pmf = {1};
    for (uint64_t n = 1; n <= 300; ++n) {
      pmf.push_back(0);
      for (uint64_t k = n; k > 0; --k) pmf[k] = pmf[k] * (1 - q) + pmf[k - 1] * q;
      pmf[0] *= 1 - q;
      if (n % 37 != 0) continue;
      long double tail = 0;
      uint64_t cap = n + 1;
      while (cap > 0 && tail + pmf[cap - 1] <= std::ldexp(1.0L, -kBatchCapBits)) {
        tail += pmf[--cap];
      }
      EXPECT_EQ(BatchCap(n, q).value(), cap) << n << " " << q;
    }
  }
}

TEST(BatchCapTest, GrowsWithRecordsAndRate) {
  uint32_t last = 0;
  for (uint64_t n : {10ul, 1000ul, 100'000ul, 10'000'000ul, 1'000'000'000ul}) {
    EXPECT_GE(BatchCap(n, 0.001).value(), last);
    last = BatchCap(n, 0.001).value();
    EXPECT_GE(BatchCap(n, 0.01).value(), last);
  }
}

TEST(BatchCapTest, BadArgumentsAreRefused) {
  for (double q : {0.0, -0.1, 1.5, kNan, kInfinity}) {
    EXPECT_EQ(BatchCap(10, q).status().code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(BatchCap(0, 0.1).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(BatchCap((uint64_t{1} << 31) + 1, 0.1).status().code(),
            absl::StatusCode::kInvalidArgument);
}

// d = 26010, C = 1, z = 1, h = 8: s = 16384, sigma2 = 34218271; by hand
// Y = 10 (123 16384 + 1) + ceil(sqrt(20 34218271 ln(52020 2^40))) = 20152330 + 162501.
TEST(RingRangeTest, HoldsTheLargestSum) {
  auto gradient = DeriveRecordGradient(Params());
  ASSERT_TRUE(gradient.ok());
  EXPECT_EQ(gradient->sigma2_local, 34218271u);
  auto range = DeriveRingRange({.gradient = Params(), .invited = 10, .batch_cap = 123});
  ASSERT_TRUE(range.ok()) << range.status();
  const double log_term = std::log(2 * 26010.0) + 40 * std::log(2.0);
  const auto noise = static_cast<uint64_t>(std::ceil(std::sqrt(2 * 10 * 34218271.0 * log_term)));
  EXPECT_EQ(range->abs_sum_bound, 10 * (123 * 16384 + 1) + noise);
  EXPECT_EQ(range->bits, 26);
}

TEST(RingRangeTest, BadArgumentsAreRefused) {
  RingRangeParams params = {.gradient = Params(), .invited = 0, .batch_cap = 1};
  EXPECT_EQ(DeriveRingRange(params).status().code(), absl::StatusCode::kInvalidArgument);
  params = {.gradient = Params(), .invited = 1, .batch_cap = 0};
  EXPECT_EQ(DeriveRingRange(params).status().code(), absl::StatusCode::kInvalidArgument);
  params = {.invited = 1, .batch_cap = 1};
  EXPECT_EQ(DeriveRingRange(params).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(RingRangeTest, SumsThatDoNotFitAreRefused) {
  RecordGradientParams wide = Params();
  wide.dim = uint64_t{1} << 27;
  wide.noise_multiplier = 0.5;
  // A member's own sum reaches 2^62 units of fixed point.
  EXPECT_EQ(
      DeriveRingRange({.gradient = wide, .invited = 3, .batch_cap = 1u << 31}).status().code(),
      absl::StatusCode::kOutOfRange);
  // The sum of all of them needs more than 62 bits.
  EXPECT_EQ(DeriveRingRange({.gradient = Params(), .invited = 1u << 31, .batch_cap = 1u << 30})
                .status()
                .code(),
            absl::StatusCode::kOutOfRange);
}

TEST(PoissonSampleTest, EachRecordIsChosenAtTheRate) {
  AesCtrRandom random(AesCtrRandom::Seed{21});
  for (double q : {0.001, 0.25}) {
    constexpr int kRuns = 400;
    constexpr uint32_t kRecords = 2500;
    double chosen = 0, squares = 0, pairs = 0;
    for (int run = 0; run < kRuns; ++run) {
      const std::vector<uint32_t> sample = PoissonSample(kRecords, q, random);
      ASSERT_TRUE(std::is_sorted(sample.begin(), sample.end(), std::less_equal<>()));
      ASSERT_TRUE(sample.empty() || sample.back() < kRecords);
      const auto size = static_cast<double>(sample.size());
      chosen += size;
      squares += (size - q * kRecords) * (size - q * kRecords);
      for (size_t i = 1; i < sample.size(); ++i) pairs += sample[i] == sample[i - 1] + 1;
    }
    const double coins = 1.0 * kRuns * kRecords;
    EXPECT_NEAR(chosen, coins * q, kFalseAlarmDeviations * std::sqrt(coins * q * (1 - q)));
    // A binomial count: its variance, and how often neighbours are chosen together.
    const double variance = kRecords * q * (1 - q);
    EXPECT_NEAR(squares / kRuns, variance,
                kFalseAlarmDeviations * 1.3 * variance * std::sqrt(2.0 / kRuns));
    EXPECT_NEAR(pairs, coins * q * q, 5 + 1.5 * kFalseAlarmDeviations * std::sqrt(coins) * q);
  }
}

TEST(PoissonSampleTest, RatesZeroAndOneAreCertain) {
  AesCtrRandom random(AesCtrRandom::Seed{22});
  EXPECT_TRUE(PoissonSample(1000, 0, random).empty());
  EXPECT_EQ(PoissonSample(1000, 1, random).size(), 1000u);
  EXPECT_TRUE(PoissonSample(0, 0.5, random).empty());
  EXPECT_TRUE(PoissonSample(1000, 0x1p-80, random).empty());
}

// The coin of a record is the next word of the stream, compared with the rate.
TEST(PoissonSampleTest, CoinsAreTheWordsOfTheStream) {
  AesCtrRandom sampled(AesCtrRandom::Seed{23});
  AesCtrRandom words(AesCtrRandom::Seed{23});
  std::vector<uint32_t> expected;
  for (uint32_t i = 0; i < 1000; ++i) {
    if (words.NextU64() < (uint64_t{3} << 61)) expected.push_back(i);
  }
  EXPECT_EQ(PoissonSample(1000, 0.375, sampled), expected);
}

TEST(RoundSumTest, RoundsDownOrUpAndIsRightOnAverage) {
  AesCtrRandom random(AesCtrRandom::Seed{24});
  const std::vector<int64_t> sums = {0, 65536, -65536, 16384, -16384, (int64_t{1} << 61) + 1};
  std::vector<int64_t> v(sums.size());
  double ups[2] = {};
  constexpr int kRuns = 100'000;
  for (int run = 0; run < kRuns; ++run) {
    RoundSum(sums, random, v);
    ASSERT_EQ(v[0], 0);
    ASSERT_EQ(v[1], 1);
    ASSERT_EQ(v[2], -1);
    ASSERT_TRUE(v[3] == 0 || v[3] == 1);
    ASSERT_TRUE(v[4] == 0 || v[4] == -1);
    ASSERT_TRUE(v[5] == int64_t{1} << 45 || v[5] == (int64_t{1} << 45) + 1);
    ups[0] += static_cast<double>(v[3]);
    ups[1] += static_cast<double>(v[4] + 1);
  }
  const double deviation = kFalseAlarmDeviations * std::sqrt(kRuns * 0.25 * 0.75);
  EXPECT_NEAR(ups[0], kRuns * 0.25, deviation);
  EXPECT_NEAR(ups[1], kRuns * 0.75, deviation);
}

TEST(RoundSumTest, InPlaceIsTheSame) {
  AesCtrRandom a(AesCtrRandom::Seed{25});
  AesCtrRandom b(AesCtrRandom::Seed{25});
  std::vector<int64_t> sums(5000);
  for (size_t j = 0; j < sums.size(); ++j) sums[j] = static_cast<int64_t>(j * j * 977) - 1'000'000;
  std::vector<int64_t> v(sums.size());
  RoundSum(sums, a, v);
  RoundSum(sums, b, sums);
  EXPECT_EQ(sums, v);
}

// The whole point of u: with the coins of both worlds the same, one record moves v by at most B.
TEST(RoundSumTest, OneRecordMovesTheResultByAtMostTheBound) {
  AesCtrRandom random(AesCtrRandom::Seed{26});
  double largest = 0;
  for (int run = 0; run < 2000; ++run) {
    const size_t dim = 1 + random.NextU64() % 40;
    auto gradient = DeriveRecordGradient(
        {.dim = dim, .clip_norm = 1, .noise_multiplier = 1, .honest_survivors = 1});
    ASSERT_TRUE(gradient.ok());
    ClippedSum without =
        ClippedSum::Create({.dim = dim, .clip_norm = 1, .scale_log2 = gradient->scale_log2})
            .value();
    auto draw = [&] {
      std::vector<float> g(dim);
      const float magnitude = random.NextU64() % 2 ? 1.0f : 1e3f;
      for (float& x : g) {
        x = magnitude * (static_cast<float>(random.NextU64() >> 40) * 0x1p-23f - 1);
      }
      return g;
    };
    for (int i = 0; i < 3; ++i) without.Add(draw());
    ClippedSum with = without;
    with.Add(draw());
    std::vector<int64_t> v0(dim), v1(dim);
    const AesCtrRandom::Seed coins = {static_cast<uint8_t>(run), static_cast<uint8_t>(run >> 8)};
    AesCtrRandom coins0(coins);
    AesCtrRandom coins1(coins);
    RoundSum(without.sums(), coins0, v0);
    RoundSum(with.sums(), coins1, v1);
    uint64_t moved_sq = 0;
    for (size_t j = 0; j < dim; ++j) {
      moved_sq += static_cast<uint64_t>((v1[j] - v0[j]) * (v1[j] - v0[j]));
    }
    ASSERT_LE(moved_sq, gradient->norm_bound_sq);
    largest = std::max(
        largest, static_cast<double>(moved_sq) / static_cast<double>(gradient->norm_bound_sq));
  }
  EXPECT_GT(largest, 0.9);  // the bound was nearly met
}

TEST(DecodeMeanTest, DividesByScaleAndExpectedBatch) {
  const std::vector<int64_t> sum = {0, 4096, -4096, 1, -(int64_t{1} << 61)};
  std::vector<float> mean(sum.size());
  ASSERT_TRUE(DecodeMean(sum, {.scale_log2 = 10, .expected_batch = 8}, mean).ok());
  EXPECT_EQ(mean, (std::vector<float>{0, 0.5f, -0.5f, 1.0f / 8192, -0x1p48f}));
}

TEST(DecodeMeanTest, BadArgumentsAreRefused) {
  const std::vector<int64_t> sum = {1, 2};
  std::vector<float> mean(2);
  auto code = [&](int scale_log2, double batch) {
    return DecodeMean(sum, {.scale_log2 = scale_log2, .expected_batch = batch}, mean).code();
  };
  for (double batch : {0.0, -1.0, 1e-7, 1e19, kNan, kInfinity}) {
    EXPECT_EQ(code(10, batch), absl::StatusCode::kInvalidArgument) << batch;
  }
  EXPECT_EQ(code(-1, 10), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(49, 10), absl::StatusCode::kInvalidArgument);
  mean.resize(1);
  EXPECT_EQ(code(10, 10), absl::StatusCode::kInvalidArgument);
}

// By hand, d = 10,000 and C = 1: B = s + 100.
TEST(RecordGradientTest, ChosenWidthGivesTheLargestScaleWithSoManyBits) {
  RecordGradientParams params = {
      .dim = 10'000, .clip_norm = 1, .noise_multiplier = 1, .honest_survivors = 4};
  params.number_bits = 10;  // up to 511
  const auto gradient = DeriveRecordGradient(params);
  ASSERT_TRUE(gradient.ok()) << gradient.status();
  EXPECT_EQ(gradient->scale, 256u);
  EXPECT_EQ(gradient->norm_bound_sq, 356u * 356u);
  EXPECT_EQ(gradient->sigma2_local, 356u * 356u / 4);
  params.number_bits = 7;
  EXPECT_EQ(std::string(DeriveRecordGradient(params).status().message()),
            "numbers of 7 bits cannot work here: 9 to 25 bits can");
}

}  // namespace
}  // namespace dure::dp
