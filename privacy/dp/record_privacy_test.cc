// Tries to prove the private gradient's epsilon wrong. The real code (coins, clipping, rounding,
// noise) runs on two sets of records that differ in one; for events fixed beforehand the counts
// give a lower bound on epsilon (privacy/dp/epsilon_lower_bound_for_test.h), which must not be
// above what the accountant claims.
//
// A mechanism that keeps its promise would be accused with probability below 1e-6 a setting (two
// settings here) if the seeds were drawn anew. That the test can accuse is shown on the same
// mechanism with half the noise.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "privacy/dp/discrete_gaussian.h"
#include "privacy/dp/epsilon_lower_bound_for_test.h"
#include "privacy/dp/fixed_point.h"
#include "privacy/dp/record_accountant.h"
#include "privacy/dp/record_gradient.h"

namespace dure::dp {
namespace {

constexpr int kRuns = 250'000;  // with each set of records
constexpr int kThresholds = 24;
constexpr double kFalseAlarm = 1e-6;
constexpr double kDelta = 1e-3;
constexpr uint32_t kOthers = 3;  // records in both sets

struct Setting {
  size_t dim;
  double sampling_rate;
  uint32_t survivors;  // members whose noise is in the sum
};

// Sums of outputs over all coordinates, of kRuns rounds over records 0 .. records - 1, of which the
// last is the one in question: it pushes every coordinate the same way, as hard as clipping lets
// it.
std::vector<int64_t> Rounds(const Setting& setting, const RecordGradient& gradient, uint64_t sigma2,
                            uint32_t records, uint8_t seed) {
  const ClippedSum none =
      ClippedSum::Create({.dim = setting.dim, .clip_norm = 1, .scale_log2 = gradient.scale_log2})
          .value();
  // The sum of every subset of the records, made once.
  std::vector<ClippedSum> subsets(size_t{1} << (kOthers + 1), none);
  for (size_t subset = 0; subset < subsets.size(); ++subset) {
    for (uint32_t record = 0; record <= kOthers; ++record) {
      if (!(subset >> record & 1)) continue;
      std::vector<float> g(setting.dim, record == kOthers ? 1e3f : 0);
      if (record < kOthers) g[record % setting.dim] = record % 2 ? -0.3f : 0.4f;
      subsets[subset].Add(g);
    }
  }
  AesCtrRandom random(AesCtrRandom::Seed{seed});
  const DiscreteGaussian gaussian = DiscreteGaussian::Create(sigma2).value();
  std::vector<int64_t> noise(setting.dim * setting.survivors * size_t{kRuns});
  gaussian.Fill(random, noise);
  std::vector<int64_t> v(setting.dim);
  std::vector<int64_t> results(kRuns);
  size_t next = 0;
  for (int64_t& result : results) {
    size_t subset = 0;
    for (uint32_t i : PoissonSample(records, setting.sampling_rate, random)) {
      subset |= size_t{1} << i;
    }
    RoundSum(subsets[subset].sums(), random, v);
    for (int64_t x : v) result += x;
    for (size_t i = 0; i < setting.dim * setting.survivors; ++i) result += noise[next++];
  }
  return results;
}

double LowerBound(const Setting& setting, const RecordGradient& gradient, uint64_t sigma2) {
  const auto without = Rounds(setting, gradient, sigma2, kOthers, 31);
  const auto with = Rounds(setting, gradient, sigma2, kOthers + 1, 32);
  const double deviation =
      std::sqrt(static_cast<double>(gradient.sigma2_local * setting.survivors * setting.dim));
  // From -4 to 6 deviations of the honest noise.
  std::vector<int64_t> thresholds;
  for (int i = 0; i < kThresholds; ++i) {
    thresholds.push_back(static_cast<int64_t>(deviation * (-4 + 10.0 * i / (kThresholds - 1))));
  }
  return EpsilonLowerBound(without, with,
                           {.thresholds = thresholds, .delta = kDelta, .false_alarm = kFalseAlarm});
}

class RecordPrivacyTest : public ::testing::TestWithParam<Setting> {};

TEST_P(RecordPrivacyTest, CountsDoNotContradictEpsilonButWouldWithLessNoise) {
  const Setting setting = GetParam();
  const RecordAccountant accountant =
      RecordAccountant::Create({.dim = setting.dim,
                                .clip_norm = 1,
                                .noise_multiplier = 1,
                                .honest_survivors = setting.survivors},
                               setting.sampling_rate)
          .value();
  const RecordGradient gradient = accountant.gradient();
  const double claimed = accountant.Epsilon(1, kDelta)->epsilon;
  const double lower = LowerBound(setting, gradient, gradient.sigma2_local);
  EXPECT_LT(lower, claimed);
  EXPECT_GT(lower, claimed / 3);  // the events are worth looking at
  EXPECT_GT(LowerBound(setting, gradient, gradient.sigma2_local / 4), claimed);
}

INSTANTIATE_TEST_SUITE_P(SmallDimensions, RecordPrivacyTest,
                         ::testing::Values(Setting{1, 1.0, 1}, Setting{4, 0.5, 2}));

}  // namespace
}  // namespace dure::dp
