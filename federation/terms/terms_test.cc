#include "federation/terms/terms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "federation/spec.h"
#include "federation/spec_check.h"
#include "federation/terms/privacy_account.h"
#include "tests/support/demo_spec.h"
#include "tests/support/golden.h"

namespace dure {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kDim = 26'010;

FederationSpec Demo() {
  absl::StatusOr<FederationSpec> spec = ParseFederation(dure::testing::DemoToml(), "f.toml");
  EXPECT_TRUE(spec.ok()) << spec.status();
  return spec.value_or(FederationSpec());
}

RoundTerms DemoTerms(const std::function<void(FederationSpec*)>& change = [](FederationSpec*) {}) {
  FederationSpec spec = Demo();
  change(&spec);
  absl::StatusOr<RoundTerms> terms = DeriveTerms(spec, kDim, 10);
  EXPECT_TRUE(terms.ok()) << terms.status();
  return terms.value_or(RoundTerms());
}

void ExpectRefused(const FederationSpec& spec, uint32_t invited, const char* text,
                   uint64_t dim = kDim) {
  absl::StatusOr<RoundTerms> terms = DeriveTerms(spec, dim, invited);
  EXPECT_EQ(terms.status().code(), absl::StatusCode::kFailedPrecondition) << terms.status();
  EXPECT_THAT(std::string(terms.status().message()), HasSubstr(text));
}

TEST(TermsTest, TheDemo) {
  const RoundTerms terms = DemoTerms();
  EXPECT_EQ(terms.invited, 10u);
  EXPECT_EQ(terms.minimum, 8u);
  EXPECT_EQ(terms.max_corrupt, 2u);
  EXPECT_EQ(terms.neighbours, 9u);
  EXPECT_EQ(terms.threshold, 6u);
  EXPECT_EQ(terms.quorum, 7u);
  EXPECT_EQ(terms.sum_minimum, 8u);
  EXPECT_EQ(terms.may_vanish, 2u);
  EXPECT_EQ(terms.honest_survivors, 6u);
  EXPECT_EQ(terms.dim, kDim);
  EXPECT_EQ(terms.scale, 16384u);
  // ceil((16384 + sqrt(26010))^2), and its sixth.
  EXPECT_EQ(terms.norm_bound_sq, 273'746'164u);
  EXPECT_EQ(terms.sigma2_local, 45'624'361u);
  EXPECT_EQ(terms.expected_batch, 600.0);
  EXPECT_EQ(terms.upload_bytes, (kDim * terms.bits + 7) / 8);
  EXPECT_EQ(terms.max_attempts, 340u);
  EXPECT_EQ(terms.delta, 1e-5);
  EXPECT_EQ(terms.sampling_rate, 0.01);
  EXPECT_EQ(terms.noise_multiplier, 1.0);
  EXPECT_EQ(terms.clip_norm, 1.0);
}

TEST(TermsTest, TheRingHoldsTheLargestSum) {
  const RoundTerms terms = DemoTerms();
  const double batch = 10.0 * (terms.batch_cap * 16384.0 + 1);
  const double noise = std::ceil(std::sqrt(20.0 * static_cast<double>(terms.sigma2_local) *
                                           std::log(2.0 * kDim * std::ldexp(1.0, 40))));
  EXPECT_EQ(terms.bits, static_cast<uint32_t>(std::ceil(std::log2(2 * (batch + noise) + 1))));
}

TEST(TermsTest, MembersWhoMayVanish) {
  FederationSpec spec = Demo();
  spec.mutable_rounds()->clear_cohort();
  spec.mutable_rounds()->set_minimum(3);
  // docs/secure-aggregation.md section 1.3.
  const struct {
    uint32_t members, may_vanish;
  } cases[] = {{3, 0}, {4, 1}, {5, 1}, {10, 3}, {20, 7}, {50, 19}, {100, 39}};
  for (const auto& c : cases) {
    absl::StatusOr<RoundTerms> terms = DeriveTerms(spec, kDim, c.members);
    ASSERT_TRUE(terms.ok()) << terms.status();
    EXPECT_EQ(terms->may_vanish, c.may_vanish) << c.members;
  }
}

FederationSpec Large(uint32_t cohort, double max_corrupt) {
  FederationSpec spec = Demo();
  spec.mutable_rounds()->set_cohort(cohort);
  spec.mutable_rounds()->set_minimum(cohort * 4 / 5);
  spec.mutable_secure_aggregation()->set_max_corrupt(max_corrupt);
  return spec;
}

TEST(TermsTest, AboveTheDenseLimitTheGraphIsSparse) {
  absl::StatusOr<RoundTerms> terms = DeriveTerms(Large(1000, 0.05), kDim, 1000);
  ASSERT_TRUE(terms.ok()) << terms.status();
  EXPECT_EQ(terms->graph_rule, "ring");
  EXPECT_EQ(terms->max_corrupt, 50u);
  EXPECT_EQ(terms->neighbours, 164u);  // tests/golden/graph_params.csv
  EXPECT_EQ(terms->threshold, 124u);
  EXPECT_EQ(terms->quorum, 526u);
  EXPECT_EQ(terms->sum_minimum, 800u);
  EXPECT_EQ(terms->honest_survivors, 750u);
  EXPECT_EQ(terms->delta_per_attempt, std::ldexp(1.0, -40) + std::ldexp(1.0, -64));
  EXPECT_EQ(DeriveTerms(Large(128, 0.05), kDim, 128)->graph_rule, "complete");
}

TEST(TermsTest, ALargeCohortThatNoGraphServesIsRefusedWithTheNumbers) {
  ExpectRefused(Large(1000, 0.2), 1000,
                "no graph of up to 254 neighbours for 1000 members, 200 corrupt, 100 dropping out");
  FederationSpec spec = Large(1000, 0.05);
  spec.mutable_rounds()->clear_cohort();
  ExpectRefused(spec, 800, "more than 128 take part only with rounds.cohort");
}

TEST(TermsTest, GroupsHaveTheNoiseAndTheRangeOfOneGroup) {
  FederationSpec spec = Large(25, 0.05);
  SecureAggregationSection* secagg = spec.mutable_secure_aggregation();
  secagg->set_robust(SecureAggregationSection::TRIMMED_MEAN);
  secagg->set_group_size(5);
  secagg->set_trim(0.4);
  absl::StatusOr<RoundTerms> terms = DeriveTerms(spec, kDim, 25);
  ASSERT_TRUE(terms.ok()) << terms.status();
  EXPECT_EQ(terms->groups, 5u);
  EXPECT_EQ(terms->poisoned_groups, 2u);
  EXPECT_EQ(terms->roster_minimum, 20u);
  EXPECT_EQ(terms->sum_asked, 4u);
  EXPECT_EQ(terms->sum_minimum, 4u);
  EXPECT_EQ(terms->largest_sum, 6u);  // 23 or 24 members are four groups
  EXPECT_EQ(terms->honest_survivors, 3u);
  // B^2 as in the demo; a third of it in place of a sixth.
  EXPECT_EQ(terms->sigma2_local, (273'746'164u + 2) / 3);
}

TEST(TermsTest, SharesOfTheCohortAreNotRoundedDownByBinary) {
  FederationSpec spec = Demo();
  spec.mutable_rounds()->set_cohort(100);
  spec.mutable_secure_aggregation()->set_max_corrupt(0.29);
  absl::StatusOr<RoundTerms> terms = DeriveTerms(spec, kDim, 100);
  ASSERT_TRUE(terms.ok()) << terms.status();
  EXPECT_EQ(terms->max_corrupt, 29u);
}

TEST(TermsTest, ASmallerCohortIsNotAssumedLessCorrupt) {
  FederationSpec spec = Demo();
  absl::StatusOr<RoundTerms> terms = DeriveTerms(spec, kDim, 8);
  ASSERT_TRUE(terms.ok()) << terms.status();
  EXPECT_EQ(terms->max_corrupt, 2u);
}

TEST(TermsTest, OneMemberIsAlwaysAssumedCorrupt) {
  const RoundTerms terms =
      DemoTerms([](FederationSpec* s) { s->mutable_secure_aggregation()->set_max_corrupt(0); });
  EXPECT_EQ(terms.max_corrupt, 1u);
}

TEST(TermsTest, UploadBytesRoundUp) {
  FederationSpec spec = Demo();
  for (uint64_t dim : {1, 7, 8, 9, 1001}) {
    absl::StatusOr<RoundTerms> terms = DeriveTerms(spec, dim, 10);
    ASSERT_TRUE(terms.ok()) << terms.status();
    EXPECT_EQ(terms->upload_bytes, (dim * terms->bits + 7) / 8) << dim;
  }
}

TEST(TermsTest, WhatCannotWorkIsRefusedWithNumbersAndRemedy) {
  FederationSpec spec = Demo();
  ExpectRefused(spec, 2, "2 members: a private sum needs at least 3");
  FederationSpec plain = Demo();
  plain.mutable_secure_aggregation()->Clear();
  plain.mutable_secure_aggregation()->set_enabled(false);
  plain.mutable_rounds()->set_minimum(2);
  EXPECT_TRUE(DeriveTerms(plain, 100, 2).ok()) << DeriveTerms(plain, 100, 2).status();
  ExpectRefused(spec, 7, "rounds.minimum is 8, but there are 7 members");
  // More members would mean less noise from each than was agreed to.
  ExpectRefused(spec, 11, "11 members are invited, but rounds.cohort is 10");
  spec.mutable_rounds()->clear_cohort();
  ExpectRefused(spec, 129, "129 members: more than 128 take part only with rounds.cohort");
}

TEST(TermsTest, ANoiseMultiplierOfZeroIsARoundWithoutNoiseOrPrivacy) {
  FederationSpec spec = Demo();
  spec.mutable_privacy()->set_noise_multiplier(0);
  absl::StatusOr<RoundTerms> terms = DeriveTerms(spec, kDim, 10);
  ASSERT_TRUE(terms.ok()) << terms.status();
  const RoundTerms noisy = DemoTerms();
  EXPECT_EQ(terms->sigma2_local, 0u);
  EXPECT_EQ(terms->scale, noisy.scale);
  EXPECT_EQ(terms->norm_bound_sq, noisy.norm_bound_sq);
  EXPECT_LE(terms->bits, noisy.bits);
  const PrivacyAccount account(*terms);
  EXPECT_EQ(account.EpsilonAfter(0), 0);
  EXPECT_EQ(account.EpsilonAfter(1), std::numeric_limits<double>::infinity());
  EXPECT_EQ(account.AttemptsWithin(1000), 0u);
  // And no federation file can ask for it.
  EXPECT_EQ(ValidateFederation(spec).code(), absl::StatusCode::kInvalidArgument);
}

TEST(TermsTest, ArithmeticThatDoesNotFitIsRefused) {
  FederationSpec spec = Demo();
  spec.mutable_privacy()->set_noise_multiplier(1000);
  ExpectRefused(spec, 10, "change privacy.clip_norm or privacy.noise_multiplier");
  spec = Demo();
  spec.mutable_privacy()->set_clip_norm(1e6);
  ExpectRefused(spec, 10, "change privacy.clip_norm or privacy.noise_multiplier");
  spec = Demo();
  spec.mutable_privacy()->set_max_records_per_member(1'000'000'000);
  spec.mutable_privacy()->set_total_records(1'000'000'000'000);
  spec.mutable_local()->set_sampling_rate(1);
  ExpectRefused(spec, 10, "lower privacy.max_records_per_member or local.sampling_rate",
                uint64_t{1} << 28);
}

TEST(TermsTest, AModelThatASessionCannotHaveIsRefused) {
  ExpectRefused(Demo(), 10, "dim = 16000000000 is outside 1 to 4294967296", 16'000'000'000);
}

TEST(TermsTest, ARoundNeedsARecordToLearnFrom) {
  FederationSpec spec = Demo();
  spec.mutable_local()->set_sampling_rate(1e-8);
  ExpectRefused(spec, 10, "raise local.sampling_rate");
}

RoundTerms TermsOf(const std::string& toml, uint32_t invited = 10) {
  absl::StatusOr<FederationSpec> spec = ParseFederation(toml, "f.toml");
  EXPECT_TRUE(spec.ok()) << spec.status();
  absl::StatusOr<RoundTerms> terms = DeriveTerms(*spec, kDim, invited);
  EXPECT_TRUE(terms.ok()) << terms.status();
  return terms.value_or(RoundTerms());
}

TEST(UnitTermsTest, AClientsUpdateCarriesItsCountAndItsPadding) {
  const RoundTerms terms = TermsOf(dure::testing::ClientToml());
  EXPECT_EQ(terms.coordinates, 32'768u);  // 26,010 and the count, in blocks of 2^14
  EXPECT_GT(terms.count_coordinate, 0);
  // The noise that the rest of the message has grows by as much as the count takes.
  EXPECT_NEAR(terms.encoded_norm * terms.encoded_norm,
              terms.clip_norm * terms.clip_norm + terms.count_coordinate * terms.count_coordinate,
              1e-12);
  const dp::AttemptCost cost = CostOf(terms);
  EXPECT_EQ(cost.dim, terms.coordinates);
  EXPECT_EQ(cost.parties, 6u);
  EXPECT_EQ(cost.sampling_rate, 1.0);  // the coordinator knows who takes part
}

// What is said before a run holds for whatever the clip norm becomes.
TEST(UnitTermsTest, AdaptiveClippingCostsTheSameAtEveryClipNorm) {
  for (double noise_multiplier : {0.3, 1.0, 7.0}) {
    FederationSpec spec = *ParseFederation(dure::testing::ClientToml(), "f.toml");
    spec.mutable_privacy()->set_noise_multiplier(noise_multiplier);
    spec.mutable_privacy()->set_clip_count_noise(noise_multiplier);
    for (double clip_norm : {1e-4, 0.003, 0.1, 1.0, 7.3, 90.0}) {
      absl::StatusOr<RoundTerms> terms = DeriveTerms(spec, kDim, 10, clip_norm);
      ASSERT_TRUE(terms.ok()) << terms.status();
      EXPECT_EQ(CostOf(*terms), CostOf(*DeriveTerms(spec, kDim, 10)));
      auto loss = [](double bound, double sigma2) { return bound / sigma2; };
      EXPECT_LE(
          loss(static_cast<double>(terms->norm_bound_sq), static_cast<double>(terms->sigma2_local)),
          loss(static_cast<double>(CostOf(*terms).norm_bound_sq),
               static_cast<double>(CostOf(*terms).sigma2)));
    }
  }
}

TEST(UnitTermsTest, ATrustedCoordinatorAddsAllTheNoise) {
  const RoundTerms terms = TermsOf(dure::testing::ClientToml("enabled = false"));
  EXPECT_EQ(terms.sigma2_local, 0u);
  EXPECT_GE(terms.sigma2_central, terms.norm_bound_sq);
  EXPECT_EQ(terms.threshold, 0u);
  EXPECT_EQ(terms.sum_minimum, 8u);
  EXPECT_EQ(CostOf(terms).parties, 1u);
  FederationSpec spec = *ParseFederation(dure::testing::ClientToml("enabled = false"), "f.toml");
  spec.mutable_privacy()->set_clipping(PrivacySection::FIXED);
  const RoundTerms fixed = *DeriveTerms(spec, kDim, 10);
  EXPECT_EQ(CostOf(fixed).sigma2, fixed.sigma2_central);
  EXPECT_EQ(CostOf(fixed).norm_bound_sq, fixed.norm_bound_sq);
}

// One party's discrete Gaussian on Poisson samples costs what a continuous one does.
TEST(UnitTermsTest, LocalStepsCostWhatTheSampledGaussianCosts) {
  const RoundTerms terms = TermsOf(dure::testing::DpSgdToml());
  EXPECT_EQ(terms.sigma2_local, 0u);
  EXPECT_EQ(CostOf(terms).uses, 5u);
  double least = std::numeric_limits<double>::infinity();
  for (int order : dp::AllOrders()) {
    const double rdp = 300 * 5 * dp::SubsampledGaussianRdp(0.01, 1.0, order);
    least = std::min(least, rdp + std::log1p(-1.0 / order) - std::log(1e-5 * order) / (order - 1));
  }
  EXPECT_NEAR(EpsilonAfter(terms, 300), least, 1e-6 * least);
  EXPECT_LE(EpsilonAfter(terms, 300), least);  // sigma2 is rounded up
}

TEST(UnitTermsTest, WithoutPrivacyTheRingHoldsUpdatesAndWeights) {
  const RoundTerms terms = TermsOf(dure::testing::NoneToml());
  EXPECT_EQ(terms.coordinates, kDim + 1);
  EXPECT_EQ(terms.scale * kFixedGridRange * 10 * 2 > (uint64_t{1} << 31), true);
  EXPECT_LT(terms.scale * kFixedGridRange * 10, uint64_t{1} << 31);
  EXPECT_GT((uint64_t{1} << (terms.bits - 1)), terms.scale * kFixedGridRange * 10);
  EXPECT_GT((uint64_t{1} << (terms.bits - 1)), uint64_t{10} * 6000);
  EXPECT_EQ(EpsilonAfter(terms, 1), std::numeric_limits<double>::infinity());
}

TEST(TravelTermsTest, ControlVariatesDoubleWhatTravels) {
  FederationSpec spec = *ParseFederation(dure::testing::ClientToml(), "f.toml");
  spec.mutable_local()->set_weighting(LocalSection::UNIFORM);
  const RoundTerms without = *DeriveTerms(spec, kDim, 10);
  EXPECT_EQ(without.update_dim, kDim);
  EXPECT_EQ(without.download_bytes, 4 * kDim);
  spec.mutable_local()->set_control_variates(true);
  spec.mutable_local()->set_population(10);
  spec.mutable_local()->set_epochs(10);
  spec.mutable_local()->set_learning_rate(0.05);
  const RoundTerms with = *DeriveTerms(spec, kDim, 10);
  EXPECT_EQ(with.dim, kDim);
  EXPECT_EQ(with.update_dim, 2 * kDim);
  EXPECT_EQ(with.download_bytes, 8 * kDim);
  EXPECT_EQ(with.control_scale, 0.5);
  // The noise is that of an update of so many coordinates.
  spec.mutable_local()->set_control_variates(false);
  const RoundTerms twice = *DeriveTerms(spec, 2 * kDim, 10);
  EXPECT_EQ(with.coordinates, twice.coordinates);
  EXPECT_EQ(with.norm_bound_sq, twice.norm_bound_sq);
  EXPECT_EQ(with.sigma2_local, twice.sigma2_local);
  EXPECT_EQ(with.upload_bytes, twice.upload_bytes);
}

TEST(TravelTermsTest, Binary16HalvesTheDownloadAndNothingElse) {
  const RoundTerms wide = DemoTerms();
  const RoundTerms half = DemoTerms([](FederationSpec* spec) {
    spec->mutable_communication()->set_download(CommunicationSection::FP16);
  });
  EXPECT_EQ(half.download_bytes, 2 * kDim);
  EXPECT_EQ(half.upload_bytes, wide.upload_bytes);
  EXPECT_EQ(half.sigma2_local, wide.sigma2_local);
}

TEST(TravelTermsTest, AChosenWidthSetsTheScaleInEveryUnit) {
  const auto with_bits = [](FederationSpec spec, uint32_t bits) {
    spec.mutable_communication()->set_quantization_bits(bits);
    return DeriveTerms(spec, kDim, 10);
  };
  // Records: B = s + 161.3 for C = 1, at most 1,023 with 11 bits.
  const RoundTerms record = *with_bits(Demo(), 11);
  EXPECT_EQ(record.scale, 512u);
  EXPECT_LT(record.upload_bytes, DemoTerms().upload_bytes);
  EXPECT_EQ(WidthOfNumbers(record), 11);
  EXPECT_EQ(WidthOfNumbers(DemoTerms()), 16);
  // Members: 2^(bits - 5), so that 8 s has them.
  const FederationSpec none = *ParseFederation(dure::testing::NoneToml(), "f.toml");
  const RoundTerms grid = *with_bits(none, 12);
  EXPECT_EQ(grid.scale, 128u);
  EXPECT_EQ(WidthOfNumbers(grid), 12);
  EXPECT_EQ(with_bits(*ParseFederation(dure::testing::DpSgdToml(), "f.toml"), 12)->scale, 128u);
  for (const uint32_t bits : {2u, 4u, 30u}) {
    EXPECT_THAT(std::string(with_bits(none, bits).status().message()),
                HasSubstr("5 to 29 bits can; change communication.quantization_bits"));
  }
  EXPECT_THAT(std::string(with_bits(Demo(), 8).status().message()),
              HasSubstr("numbers of 8 bits cannot work here: 9 to 25 bits can"));
}

TEST(EpsilonTest, TheDemo) {
  const RoundTerms terms = DemoTerms();
  EXPECT_NEAR(EpsilonAfter(terms, 300), 1.64, 0.01);
  EXPECT_EQ(EpsilonAfter(terms, 0), 0);
}

// The vectors take delta itself; the terms take 2^-40 for the batch cap of each attempt off it.
TEST(EpsilonTest, KnownAnswers) {
  int used = 0;
  for (const auto& row : dure::testing::ReadGolden("record_distributed_epsilon.csv")) {
    RoundTerms terms;
    const auto steps = static_cast<uint32_t>(std::stoul(row.at("steps")));
    terms.coordinates = std::stoull(row.at("dim"));
    terms.norm_bound_sq = std::stoull(row.at("norm_bound_sq_int"));
    terms.delta_per_attempt = std::ldexp(1.0, -40);
    terms.clip_norm = std::stod(row.at("clip"));
    terms.noise_multiplier = std::stod(row.at("noise_multiplier"));
    terms.honest_survivors = static_cast<uint32_t>(std::stoul(row.at("honest_survivors")));
    terms.sigma2_local = std::stoull(row.at("sigma2_local_int"));
    terms.sampling_rate = std::stod(row.at("sampling_rate"));
    terms.delta = std::stod(row.at("delta")) + steps * std::ldexp(1.0, -40);
    terms.max_attempts = steps;
    const double expected = std::stod(row.at("epsilon"));
    EXPECT_NEAR(EpsilonAfter(terms, steps), expected, 1e-6 * expected);
    ++used;
  }
  EXPECT_GT(used, 10);
}

TEST(EpsilonTest, GrowsWithAttemptsAndCountsTheBatchCap) {
  const RoundTerms terms = DemoTerms();
  const PrivacyAccount account(terms);
  double last = 0;
  for (uint32_t attempts : {1u, 2u, 10u, 75u, 150u, 300u, 340u}) {
    EXPECT_GT(account.EpsilonAfter(attempts), last);
    last = account.EpsilonAfter(attempts);
    EXPECT_EQ(last, EpsilonAfter(terms, attempts));
  }
  RoundTerms tight = terms;
  tight.delta = 300 * std::ldexp(1.0, -40);
  EXPECT_EQ(EpsilonAfter(tight, 300), std::numeric_limits<double>::infinity());
  EXPECT_LT(EpsilonAfter(tight, 299), std::numeric_limits<double>::infinity());
}

TEST(EpsilonTest, AttemptsWithinIsTheLastThatFits) {
  const RoundTerms terms = DemoTerms();
  const double limit = EpsilonAfter(terms, 120);
  EXPECT_EQ(AttemptsWithin(terms, limit), 120u);
  EXPECT_EQ(AttemptsWithin(terms, std::nextafter(limit, 0.0)), 119u);
  EXPECT_EQ(AttemptsWithin(terms, 1000), terms.max_attempts);
  EXPECT_EQ(AttemptsWithin(terms, 0), 0u);
  EXPECT_EQ(AttemptsWithin(terms, std::nan("")), 0u);
}

TEST(EpsilonTest, TextIsRoundedUp) {
  EXPECT_EQ(EpsilonText(1.6352), "1.64");
  EXPECT_EQ(EpsilonText(1.64), "1.64");
  EXPECT_EQ(EpsilonText(1.6401), "1.65");
  EXPECT_EQ(EpsilonText(0), "0.00");
  EXPECT_EQ(EpsilonText(std::numeric_limits<double>::infinity()), "unbounded");
  EXPECT_EQ(EpsilonText(std::nan("")), "unbounded");
}

TEST(EpsilonTest, InWords) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  EXPECT_EQ(EpsilonInWords(PrivacySection::RECORD, 1.64, 1e-5),
            "Nobody can conclude more than this from all that is released: the odds that a given "
            "record was used change by a factor of at most 5.2, except with a chance of 1 in "
            "100000.");
  EXPECT_THAT(EpsilonInWords(PrivacySection::CLIENT, 1.64, 1e-5),
              HasSubstr("a given member sent what its data say, and not zeros, change by a factor "
                        "of at most 5.2"));
  EXPECT_THAT(EpsilonInWords(PrivacySection::RECORD, 25, 1e-5),
              HasSubstr("An epsilon of 25.00 promises next to nothing"));
  EXPECT_THAT(EpsilonInWords(PrivacySection::CLIENT, kInfinite, 1e-5),
              HasSubstr("An epsilon without bound promises next to nothing"));
  EXPECT_THAT(EpsilonInWords(PrivacySection::NONE, kInfinite, 0),
              HasSubstr("nothing is promised about any record or member"));
}

}  // namespace
}  // namespace dure
