// The sampler against tests/golden/discrete_gaussian_pmf.csv. The seeds are fixed, so that a run
// never differs from the last; every statistical check would fail a correct sampler with
// probability 1e-6, all of this file together below 5e-5, if the seeds were drawn anew.
#include "privacy/dp/discrete_gaussian.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "privacy/dp/scaled_exp.h"
#include "tests/support/golden.h"

namespace dure::dp {

class SlotsForTest {
 public:
  explicit SlotsForTest(uint64_t sigma2) : gaussian_(DiscreteGaussian::Create(sigma2).value()) {}

  uint64_t scale() const { return gaussian_.scale_; }
  uint64_t blocks() const { return gaussian_.undecided_.size(); }
  uint64_t width() const { return uint64_t{1} << gaussian_.block_log2_; }
  uint64_t sure(uint64_t k) const { return gaussian_.undecided_[k] - gaussian_.first_[k]; }
  uint64_t undecided(uint64_t k) const { return gaussian_.first_[k + 1] - gaussian_.undecided_[k]; }
  uint64_t first(uint64_t k) const { return gaussian_.first_[k]; }
  // The block that the guide names for all slots of a cell; 255: none.
  uint64_t guide(uint64_t cell) const { return gaussian_.guide_[cell]; }
  int64_t BlockOfSlot(uint64_t slot, RandomWords& words) const {
    return gaussian_.BlockOfSlot(slot, words);
  }
  int64_t TailBlock(RandomWords& words) const { return gaussian_.TailBlock(words); }

