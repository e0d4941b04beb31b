// Tries to prove the private gradient's epsilon wrong. The real code (coins, clipping, rounding,
// noise) runs on two sets of records that differ in one; for events fixed beforehand the counts
// give a lower bound on epsilon, which must not be above what the accountant claims.
//
// If P[E] >= p_low under one set and P[E] <= p_high under the other, then every epsilon of the
// mechanism is at least ln((p_low - delta) / p_high). Both limits are Chernoff's, each wrong with
// probability at most 1e-6 / (4 events), so that a mechanism that keeps its promise would be
// accused with probability below 1e-6 a setting (two settings here) if the seeds were drawn anew.
// That the test can accuse is shown on the same mechanism with a quarter of the noise.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "privacy/dp/discrete_gaussian.h"
#include "privacy/dp/fixed_point.h"
#include "privacy/dp/record_accountant.h"
#include "privacy/dp/record_gradient.h"

namespace dure::dp {
namespace {

constexpr int kRuns = 250'000;  // with each set of records
constexpr int kEvents = 64;     // thresholds, for each direction
constexpr double kFalseAlarm = 1e-6;
constexpr double kDelta = 1e-5;
constexpr uint32_t kOthers = 3;  // records in both sets

struct Setting {
  size_t dim;
  double sampling_rate;
  uint32_t survivors;  // members whose noise is in the sum
};

// The largest (or smallest) p that Chernoff's bound leaves possible after `count` of kRuns.
double Limit(int count, bool upper) {
  const double allowed = std::log(4 * kEvents / kFalseAlarm) / kRuns;
  const double seen = static_cast<double>(count) / kRuns;
  auto divergence = [seen](double p) {
    double sum = 0;
    if (seen > 0) sum += seen * std::log(seen / p);
    if (seen < 1) sum += (1 - seen) * std::log((1 - seen) / (1 - p));
    return sum;
  };
  double possible = seen;
  double impossible = upper ? 1 : 0;
  for (int i = 0; i < 60; ++i) {
    const double middle = (possible + impossible) / 2;
    (divergence(middle) <= allowed ? possible : impossible) = middle;
  }
  return impossible;
}

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
  std::sort(results.begin(), results.end());
  return results;
}

// The best lower bound on epsilon over all events, in both directions.
double EpsilonLowerBound(const Setting& setting, const RecordGradient& gradient, uint64_t sigma2) {
  const auto without = Rounds(setting, gradient, sigma2, kOthers, 31);
  const auto with = Rounds(setting, gradient, sigma2, kOthers + 1, 32);
  const double deviation =
      std::sqrt(static_cast<double>(gradient.sigma2_local * setting.survivors * setting.dim));
  double best = 0;
  for (int event = 0; event < kEvents; ++event) {
    // Thresholds from -5 to 7 deviations of the honest noise.
    const auto threshold = static_cast<int64_t>(deviation * (-5 + 12.0 * event / (kEvents - 1)));
    auto below = [threshold](const std::vector<int64_t>& sorted) {
      return static_cast<int>(std::lower_bound(sorted.begin(), sorted.end(), threshold) -
                              sorted.begin());
    };
    const int below_without = below(without);
    const int below_with = below(with);
    const double likelier_above = Limit(kRuns - below_with, false) - kDelta;
    const double likelier_below = Limit(below_without, false) - kDelta;
    if (likelier_above > 0) {
      best = std::max(best, std::log(likelier_above / Limit(kRuns - below_without, true)));
    }
    if (likelier_below > 0) {
      best = std::max(best, std::log(likelier_below / Limit(below_with, true)));
    }
  }
  return best;
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
  const double lower = EpsilonLowerBound(setting, gradient, gradient.sigma2_local);
  EXPECT_LT(lower, claimed);
  EXPECT_GT(lower, claimed / 3);  // the events are worth looking at
  EXPECT_GT(EpsilonLowerBound(setting, gradient, gradient.sigma2_local / 16), claimed);
}

INSTANTIATE_TEST_SUITE_P(SmallDimensions, RecordPrivacyTest,
                         ::testing::Values(Setting{1, 1.0, 1}, Setting{4, 0.5, 2}));

}  // namespace
}  // namespace dure::dp
