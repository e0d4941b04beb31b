// Adaptive clipping against the known answers, and in simulations: started far too high and far too
// low it must find the quantile and stay, with the noise on. All seeds are fixed.
#include "privacy/dp/adaptive_clip.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "privacy/dp/client_encoding.h"
#include "privacy/dp/client_update.h"
#include "privacy/dp/discrete_gaussian.h"
#include "tests/support/golden.h"

namespace dure::dp {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

AdaptiveClipParams Params() {
  return {.coordinates = 100'000,
          .noise_multiplier = 1,
          .target_quantile = 0.5,
          .learning_rate = 0.2,
          .count_noise = 5};
}

TEST(AdaptiveClipTest, NoiseIsSplitAsKnown) {
  for (const testing::Row& row : testing::ReadGolden("adaptive_clip_noise_split.csv")) {
    AdaptiveClipParams params = Params();
    params.noise_multiplier = std::stod(row.at("z_total"));
    params.count_noise = std::stod(row.at("sigma_b"));
    const auto clip = AdaptiveClip::Create(params);
    ASSERT_TRUE(clip.ok()) << clip.status();
    const double expected = std::stod(row.at("z_delta"));
    EXPECT_NEAR(clip->z_delta(), expected, 1e-12 * expected);
    // The norm of a message at C = 3, and the count's noise in members.
    const double kappa = clip->CountCoordinate(3);
    EXPECT_NEAR(clip->EncodedNorm(3), std::hypot(3, kappa), 1e-12 * clip->EncodedNorm(3));
    EXPECT_NEAR(params.noise_multiplier * clip->EncodedNorm(3) / (2 * kappa), params.count_noise,
                1e-12 * params.count_noise);
  }
}

TEST(AdaptiveClipTest, StepsAreTheKnownOnes) {
  double clip = 1;
  for (const testing::Row& row : testing::ReadGolden("adaptive_clip_update.csv")) {
    AdaptiveClipParams params = Params();
    params.target_quantile = std::stod(row.at("target_quantile"));
    params.learning_rate = std::stod(row.at("lr"));
    if (row.at("step") == "0") clip = 1;
    clip = AdaptiveClip::Create(params)->Next(clip, std::stod(row.at("noised_fraction_below")));
    const double expected = std::stod(row.at("clip_after"));
    EXPECT_NEAR(clip, expected, 1e-12 * expected);
  }
}

// Against the library's exponential, which may differ from machine to machine in the last bit.
TEST(AdaptiveClipTest, ExponentialIsRight) {
  AdaptiveClipParams params = Params();
  params.learning_rate = 1;
  const auto clip = AdaptiveClip::Create(params).value();
  for (double step = -4; step <= 4; step += 0.0371) {
    const double expected = std::exp(step);
    EXPECT_NEAR(clip.Next(1, 0.5 - step), expected, 1e-15 * expected);
  }
}

TEST(AdaptiveClipTest, StepsAndClipNormsHaveLimits) {
  const auto clip = AdaptiveClip::Create(Params()).value();
  EXPECT_DOUBLE_EQ(clip.Next(1, -kInfinity), std::exp(4.0));
  EXPECT_DOUBLE_EQ(clip.Next(1, kInfinity), std::exp(-4.0));
  EXPECT_EQ(clip.Next(1, std::nan("")), 1);
  EXPECT_EQ(clip.Next(1e300, 0.5), clip.max_clip());
  EXPECT_EQ(clip.Next(1e-300, 0.5), clip.min_clip());
  double low = 1, high = 1;
  for (int i = 0; i < 1000; ++i) {
    low = clip.Next(low, 1);
    high = clip.Next(high, 0);
  }
  EXPECT_EQ(low, clip.min_clip());
  EXPECT_EQ(high, clip.max_clip());
}

// At both ends, for any number of coordinates, there is an encoding.
TEST(AdaptiveClipTest, EveryClipNormWithinTheLimitsCanBeEncoded) {
  for (uint64_t coordinates : {1ul, 100ul, 26'011ul, 10'000'000ul}) {
    for (double count_noise : {0.6, 5.0, 1e5}) {
      AdaptiveClipParams params = Params();
      params.coordinates = coordinates;
      params.count_noise = count_noise;
      const auto clip = AdaptiveClip::Create(params);
      ASSERT_TRUE(clip.ok()) << clip.status();
      for (double norm : {clip->min_clip(), 1.0, clip->max_clip()}) {
        const double within = std::clamp(norm, clip->min_clip(), clip->max_clip());
        const auto encoding = DeriveClientEncoding({.dim = coordinates,
                                                    .clip_norm = clip->EncodedNorm(within),
                                                    .noise_multiplier = 1,
                                                    .invited = 100,
                                                    .honest_survivors = 60});
        ASSERT_TRUE(encoding.ok()) << encoding.status();
        EXPECT_TRUE(ClientUpdateEncoder::Create({.dim = std::max<uint64_t>(1, coordinates - 1),
                                                 .clip_norm = within,
                                                 .scale_log2 = encoding->scale_log2,
                                                 .norm_bound_sq = encoding->norm_bound_sq,
                                                 .count_coordinate = clip->CountCoordinate(within)})
                        .ok());
      }
    }
  }
}

void ExpectRefused(const AdaptiveClipParams& params, const std::string& name) {
  const absl::Status status = AdaptiveClip::Create(params).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message().substr(0, name.size()), name);
}

TEST(AdaptiveClipTest, BadParametersAreRefused) {
  ASSERT_TRUE(AdaptiveClip::Create(Params()).ok());
  for (double value : {0.0, -1.0, kInfinity, std::nan("")}) {
    AdaptiveClipParams params = Params();
    params.noise_multiplier = value;
    ExpectRefused(params, "noise_multiplier");
    params = Params();
    params.target_quantile = value;
    ExpectRefused(params, "target_quantile");
    params = Params();
    params.learning_rate = value;
    ExpectRefused(params, "clip_learning_rate");
    params = Params();
    params.count_noise = value;
    ExpectRefused(params, "clip_count_noise");
  }
  AdaptiveClipParams params = Params();
  params.coordinates = 0;
  ExpectRefused(params, "coordinates");
  params = Params();
  params.target_quantile = 1;
  ExpectRefused(params, "target_quantile");
  params = Params();
  params.learning_rate = 1.01;
  ExpectRefused(params, "clip_learning_rate");
  params = Params();
  for (double count_noise : {0.3, 0.5, 0.5000001, 1e-300}) {  // z / 2 and below leave nothing
    params.count_noise = count_noise;
    ExpectRefused(params, "clip_count_noise");
  }
}

enum class Norms { kLognormal, kHeavyTail, kEqual };

// Sorted norms of `members`, at evenly spread quantiles.
std::vector<double> SortedNorms(Norms kind, int members) {
  std::vector<double> norms(static_cast<size_t>(members));
  for (int i = 0; i < members; ++i) {
    const double p = (i + 0.5) / members;
    // Lognormal by a logistic of nearly the same shape; Pareto with an infinite mean.
    norms[static_cast<size_t>(i)] = kind == Norms::kLognormal   ? 2 * std::pow(p / (1 - p), 0.55)
                                    : kind == Norms::kHeavyTail ? std::pow(1 - p, -1.0)
                                                                : 0.7;
  }
  return norms;
}

double ShareWithin(const std::vector<double>& sorted, double clip) {
  return static_cast<double>(std::upper_bound(sorted.begin(), sorted.end(), clip) -
                             sorted.begin()) /
         static_cast<double>(sorted.size());
}

struct Simulation {
  Norms norms;
  int members;
  double quantile;
};

class AdaptiveClipRunTest : public ::testing::TestWithParam<Simulation> {};

// 800 rounds from a clip norm that is up to 1000 times too high or too low. From round 400 on: the
// share of members within C is on average the one that is wanted, and C stays near that quantile.
TEST_P(AdaptiveClipRunTest, FindsTheQuantileFromBothSidesAndStays) {
  constexpr int kRounds = 800, kFound = 400;
  const Simulation simulation = GetParam();
  AdaptiveClipParams params = Params();
  params.target_quantile = simulation.quantile;
  params.count_noise = std::max(1.0, simulation.members / 20.0);
  const auto adaptive = AdaptiveClip::Create(params).value();
  const std::vector<double> norms = SortedNorms(simulation.norms, simulation.members);
  auto quantile = [&](double p) {
    const double index = p * simulation.members;
    return norms[static_cast<size_t>(std::clamp(index, 0.0, simulation.members - 1.0))];
  };
  const DiscreteGaussian gaussian = DiscreteGaussian::Create(1'000'000).value();
  uint8_t seed = 0;
  for (double start : {0.001, 0.1, 10.0, 1000.0}) {
    AesCtrRandom random(AesCtrRandom::Seed{++seed});
    std::vector<int64_t> noise(kRounds);
    gaussian.Fill(random, noise);
    double clip = start * quantile(simulation.quantile);
    double share_sum = 0;
    for (int round = 0; round < kRounds; ++round) {
      const double share = ShareWithin(norms, clip);
      const double noised = share + static_cast<double>(noise[static_cast<size_t>(round)]) / 1000 *
                                        params.count_noise / simulation.members;
      clip = adaptive.Next(clip, noised);
      if (round < kFound) continue;
      share_sum += share / (kRounds - kFound);
      ASSERT_GT(clip, quantile(simulation.quantile - 0.2) / 1.6) << start << " " << round;
      ASSERT_LT(clip, quantile(simulation.quantile + 0.2) * 1.6) << start << " " << round;
    }
    if (simulation.norms != Norms::kEqual) {
      EXPECT_NEAR(share_sum, simulation.quantile, 0.04) << start;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    NormsMembersAndQuantiles, AdaptiveClipRunTest,
    ::testing::Values(
        Simulation{Norms::kLognormal, 20, 0.5}, Simulation{Norms::kLognormal, 20, 0.1},
        Simulation{Norms::kLognormal, 20, 0.9}, Simulation{Norms::kLognormal, 1000, 0.5},
        Simulation{Norms::kLognormal, 1000, 0.1}, Simulation{Norms::kLognormal, 1000, 0.9},
        Simulation{Norms::kHeavyTail, 20, 0.5}, Simulation{Norms::kHeavyTail, 20, 0.9},
        Simulation{Norms::kHeavyTail, 1000, 0.1}, Simulation{Norms::kHeavyTail, 1000, 0.9},
        Simulation{Norms::kEqual, 20, 0.5}, Simulation{Norms::kEqual, 1000, 0.1},
        Simulation{Norms::kEqual, 1000, 0.9}));

// Members that send zeros only: C falls to its limit, stays, and comes back when there is something
// to clip again.
TEST(AdaptiveClipTest, ComesBackFromItsLimitAfterZeros) {
  const auto adaptive = AdaptiveClip::Create(Params()).value();
  double clip = 1;
  for (int round = 0; round < 300; ++round) clip = adaptive.Next(clip, 1);
  EXPECT_EQ(clip, adaptive.min_clip());
  for (int round = 0; round < 300; ++round) clip = adaptive.Next(clip, clip < 2 ? 0 : 1);
  EXPECT_NEAR(clip, 2, 0.2);
}

// The whole path: encoder, noise of every member, sum in the ring, decoding.
double RunRounds(double start, int rounds) {
  constexpr uint64_t kDim = 40;
  constexpr uint32_t kMembers = 20;
  const auto adaptive = AdaptiveClip::Create({.coordinates = kDim + 1,
                                              .noise_multiplier = 1,
                                              .target_quantile = 0.5,
                                              .learning_rate = 0.2,
                                              .count_noise = 1})
                            .value();
  AesCtrRandom random(AesCtrRandom::Seed{99});
  double clip = start;
  for (int round = 0; round < rounds; ++round) {
    const ClientEncoding encoding = DeriveClientEncoding({.dim = kDim + 1,
                                                          .clip_norm = adaptive.EncodedNorm(clip),
                                                          .noise_multiplier = 1,
                                                          .invited = kMembers,
                                                          .honest_survivors = kMembers})
                                        .value();
    const auto encoder =
        ClientUpdateEncoder::Create({.dim = kDim,
                                     .clip_norm = clip,
                                     .scale_log2 = encoding.scale_log2,
                                     .norm_bound_sq = encoding.norm_bound_sq,
                                     .sigma2 = encoding.sigma2_local,
                                     .count_coordinate = adaptive.CountCoordinate(clip)})
            .value();
    RingVector sum = RingZeros(kDim + 1, encoding.bits);
    for (uint32_t member = 0; member < kMembers; ++member) {
      // Norms 0.5 to 1.45: the median is 1.
      std::vector<float> update(kDim);
      update[member] = 0.5f + 0.05f * static_cast<float>(member);
      std::vector<uint32_t> words = encoder.DrawNoise(random, 1);
      encoder.AddUpdate(update, 1, random, 1, words);
      const std::string packed =
          Pack(RingFromWords(std::move(words), encoding.bits), encoding.bits);
      EXPECT_TRUE(UnpackAndAdd(AsBytes(packed), encoding.bits, &sum).ok());
    }
    std::vector<float> mean(kDim);
    double count_mean = 0;
    EXPECT_TRUE(
        encoder.Decode(RingToSigned(sum, encoding.bits), kMembers, 1, mean, &count_mean).ok());
    clip = adaptive.Next(clip, adaptive.ShareWithin(count_mean, clip));
  }
  return clip;
}

TEST(AdaptiveClipTest, ConvergesThroughTheWholePipeline) {
  for (double start : {0.1, 10.0}) {
    EXPECT_NEAR(RunRounds(start, 60), 1, 0.3) << start;
    EXPECT_NEAR(RunRounds(start, 90), 1, 0.3) << start;
  }
}

}  // namespace
}  // namespace dure::dp
