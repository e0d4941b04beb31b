// Tries to prove the epsilon of each mechanism wrong: the real code runs on two inputs of which one
// has a member (or a record) more, chosen to move the output as far as it can, and the best
// distinguisher for shifted noise, the projection on that move, is counted
// (privacy/dp/epsilon_lower_bound_for_test.h). The lower bound on epsilon must not be above what
// the accountant claims. A mechanism that keeps its promise would be accused with probability below
// 1e-6 if the seeds were drawn anew, five mechanisms here below 5e-6. That the test can accuse is
// shown with half the noise. The private gradient with several members: record_privacy_test.cc.
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "privacy/dp/adaptive_clip.h"
#include "privacy/dp/attempt_cost.h"
#include "privacy/dp/central_noise.h"
#include "privacy/dp/client_encoding.h"
#include "privacy/dp/client_update.h"
#include "privacy/dp/discrete_gaussian.h"
#include "privacy/dp/epsilon_lower_bound_for_test.h"
#include "privacy/dp/fixed_point.h"
#include "privacy/dp/record_gradient.h"

namespace dure::dp {
namespace {

constexpr int kRuns = 150'000;  // on each input
constexpr int kThresholds = 24;
constexpr double kDelta = 1e-3;
constexpr double kNoiseMultiplier = 1.5;

struct Mechanism {
  std::string name;
  AttemptCost cost;
  double move = 0;       // of the statistic, between the inputs
  double deviation = 0;  // of the statistic's honest noise
  // Statistics of kRuns runs, with or without what is protected, at this much noise a party.
  std::function<std::vector<int64_t>(bool with, uint64_t sigma2, AesCtrRandom& random)> run;
};

double LowerBound(const Mechanism& mechanism, uint64_t sigma2) {
  AesCtrRandom first(AesCtrRandom::Seed{1}), second(AesCtrRandom::Seed{2});
  std::vector<int64_t> thresholds;
  for (int i = 0; i < kThresholds; ++i) {
    const double place = -3 * mechanism.deviation +
                         (mechanism.move + 6 * mechanism.deviation) * i / (kThresholds - 1);
    thresholds.push_back(static_cast<int64_t>(std::lround(place)));
  }
  return EpsilonLowerBound(mechanism.run(false, sigma2, first), mechanism.run(true, sigma2, second),
                           {.thresholds = thresholds, .delta = kDelta, .false_alarm = 1e-6});
}

void ExpectNotFalsifiedButWithHalfTheNoise(const Mechanism& mechanism) {
  SCOPED_TRACE(mechanism.name);
  ASSERT_TRUE(ValidateAttemptCost(mechanism.cost).ok());
  const double claimed =
      CurveOf(mechanism.cost, OrdersFor(mechanism.cost)).Epsilon(1, kDelta).epsilon;
  const double lower = LowerBound(mechanism, mechanism.cost.sigma2);
  EXPECT_LT(lower, claimed);
  EXPECT_GT(lower, 0.4 * claimed);  // the events are worth looking at
  EXPECT_GT(LowerBound(mechanism, mechanism.cost.sigma2 / 4), claimed);
}

// Projections on `direction` of: a message out of `messages` (or nothing), and the noise of
// `parties`.
std::vector<int64_t> Project(const std::vector<std::vector<int64_t>>& messages,
                             const std::vector<int64_t>& direction, uint32_t parties,
                             uint64_t sigma2, AesCtrRandom& random) {
  const size_t dim = direction.size();
  const DiscreteGaussian gaussian = DiscreteGaussian::Create(sigma2).value();
  std::vector<int64_t> statistics(kRuns), noise(dim * parties);
  std::vector<int64_t> all(noise.size() * kRuns);
  gaussian.Fill(random, all);
  size_t next = 0;
  for (int run = 0; run < kRuns; ++run) {
    int64_t& sum = statistics[static_cast<size_t>(run)];
    for (uint32_t party = 0; party < parties; ++party) {
      for (size_t j = 0; j < dim; ++j) sum += direction[j] * all[next++];
    }
    if (messages.empty()) continue;
    const auto& message = messages[static_cast<size_t>(run) % messages.size()];
    for (size_t j = 0; j < dim; ++j) sum += direction[j] * message[j];
  }
  return statistics;
}

// A member's clipped update, with a count coordinate or without, in the sum of three members'
// noise; the neighbour sends zeros with noise.
Mechanism ClientMechanism(bool adaptive) {
  constexpr uint32_t kParties = 3;
  // s C' is just below its most, 8 sqrt(d): there rounding adds least to B.
  const uint64_t dim = 4;
  const AdaptiveClip clip = AdaptiveClip::Create({.coordinates = dim,
                                                  .noise_multiplier = kNoiseMultiplier,
                                                  .target_quantile = 0.5,
                                                  .learning_rate = 0.2,
                                                  .count_noise = 1})
                                .value();
  const double clip_norm = adaptive ? 1.99 / clip.EncodedNorm(1) : 1.99;
  const ClientEncoding encoding =
      DeriveClientEncoding({.dim = dim,
                            .clip_norm = adaptive ? clip.EncodedNorm(clip_norm) : clip_norm,
                            .noise_multiplier = kNoiseMultiplier,
                            .invited = kParties,
                            .honest_survivors = kParties})
          .value();
  const ClientUpdateParams params = {
      .dim = adaptive ? dim - 1 : dim,
      .clip_norm = clip_norm,
      .scale_log2 = encoding.scale_log2,
      .norm_bound_sq = encoding.norm_bound_sq,
      .count_coordinate = adaptive ? clip.CountCoordinate(clip_norm) : 0};
  const auto encoder = ClientUpdateEncoder::Create(params).value();
  AesCtrRandom random(AesCtrRandom::Seed{3});
  std::vector<std::vector<int64_t>> messages;
  std::vector<double> mean(dim);
  for (int i = 0; i < 1000; ++i) {
    std::vector<uint32_t> words(dim);
    encoder.AddUpdate(std::vector<float>(params.dim, 1e3f), 1, random, 1, words);
    messages.push_back(RingToSigned(RingVector(words), 32));
    for (size_t j = 0; j < dim; ++j) mean[j] += static_cast<double>(messages.back()[j]) / 1000;
  }
  std::vector<int64_t> direction;
  double norm_sq = 0, move = 0;
  for (double x : mean) {
    direction.push_back(std::lround(10 * x));
    norm_sq += 100 * x * x;
    move += 10 * x * x;
  }
  return {.name = adaptive ? "clipped update with count" : "clipped update",
          .cost = {.dim = dim,
                   .parties = kParties,
                   .sigma2 = encoding.sigma2_local,
                   .norm_bound_sq = encoding.norm_bound_sq},
          .move = move,
          .deviation = std::sqrt(norm_sq * kParties * static_cast<double>(encoding.sigma2_local)),
          .run = [=](bool with, uint64_t sigma2, AesCtrRandom& random) {
            return Project(with ? messages : std::vector<std::vector<int64_t>>(), direction,
                           kParties, sigma2, random);
          }};
}

TEST(MechanismPrivacyTest, ClippedUpdate) {
  ExpectNotFalsifiedButWithHalfTheNoise(ClientMechanism(false));
}

TEST(MechanismPrivacyTest, ClippedUpdateWithItsCount) {
  ExpectNotFalsifiedButWithHalfTheNoise(ClientMechanism(true));
}

// A trusted coordinator's noise on a sum that a member moves by B, in one coordinate. Runs lie side
// by side in one long vector.
TEST(MechanismPrivacyTest, CentralNoise) {
  constexpr int64_t kMove = 40;
  const auto sigma2 = static_cast<uint64_t>(std::ceil(std::pow(kNoiseMultiplier * kMove, 2)));
  ExpectNotFalsifiedButWithHalfTheNoise(
      {.name = "central noise",
       .cost = {.dim = 1, .parties = 1, .sigma2 = sigma2, .norm_bound_sq = kMove * kMove},
       .move = kMove,
       .deviation = std::sqrt(static_cast<double>(sigma2)),
       .run = [](bool with, uint64_t sigma2, AesCtrRandom& random) {
         std::vector<int64_t> sums(kRuns, with ? kMove : 0);
         EXPECT_TRUE(AddCentralNoise(sigma2, random, 1, sums).ok());
         return sums;
       }});
}

// One step of private local training: secret coins, clipped gradients as integers, rounding, one
// member's own noise. The record in question pushes all coordinates as hard as it may.
TEST(MechanismPrivacyTest, LocalStep) {
  constexpr double kSamplingRate = 0.5;
  constexpr size_t kDim = 4;
  const RecordGradient gradient =
      DeriveRecordGradient(
          {.dim = kDim, .clip_norm = 1, .noise_multiplier = 1, .honest_survivors = 1})
          .value();
  ClippedSum sum =
      ClippedSum::Create({.dim = kDim, .clip_norm = 1, .scale_log2 = gradient.scale_log2}).value();
  sum.Add(std::vector<float>(kDim, 1e3f));
  const std::vector<int64_t> record(sum.sums().begin(), sum.sums().end());
  const double move = kDim * 0.5 * static_cast<double>(gradient.scale);
  ExpectNotFalsifiedButWithHalfTheNoise(
      {.name = "local step",
       .cost = {.dim = kDim,
                .parties = 1,
                .sigma2 = gradient.sigma2_local,
                .norm_bound_sq = gradient.norm_bound_sq,
                .sampling_rate = kSamplingRate},
       .move = move,
       .deviation = std::sqrt(kDim * static_cast<double>(gradient.sigma2_local)),
       .run = [&](bool with, uint64_t sigma2, AesCtrRandom& random) {
         std::vector<int64_t> statistics =
             Project({}, std::vector<int64_t>(kDim, 1), 1, sigma2, random);
         const std::vector<uint32_t> sampled =
             PoissonSample(with ? kRuns : 0, kSamplingRate, random);
         std::vector<int64_t> v(kDim);
         for (uint32_t run : sampled) {
           RoundSum(record, random, v);
           for (int64_t x : v) statistics[run] += x;
         }
         return statistics;
       }});
}

}  // namespace
}  // namespace dure::dp
