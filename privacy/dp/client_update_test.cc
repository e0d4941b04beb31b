// The pipeline of a clipped update. Seeds are fixed; each of the statistical checks (three) would
// fail a correct encoder with probability below 1e-6 a coordinate if they were drawn anew.
#include "privacy/dp/client_update.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "gtest/gtest.h"
#include "privacy/dp/client_encoding.h"

namespace dure::dp {
namespace {

using Uint128 = unsigned __int128;
constexpr double kFalseAlarmDeviations = 4.8917;  // |N(0, 1)| above it: 1e-6
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Choice {
  uint64_t dim = 0;
  double clip_norm = 1;
  bool rotated = false;
  bool noise = false;
  double count_coordinate = 0;
};

struct Encoding {
  ClientUpdateParams params;
  ClientEncoding derived;
};

Encoding Derive(const Choice& choice) {
  const uint64_t unpadded = choice.dim + (choice.count_coordinate != 0 ? 1 : 0);
  const ClientEncoding derived =
      DeriveClientEncoding({.dim = choice.rotated ? RotatedDim(unpadded) : unpadded,
                            .clip_norm = std::hypot(choice.clip_norm, choice.count_coordinate),
                            .noise_multiplier = choice.noise ? 1.0 : 0.0,
                            .invited = 10,
                            .honest_survivors = 6,
                            .rotated = choice.rotated,
                            .noiseless = !choice.noise})
          .value();
  ClientUpdateParams params = {.dim = choice.dim,
                               .clip_norm = choice.clip_norm,
                               .scale_log2 = derived.scale_log2,
                               .norm_bound_sq = derived.norm_bound_sq,
                               .sigma2 = derived.sigma2_local,
                               .count_coordinate = choice.count_coordinate};
  if (choice.rotated) params.rotation_seed = Digest{4, 5, 6};
  return {.params = params, .derived = derived};
}

ClientUpdateEncoder EncoderOf(const Choice& choice) {
  return ClientUpdateEncoder::Create(Derive(choice).params).value();
}

Uint128 SumOfSquares(const std::vector<uint32_t>& words) {
  Uint128 sum = 0;
  for (uint32_t word : words) {
    const int64_t v = static_cast<int32_t>(word);
    sum += static_cast<Uint128>(v * v);
  }
  return sum;
}

std::vector<int64_t> Signed(const std::vector<uint32_t>& words) {
  return RingToSigned(RingVector(words), 32);
}

// Updates of several shapes, by kind 0 to 4.
std::vector<float> Update(uint64_t dim, double norm, int kind) {
  std::vector<double> u(dim);
  for (uint64_t j = 0; j < dim; ++j) {
    const auto x = static_cast<double>(j);
    u[j] = kind == 0   ? std::sin(1.7 * x + 0.3)
           : kind == 1 ? (j == dim / 2)
           : kind == 2 ? 1
           : kind == 3 ? std::exp(-x / 3)
                       : (j % 2 ? -1e-3 : 1) / (1 + x);
  }
  double sum = 0;
  for (double x : u) sum += x * x;
  std::vector<float> result(dim);
  for (uint64_t j = 0; j < dim; ++j) {
    result[j] = static_cast<float>(u[j] * norm / std::sqrt(sum));
  }
  return result;
}

// Whatever the update, the clip norm, the weight and the rotation: the integers are within B.
TEST(ClientUpdateTest, IntegersNeverExceedTheNormBound) {
  AesCtrRandom random(AesCtrRandom::Seed{1});
  int clipped = 0;
  for (uint64_t dim : {1ul, 2ul, 7ul, 1000ul, 33'000ul}) {
    for (double clip : {1e-3, 1.0, 7.0}) {
      for (bool rotated : {false, true}) {
        const double kappa = rotated ? 0.4 * clip : 0;
        const Choice choice = {
            .dim = dim, .clip_norm = clip, .rotated = rotated, .count_coordinate = kappa};
        const Encoding encoding = Derive(choice);
        const auto encoder = ClientUpdateEncoder::Create(encoding.params).value();
        for (int kind = 0; kind < 5; ++kind) {
          for (double norm : {0.0, 0.5 * clip, clip, 1.5 * clip, 1e30}) {
            std::vector<uint32_t> words(encoder.coordinates());
            const auto outcome =
                encoder.AddUpdate(Update(dim, norm, kind), kind == 3 ? 0.5 : 1, random, 1, words);
            ASSERT_LE(SumOfSquares(words), encoding.derived.norm_bound_sq);
            ASSERT_FALSE(outcome.truncated);
            clipped += outcome.clipped;
          }
        }
      }
    }
  }
  EXPECT_GT(clipped, 100);
}

TEST(ClientUpdateTest, RoundingIsUnbiased) {
  constexpr int kRuns = 20'000;
  const Encoding encoding = Derive({.dim = 5});
  const auto encoder = ClientUpdateEncoder::Create(encoding.params).value();
  const std::vector<float> update = {0.11f, -0.29f, 0.5f, 0.0f, -0.0371f};
  AesCtrRandom random(AesCtrRandom::Seed{2});
  std::vector<int64_t> sum(5);
  for (int run = 0; run < kRuns; ++run) {
    std::vector<uint32_t> words(5);
    encoder.AddUpdate(update, 1, random, 1, words);
    const std::vector<int64_t> v = Signed(words);
    for (size_t j = 0; j < 5; ++j) sum[j] += v[j];
  }
  for (size_t j = 0; j < 5; ++j) {
    const double exact = std::ldexp(double{update[j]}, encoding.derived.scale_log2);
    const double up = exact - std::floor(exact);
    EXPECT_NEAR(static_cast<double>(sum[j]) / kRuns, exact,
                kFalseAlarmDeviations * std::sqrt(up * (1 - up) / kRuns) + 1e-9);
  }
}

TEST(ClientUpdateTest, LargeUpdatesAreScaledToTheClipNorm) {
  for (bool rotated : {false, true}) {
    const Choice choice = {.dim = 50'000, .clip_norm = 2, .rotated = rotated};
    const auto encoder = EncoderOf(choice);
    AesCtrRandom random(AesCtrRandom::Seed{3});
    std::vector<uint32_t> words(encoder.coordinates());
    const std::vector<float> update = Update(50'000, 300, 3);
    EXPECT_TRUE(encoder.AddUpdate(update, 1, random, 1, words).clipped);
    std::vector<float> mean(50'000);
    ASSERT_TRUE(encoder.Decode(Signed(words), 1, 1, mean).ok());
    // A step of the grid is at most C / (4 sqrt(d)) = 0.0023.
    for (size_t j = 0; j < 20; ++j) EXPECT_NEAR(mean[j], update[j] * 2 / 300, 0.011) << j;
  }
}

TEST(ClientUpdateTest, WeightMultipliesAfterClipping) {
  const auto encoder = EncoderOf({.dim = 1000});
  AesCtrRandom random(AesCtrRandom::Seed{4});
  const std::vector<float> update = Update(1000, 10, 1);
  for (double weight : {0.0, 0.25, 1.0}) {
    std::vector<uint32_t> words(1000);
    encoder.AddUpdate(update, weight, random, 1, words);
    std::vector<float> mean(1000);
    ASSERT_TRUE(encoder.Decode(Signed(words), 1, 1, mean).ok());
    EXPECT_NEAR(mean[500], weight, 0.01);
  }
}

TEST(ClientUpdateTest, ManyMembersWithNoiseAverageToTheMean) {
  constexpr uint64_t kDim = 3000;
  constexpr int kMembers = 8;
  for (bool rotated : {false, true}) {
    const Encoding encoding = Derive({.dim = kDim, .rotated = rotated, .noise = true});
    const auto encoder = ClientUpdateEncoder::Create(encoding.params).value();
    AesCtrRandom random(AesCtrRandom::Seed{5});
    RingVector sum = RingZeros(encoder.coordinates(), encoding.derived.bits);
    std::vector<double> expected(kDim);
    for (int member = 0; member < kMembers; ++member) {
      const std::vector<float> update = Update(kDim, 0.9, member % 5);
      for (uint64_t j = 0; j < kDim; ++j) expected[j] += update[j] / double{kMembers};
      std::vector<uint32_t> words = encoder.DrawNoise(random, 1);
      encoder.AddUpdate(update, 1, random, 1, words);
      const std::string packed =
          Pack(RingFromWords(std::move(words), encoding.derived.bits), encoding.derived.bits);
      ASSERT_TRUE(UnpackAndAdd(AsBytes(packed), encoding.derived.bits, &sum).ok());
    }
    std::vector<float> mean(kDim);
    ASSERT_TRUE(encoder.Decode(RingToSigned(sum, encoding.derived.bits), kMembers, 1, mean).ok());
    const double variance = (0.25 + static_cast<double>(encoding.derived.sigma2_local)) /
                            (std::ldexp(1.0, 2 * encoding.derived.scale_log2) * kMembers);
    double squares = 0;
    for (uint64_t j = 0; j < kDim; ++j) squares += std::pow(mean[j] - expected[j], 2);
    // The sum of kDim squared normal errors: deviation sqrt(2 kDim).
    EXPECT_NEAR(squares / variance, kDim, 1.01 * kFalseAlarmDeviations * std::sqrt(2.0 * kDim));
  }
}

TEST(ClientUpdateTest, NoiseIsAddedNotOverwritten) {
  const auto encoder = EncoderOf({.dim = 40'000, .noise = true});
  AesCtrRandom random(AesCtrRandom::Seed{6});
  const std::vector<uint32_t> noise = encoder.DrawNoise(random, 1);
  const std::vector<float> update = Update(40'000, 1, 0);
  AesCtrRandom coins(AesCtrRandom::Seed{7}), same_coins(AesCtrRandom::Seed{7});
  std::vector<uint32_t> with = noise, alone(40'000);
  encoder.AddUpdate(update, 1, coins, 1, with);
  encoder.AddUpdate(update, 1, same_coins, 1, alone);
  for (size_t j = 0; j < noise.size(); ++j) ASSERT_EQ(with[j] - noise[j], alone[j]);
}

TEST(ClientUpdateTest, SameWordsOnAnyNumberOfThreads) {
  for (bool rotated : {false, true}) {
    const auto encoder =
        EncoderOf({.dim = 150'001, .rotated = rotated, .noise = true, .count_coordinate = 0.5});
    const std::vector<float> update = Update(150'001, 3, 0);
    std::vector<uint32_t> first;
    std::vector<float> first_mean;
    for (int threads : {1, 2, 3, 0, 64}) {
      AesCtrRandom random(AesCtrRandom::Seed{8});
      std::vector<uint32_t> words = encoder.DrawNoise(random, threads);
      encoder.AddUpdate(update, 1, random, threads, words);
      std::vector<float> mean(update.size());
      ASSERT_TRUE(encoder.Decode(Signed(words), 1, threads, mean).ok());
      if (first.empty()) {
        first = words;
        first_mean = mean;
      }
      EXPECT_EQ(words, first) << threads;
      EXPECT_EQ(mean, first_mean) << threads;
    }
  }
}

// B^2 as low as the norm of what is sent makes about every second try fail: what is sent in the end
// is within, and what failed has left nothing behind.
TEST(ClientUpdateTest, TriesUntilTheNormIsWithin) {
  ClientUpdateParams params = Derive({.dim = 1000}).params;
  const std::vector<float> update = Update(1000, 1, 0);
  const double scaled = std::ldexp(1.0, params.scale_log2);
  params.norm_bound_sq = static_cast<uint64_t>(scaled * scaled + 1000.0 / 6);
  const auto encoder = ClientUpdateEncoder::Create(params).value();
  AesCtrRandom random(AesCtrRandom::Seed{9});
  int more_than_one = 0;
  for (int run = 0; run < 50; ++run) {
    std::vector<uint32_t> words(1000);
    const auto outcome = encoder.AddUpdate(update, 1, random, 1, words);
    EXPECT_FALSE(outcome.truncated);
    EXPECT_LE(SumOfSquares(words), params.norm_bound_sq);
    more_than_one += outcome.tries > 1;
    const std::vector<int64_t> v = Signed(words);
    for (size_t j = 0; j < v.size(); ++j) {
      ASSERT_LT(std::abs(static_cast<double>(v[j]) - update[j] * scaled), 1.0);
    }
  }
  EXPECT_GT(more_than_one, 10);
  EXPECT_LT(more_than_one, 40);
}

TEST(ClientUpdateTest, TruncatesAfterAllTriesAndSendsZeroAfterThat) {
  ClientUpdateParams params = Derive({.dim = 1000, .noise = true}).params;
  const std::vector<float> update = Update(1000, 1, 0);
  double truncated_sq = 0;
  for (float u : update) {
    truncated_sq += std::pow(std::trunc(std::ldexp(double{u}, params.scale_log2)), 2);
  }
  AesCtrRandom random(AesCtrRandom::Seed{10});
  for (int less : {0, 1}) {
    params.norm_bound_sq = static_cast<uint64_t>(truncated_sq) - static_cast<uint64_t>(less);
    const auto encoder = ClientUpdateEncoder::Create(params).value();
    const std::vector<uint32_t> noise = encoder.DrawNoise(random, 1);
    std::vector<uint32_t> words = noise;
    const auto outcome = encoder.AddUpdate(update, 1, random, 1, words);
    EXPECT_TRUE(outcome.truncated);
    EXPECT_EQ(outcome.tries, 64);
    for (size_t j = 0; j < words.size(); ++j) {
      const double exact = std::ldexp(double{update[j]}, params.scale_log2);
      ASSERT_EQ(static_cast<int32_t>(words[j] - noise[j]),
                less == 0 ? static_cast<int32_t>(exact) : 0);
    }
  }
}

TEST(ClientUpdateTest, UpdatesThatAreNotFiniteAddNothing) {
  for (bool rotated : {false, true}) {
    const auto encoder =
        EncoderOf({.dim = 1000, .rotated = rotated, .noise = true, .count_coordinate = 0.3});
    AesCtrRandom random(AesCtrRandom::Seed{11});
    const std::vector<uint32_t> noise = encoder.DrawNoise(random, 1);
    for (float bad : {kNan, kInfinity, -kInfinity}) {
      std::vector<float> update(1000, 0.1f);
      update[777] = bad;
      std::vector<uint32_t> words = noise;
      EXPECT_FALSE(encoder.AddUpdate(update, 1, random, 1, words).finite);
      EXPECT_EQ(words, noise);
    }
  }
}

TEST(ClientUpdateTest, HugeAndTinyFloatsAreFine) {
  const auto encoder = EncoderOf({.dim = 3});
  AesCtrRandom random(AesCtrRandom::Seed{12});
  std::vector<uint32_t> words(3);
  std::vector<float> mean(3);
  const float largest = std::numeric_limits<float>::max();
  EXPECT_TRUE(
      encoder.AddUpdate(std::vector<float>{largest, -largest, 0}, 1, random, 1, words).clipped);
  ASSERT_TRUE(encoder.Decode(Signed(words), 1, 1, mean).ok());
  EXPECT_NEAR(mean[0], std::sqrt(0.5), 0.15);
  EXPECT_NEAR(mean[1], -std::sqrt(0.5), 0.15);
  words.assign(3, 0);
  const float least = std::numeric_limits<float>::denorm_min();
  EXPECT_FALSE(
      encoder.AddUpdate(std::vector<float>{least, -least, 0}, 1, random, 1, words).clipped);
}

TEST(ClientUpdateTest, CountCoordinateTellsWhoWasWithinTheClipNorm) {
  for (bool rotated : {false, true}) {
    const auto encoder = EncoderOf({.dim = 2000, .rotated = rotated, .count_coordinate = 0.5});
    AesCtrRandom random(AesCtrRandom::Seed{13});
    std::vector<int64_t> sum(encoder.coordinates());
    for (double norm : {0.0, 0.5, 0.99, 1.01, 20.0, 5000.0, 1e9, 2.0}) {  // 3 of 8 within 1
      std::vector<uint32_t> words(encoder.coordinates());
      encoder.AddUpdate(Update(2000, norm, 0), 1, random, 1, words);
      const auto v = Signed(words);
      for (size_t j = 0; j < sum.size(); ++j) sum[j] += v[j];
    }
    std::vector<float> mean(2000);
    double count_mean = 7;
    ASSERT_TRUE(encoder.Decode(sum, 8, 1, mean, &count_mean).ok());
    EXPECT_NEAR(count_mean, 0.5 * (3 - 5) / 8, 0.01);
  }
}

// Every member at B and all noise at its bound: the sum fits the ring of the encoding.
TEST(ClientUpdateTest, SumAtItsBoundDoesNotWrap) {
  for (uint64_t dim : {1ul, 26'000ul}) {
    const ClientEncoding derived = Derive({.dim = dim, .noise = true}).derived;
    const auto bound = static_cast<int64_t>(derived.abs_sum_bound);
    const std::vector<int64_t> sums = {bound, -bound, 0};
    EXPECT_EQ(RingToSigned(RingFromSigned(sums, derived.bits), derived.bits), sums);
    const std::string packed = Pack(sums, derived.bits);
    EXPECT_EQ(RingToSigned(Unpack(AsBytes(packed), 3, derived.bits).value(), derived.bits), sums);
  }
}

TEST(ClientUpdateTest, WordsBecomeTheRingOfAnyWidth) {
  const std::vector<uint32_t> words = {0, 1, 0xffffffff, 0x80000000, 0x7fffffff};
  const std::vector<int64_t> values = {0, 1, -1, -2147483648l, 2147483647};
  for (int bits : {32, 33, 40, 64}) {
    const RingVector ring = RingFromWords(words, bits);
    ASSERT_TRUE(RingFits(ring, bits));
    EXPECT_EQ(RingToSigned(ring, bits), values) << bits;
  }
}

void ExpectRefused(const ClientUpdateParams& params) {
  EXPECT_EQ(ClientUpdateEncoder::Create(params).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(ClientUpdateTest, BadParametersAreRefused) {
  const ClientUpdateParams good = Derive({.dim = 100, .noise = true}).params;
  ASSERT_TRUE(ClientUpdateEncoder::Create(good).ok());
  const double bad[] = {-1, std::numeric_limits<double>::infinity(), std::nan("")};
  ClientUpdateParams params = good;
  for (uint64_t dim : {uint64_t{0}, kMaxDim + 1}) {
    params.dim = dim;
    ExpectRefused(params);
  }
  for (double value : bad) {
    params = good;
    params.clip_norm = value;
    ExpectRefused(params);
    params = good;
    params.count_coordinate = value;
    ExpectRefused(params);
  }
  params = good;
  params.clip_norm = 0;
  ExpectRefused(params);
  params.clip_norm = 1e5;  // 2^20 and more at this scale
  ExpectRefused(params);
  for (int log2 : {-1, 49}) {
    params = good;
    params.scale_log2 = log2;
    ExpectRefused(params);
  }
  params = good;
  params.norm_bound_sq = 0;
  ExpectRefused(params);
  params = good;
  params.sigma2 = (uint64_t{1} << 40) + 1;
  ExpectRefused(params);
}

TEST(ClientUpdateTest, BadSumsAreRefused) {
  const auto encoder = EncoderOf({.dim = 10});
  std::vector<float> out(10);
  const auto code = [&](size_t size, double divisor) {
    return encoder.Decode(std::vector<int64_t>(size), divisor, 1, out).code();
  };
  EXPECT_EQ(code(10, 3), absl::StatusCode::kOk);
  EXPECT_EQ(code(9, 3), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(11, 3), absl::StatusCode::kInvalidArgument);
  for (double divisor : {0.0, -1.0, 1e19, std::nan(""), double{kInfinity}}) {
    EXPECT_EQ(code(10, divisor), absl::StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace dure::dp