 private:
  DiscreteGaussian gaussian_;
};

namespace {

constexpr double kFalseAlarm = 1e-6;
constexpr double kFalseAlarmDeviations = 4.8917;  // |N(0, 1)| above it: 1e-6
constexpr size_t kDraws = 1'000'000;              // for each variance

std::vector<int64_t> Draw(uint64_t sigma2, size_t count, uint8_t seed) {
  AesCtrRandom random(AesCtrRandom::Seed{seed});
  std::vector<int64_t> samples(count);
  DiscreteGaussian::Create(sigma2).value().Fill(random, samples);
  return samples;
}

// P[chi-square with `freedom` degrees of freedom >= x]: the finite sums for even and odd.
double ChiSquareTail(double x, int freedom) {
  const double y = x / 2;
  double sum = freedom % 2 == 1 ? std::erfc(std::sqrt(y)) : 0;
  double term = freedom % 2 == 1 ? std::exp(-y) * std::sqrt(y) / std::tgamma(1.5) : std::exp(-y);
  for (double next = freedom % 2 == 1 ? 1.5 : 1; next <= freedom / 2.0; ++next) {
    sum += term;
    term *= y / next;
  }
  return sum;
}

// Pearson's statistic of `counts` against `probabilities`, which sum to 1.
double PValue(const std::vector<double>& counts, const std::vector<double>& probabilities) {
  EXPECT_NEAR(std::accumulate(probabilities.begin(), probabilities.end(), 0.0), 1, 1e-9);
  const double total = std::accumulate(counts.begin(), counts.end(), 0.0);
  double statistic = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    const double expected = total * probabilities[i];
    EXPECT_GE(expected, 5);
    statistic += (counts[i] - expected) * (counts[i] - expected) / expected;
  }
  return ChiSquareTail(statistic, static_cast<int>(counts.size()) - 1);
}

TEST(ChiSquareTailTest, KnownQuantiles) {
  EXPECT_NEAR(ChiSquareTail(3.841458820694124, 1), 0.05, 1e-12);
  EXPECT_NEAR(ChiSquareTail(5.991464547107979, 2), 0.05, 1e-12);
  EXPECT_NEAR(ChiSquareTail(18.307038053275146, 10), 0.05, 1e-12);
  EXPECT_NEAR(ChiSquareTail(7.814727903251179, 3), 0.05, 1e-12);
}

struct Known {
  std::vector<int64_t> x;          // 0 = x[0] < x[1] < ...
  std::vector<double> upper_tail;  // P[X >= x]
  double pmf_0 = 0;
  double variance = 0;
  double fourth_moment = 0;
};

std::map<uint64_t, Known> KnownBySigma2() {
  std::map<uint64_t, Known> known;
  for (const testing::Row& row : testing::ReadGolden("discrete_gaussian_pmf.csv")) {
    const double sigma2 = std::stod(row.at("sigma2"));
    if (sigma2 < 1) continue;
    Known& one = known[static_cast<uint64_t>(sigma2)];
    one.x.push_back(std::stoll(row.at("x")));
    one.upper_tail.push_back(std::stod(row.at("upper_tail_ge_x")));
    if (one.x.back() == 0) one.pmf_0 = std::stod(row.at("pmf"));
    one.variance = std::stod(row.at("variance"));
    one.fourth_moment = std::stod(row.at("fourth_moment"));
  }
  return known;
}

// Cells: 0; on each side x[i] .. x[i + 1] - 1, the last one without an end.
TEST(DiscreteGaussianTest, FrequenciesAreThoseOfThePmf) {
  auto known = KnownBySigma2();
  ASSERT_EQ(known.size(), 4u);
  for (const auto& [sigma2, one] : known) {
    size_t last = one.x.size() - 1;
    while (one.upper_tail[last] * kDraws < 20) --last;
    std::vector<double> probabilities(1 + 2 * last);
    std::vector<double> counts(1 + 2 * last);
    probabilities[0] = one.pmf_0;
    for (size_t i = 1; i <= last; ++i) {
      const double next = i < last ? one.upper_tail[i + 1] : 0;
      probabilities[i] = probabilities[last + i] = one.upper_tail[i] - next;
    }
    for (int64_t sample : Draw(sigma2, kDraws, 1)) {
      auto above = std::upper_bound(one.x.begin(), one.x.begin() + static_cast<long>(last) + 1,
                                    std::abs(sample));
      auto cell = static_cast<size_t>(above - one.x.begin()) - 1;
      ++counts[sample < 0 ? last + cell : cell];
    }
    EXPECT_GT(PValue(counts, probabilities), kFalseAlarm) << "sigma2 = " << sigma2;
  }
}

TEST(DiscreteGaussianTest, MomentsAreThoseOfThePmf) {
  for (const auto& [sigma2, one] : KnownBySigma2()) {
    double sum = 0;
    double squares = 0;
    for (int64_t sample : Draw(sigma2, kDraws, 2)) {
      const auto x = static_cast<double>(sample);
      sum += x;
      squares += x * x;
    }
    const double root_draws = std::sqrt(static_cast<double>(kDraws));
    const double spread = std::sqrt(one.fourth_moment - one.variance * one.variance);
    EXPECT_NEAR(sum / kDraws, 0, kFalseAlarmDeviations * std::sqrt(one.variance) / root_draws);
    EXPECT_NEAR(squares / kDraws, one.variance, kFalseAlarmDeviations * spread / root_draws);
  }
}

// At sigma = 2^20 the continuous Gaussian differs from the discrete one by less than 1e-6 in any
// cell: cells of half a sigma.
TEST(DiscreteGaussianTest, LargestVarianceLooksContinuous) {
  constexpr int kSide = 7;
  const double sigma = 0x1p20;
  auto upper = [](double x) { return std::erfc(x / std::sqrt(2.0)) / 2; };
  std::vector<double> probabilities, counts(2 * kSide);
  for (int side = 0; side < 2; ++side) {
    for (int i = 0; i < kSide; ++i) {
      probabilities.push_back(upper(i * 0.5) - (i + 1 < kSide ? upper((i + 1) * 0.5) : 0));
    }
  }
  for (int64_t sample : Draw(DiscreteGaussian::kMaxSigma2, kDraws, 3)) {
    const double x = static_cast<double>(sample) / sigma;
    const int cell = std::min(kSide - 1, static_cast<int>(std::abs(x) * 2));
    ++counts[x < 0 ? kSide + cell : cell];
  }
  EXPECT_GT(PValue(counts, probabilities), kFalseAlarm);
}

// exp(-x^2 / (2 sigma2)) without the constant, summed over [from, to).
long double Mass(int64_t from, int64_t to, uint64_t sigma2) {
  long double sum = 0;
  for (int64_t x = from; x < to; ++x) {
    const auto exact = static_cast<long double>(x * x);
    sum += std::exp(-exact / (2.0L * static_cast<long double>(sigma2)));
  }
  return sum;
}

// Variances with blocks of several widths: magnitudes against the sums of the pmf. The cells are a
// ninth of a deviation, so that an error of any one block would show.
TEST(DiscreteGaussianTest, LargeVariancesHaveTheirOwnPmf) {
  constexpr int kCells = 36;
  for (uint64_t sigma2 : {255ul, 257ul, 1025ul, 4095ul, 1'000'003ul, 45'624'361ul}) {
    const auto sigma = static_cast<int64_t>(std::sqrt(static_cast<double>(sigma2)));
    const int64_t width = std::max<int64_t>(1, sigma / 9);
    std::vector<double> masses, counts(kCells);
    for (int cell = 0; cell < kCells; ++cell) {
      const int64_t end = cell + 1 < kCells ? (cell + 1) * width : 12 * sigma;
      const long double both = 2 * Mass(cell * width, end, sigma2) - (cell == 0 ? 1 : 0);
      masses.push_back(static_cast<double>(both));
    }
    const double total = std::accumulate(masses.begin(), masses.end(), 0.0);
    for (double& mass : masses) mass /= total;
    for (int64_t sample : Draw(sigma2, kDraws, 11)) {
      ++counts[static_cast<size_t>(std::min<int64_t>(kCells - 1, std::abs(sample) / width))];
    }
    EXPECT_GT(PValue(counts, masses), kFalseAlarm) << "sigma2 = " << sigma2;
  }
}

// The place within a block of 256: at one sigma the density falls by 1/20 across a block, so that a
// wrong step 3 would show here first.
TEST(DiscreteGaussianTest, PlacesWithinABlockHaveTheirOwnPmf) {
  constexpr uint64_t kSigma2 = 45'624'361;
  constexpr int kParts = 16;
  ASSERT_EQ(SlotsForTest(kSigma2).width(), 256u);
  std::vector<double> masses(kParts), counts(kParts);
  for (int64_t block = 0; block < 12 * 27; ++block) {
    for (int part = 0; part < kParts; ++part) {
      const int64_t start = block * 256 + part * (256 / kParts);
      const long double mass = Mass(start, start + 256 / kParts, kSigma2);
      masses[part] += static_cast<double>(2 * mass - (start == 0 ? 1 : 0));
    }
  }
  const double total = std::accumulate(masses.begin(), masses.end(), 0.0);
  for (double& mass : masses) mass /= total;
  for (int64_t sample : Draw(kSigma2, kDraws, 12)) {
    ++counts[static_cast<size_t>(std::abs(sample) % 256 / (256 / kParts))];
  }
  EXPECT_GT(PValue(counts, masses), kFalseAlarm);
}

TEST(DiscreteGaussianTest, TailsAreAsHeavyAsTheyShouldBe) {
  constexpr uint64_t kSigma2 = 10'000;
  const auto samples = Draw(kSigma2, kDraws, 13);
  const auto total = static_cast<double>(2 * Mass(0, 1200, kSigma2) - 1);
  for (int64_t deviations : {2, 3, 4}) {
    const int64_t least = 100 * deviations;
    const double p = static_cast<double>(Mass(least, 1200, kSigma2)) / total;
    const double spread = std::sqrt(kDraws * p * (1 - p));
    const auto above =
        std::count_if(samples.begin(), samples.end(), [&](int64_t x) { return x >= least; });
    const auto below =
        std::count_if(samples.begin(), samples.end(), [&](int64_t x) { return x <= -least; });
    EXPECT_NEAR(static_cast<double>(above), kDraws * p, kFalseAlarmDeviations * spread);
    EXPECT_NEAR(static_cast<double>(below), kDraws * p, kFalseAlarmDeviations * spread);
  }
}

TEST(DiscreteGaussianTest, SignsAreFairAtEveryMagnitude) {
  constexpr int kSide = 7;
  double negative[kSide] = {}, all[kSide] = {};
  for (int64_t sample : Draw(45'624'361, kDraws, 14)) {
    if (sample == 0) continue;
    const auto cell = std::min<int64_t>(kSide - 1, std::abs(sample) * 2 / 6754);
    ++all[cell];
    negative[cell] += sample < 0;
  }
  for (int cell = 0; cell < kSide; ++cell) {
    EXPECT_NEAR(negative[cell], all[cell] / 2,
                kFalseAlarmDeviations * std::sqrt(all[cell]) / 2 + 1);
  }
}

// Samples in a row, and further apart, do not know of each other: products have mean 0.
TEST(DiscreteGaussianTest, NeighboursAreUncorrelated) {
  const std::vector<int64_t> samples = Draw(1000, kDraws, 4);
  for (size_t lag : {1, 2, 3, 255, 256}) {
    double sum = 0;
    for (size_t i = lag; i < samples.size(); ++i) {
      sum += static_cast<double>(samples[i]) * static_cast<double>(samples[i - lag]);
    }
    EXPECT_NEAR(sum, 0, kFalseAlarmDeviations * 1000 * std::sqrt(static_cast<double>(kDraws)));
  }
}

// Pairs in a table of four quarters each, which also sees what products do not.
TEST(DiscreteGaussianTest, NeighboursAreIndependent) {
  constexpr int64_t kQuartile = 4555;  // 0.6745 sigma
  auto quarter = [](int64_t x) -> size_t {
    return x < -kQuartile ? 0 : x < 0 ? 1 : x < kQuartile ? 2 : 3;
  };
  const std::vector<int64_t> samples = Draw(45'624'361, kDraws, 15);
  double singles[4] = {};
  for (int64_t sample : samples) ++singles[quarter(sample)];
  std::vector<double> counts(16), expected(16);
  for (size_t i = 0; i + 1 < samples.size(); i += 2) {
    ++counts[4 * quarter(samples[i]) + quarter(samples[i + 1])];
  }
  for (size_t i = 0; i < 16; ++i) {
    expected[i] = singles[i / 4] * singles[i % 4] / static_cast<double>(kDraws * kDraws);
  }
  EXPECT_GT(PValue(counts, expected), kFalseAlarm);
}

// What makes step 1 exact: the real S g(k) lies within the slots that are compared by digits.
TEST(DiscreteGaussianTest, EveryBlockHasItsExactShareOfTheSlots) {
  for (uint64_t sigma2 : {1ul, 2ul, 255ul, 256ul, 1023ul, 1024ul, 45'624'361ul, 1ul << 40}) {
    const SlotsForTest slots(sigma2);
    EXPECT_LT(slots.first(slots.blocks()), uint64_t{1} << 46);
    EXPECT_GT(slots.first(slots.blocks()), (uint64_t{1} << 46) - (uint64_t{1} << 12));
    EXPECT_GE(slots.blocks() * slots.width() * slots.blocks() * slots.width(), 144 * sigma2);
    for (uint64_t k = 0; k < slots.blocks(); k += k < 64 ? 1 : 7) {
      const uint64_t start = k * slots.width();
      const ExpBounds wanted = BoundScaledExp(
          {.scale = slots.scale(), .numerator = start * start, .denominator = 2 * sigma2}, 1);
      ASSERT_GE(wanted.low[1], slots.sure(k)) << sigma2 << " " << k;
      ASSERT_LT(wanted.high[1], slots.sure(k) + slots.undecided(k)) << sigma2 << " " << k;
    }
    if (slots.width() > 1) {
      EXPECT_LE(256 * slots.width() * slots.width(), sigma2);
      EXPECT_GT(1024 * slots.width() * slots.width(), sigma2);
    }
  }
}

TEST(DiscreteGaussianTest, GuideNamesTheOwnerOfASlot) {
  AesCtrRandom random(AesCtrRandom::Seed{16});
  RandomWords words(random, 512);
  for (uint64_t sigma2 : {1ul, 300ul, 45'624'361ul}) {
    const SlotsForTest slots(sigma2);
    int clear = 0;
    for (uint64_t cell = 0; cell < 4096; ++cell) {
      if (slots.guide(cell) == 255) continue;
      ++clear;
      for (uint64_t slot : {cell << 34, ((cell + 1) << 34) - 1}) {
        ASSERT_EQ(slots.BlockOfSlot(slot, words), static_cast<int64_t>(slots.guide(cell)));
      }
    }
    EXPECT_GT(clear, 3900);
  }
}

// The slots whose owner is decided by digits, and those of nobody.
TEST(DiscreteGaussianTest, UndecidedSlotsAreTheBlocksOrNobodys) {
  AesCtrRandom random(AesCtrRandom::Seed{17});
  RandomWords words(random, 512);
  const SlotsForTest slots(45'624'361);
  for (uint64_t k : {0ul, 1ul, 20ul, 100ul, slots.blocks() - 1}) {
    int accepted = 0, asked = 0;
    for (int repeat = 0; repeat < 200; ++repeat) {
      for (uint64_t i = 0; i < slots.undecided(k); ++i) {
        const int64_t block = slots.BlockOfSlot(slots.first(k) + slots.sure(k) + i, words);
        ASSERT_TRUE(block == static_cast<int64_t>(k) || block == -1);
        accepted += block >= 0;
        ++asked;
      }
    }
    // On average the fraction of S g(k) that the sure slots leave over.
    const uint64_t start = k * slots.width();
    const ExpBounds wanted = BoundScaledExp(
        {.scale = slots.scale(), .numerator = start * start, .denominator = 2 * 45'624'361}, 1);
    const double left = static_cast<double>(wanted.low[1] - slots.sure(k)) +
                        std::ldexp(static_cast<double>(wanted.low[0]), -64);
    EXPECT_NEAR(accepted / 200.0, left, kFalseAlarmDeviations * 0.5 / std::sqrt(200.0) + 1e-9) << k;
  }
  EXPECT_EQ(slots.BlockOfSlot((uint64_t{1} << 46) - 1, words), -1);
}

// Where the tail begins at 12 sigma its slot is nearly always nobody's: exp(-72) 2^46 a round.
TEST(DiscreteGaussianTest, TailIsNearlyNever) {
  AesCtrRandom random(AesCtrRandom::Seed{18});
  RandomWords words(random, 512);
  const SlotsForTest slots(1000);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(slots.TailBlock(words), -1);
}

TEST(DiscreteGaussianTest, ThirtyTwoBitWordsAreTheSamples) {
  for (uint64_t sigma2 : {3ul, 1000ul, DiscreteGaussian::kMaxSigma2}) {
    const DiscreteGaussian gaussian = DiscreteGaussian::Create(sigma2).value();
    AesCtrRandom first(AesCtrRandom::Seed{19}), second(AesCtrRandom::Seed{19});
    std::vector<int64_t> wide(1000);
    std::vector<uint32_t> narrow(1000);
    gaussian.Fill(first, wide);
    gaussian.Fill(second, narrow);
    for (size_t i = 0; i < wide.size(); ++i) {
      ASSERT_EQ(static_cast<int32_t>(narrow[i]), wide[i]);
    }
  }
}

TEST(DiscreteGaussianTest, SameSeedSameSamples) {
  EXPECT_EQ(Draw(1000, 1000, 5), Draw(1000, 1000, 5));
  EXPECT_NE(Draw(1000, 1000, 5), Draw(1000, 1000, 6));
}

TEST(DiscreteGaussianTest, SingleSamplesHaveTheSameVariance) {
  const DiscreteGaussian gaussian = DiscreteGaussian::Create(16).value();
  AesCtrRandom random(AesCtrRandom::Seed{7});
  constexpr int kSingles = 50'000;
  double squares = 0;
  for (int i = 0; i < kSingles; ++i) {
    const auto x = static_cast<double>(gaussian.Sample(random));
    squares += x * x;
  }
  EXPECT_NEAR(squares / kSingles, 16,
              kFalseAlarmDeviations * std::sqrt((768.0 - 256.0) / kSingles));
}

TEST(DiscreteGaussianTest, ZeroVarianceIsRefused) {
  EXPECT_EQ(DiscreteGaussian::Create(0).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(DiscreteGaussianTest, VarianceAboveTheLimitIsRefused) {
  EXPECT_EQ(DiscreteGaussian::Create(DiscreteGaussian::kMaxSigma2 + 1).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace dure::dp
