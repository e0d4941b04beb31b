#include "federation/terms/sums_terms.h"

#include <cmath>
#include <string>

#include "federation/spec.h"
#include "federation/terms/privacy_account.h"
#include "federation/terms/round_config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dure {
namespace {

using ::testing::HasSubstr;

// Five members, of whom one may vanish; `more` is added at the end.
FederationSpec Clinic(const std::string& privacy, const std::string& more = "") {
  const bool none = privacy.find("none") != std::string::npos;
  const std::string local = none ? "mode = \"epochs\"\nepochs = 1\nbatch_size = 10\n"
                                   "learning_rate = 0.1\n"
                                 : "mode = \"gradient\"\nsampling_rate = 0.1\n";
  const std::string toml = R"([federation]
name = "clinic"
purpose = "Tests"
address = "localhost:7443"
[model]
architecture = "logistic_regression"
[model.input]
shape = [4]
classes = 2
[rounds]
count = 20
cohort = 5
minimum = 4
max_attempts = 30
[local]
)" + local + R"([data]
schema = "records.schema"
schema_sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
[privacy]
)" + privacy + more;
  absl::StatusOr<FederationSpec> spec = ParseFederation(toml, "clinic.toml");
  EXPECT_TRUE(spec.ok()) << spec.status();
  return *spec;
}

constexpr char kRecord[] =
    "unit = \"record\"\nclip_norm = 1.0\nnoise_multiplier = 2.0\ndelta = 1e-5\nmax_epsilon = 50\n"
    "total_records = 1000\nmax_records_per_member = 300\n";
constexpr char kSums[] =
    "[statistics]\nenabled = true\nnoise_multiplier = 8.0\n[evaluation]\nevery = 5\n"
    "members = true\nmembers_noise = 20.0\n";
constexpr SumsShape kShape = {.sums = 47, .norm = 4};

TEST(SumsTermsTest, RecordsAreNoisedByWhatTheyCanAdd) {
  const FederationSpec spec = Clinic(kRecord, kSums);
  const auto terms = DeriveSumsTerms(spec, SumsKind::kStatistics, kShape, 5);
  ASSERT_TRUE(terms.ok()) << terms.status();
  EXPECT_EQ(terms->sums, SumsKind::kStatistics);
  EXPECT_EQ(terms->coordinates, 47u);
  EXPECT_EQ(terms->sampling_rate, 1);
  EXPECT_EQ(terms->noise_multiplier, 8);
  EXPECT_EQ(terms->batch_cap, 301u);
  EXPECT_EQ(terms->max_attempts, 30u + 8 + 2 * 4);
  // z C in the sum of the honest survivors, three of the four that are left at worst.
  EXPECT_NEAR(NoiseOfSums(*terms, 3), 8 * 4, 8 * 4 * 0.02);
  const auto evaluation = DeriveSumsTerms(spec, SumsKind::kEvaluation, ShapeOfEvaluation(spec), 5);
  ASSERT_TRUE(evaluation.ok()) << evaluation.status();
  EXPECT_NEAR(NoiseOfSums(*evaluation, 3), 20, 20 * 0.1);  // in records
}

TEST(SumsTermsTest, WithoutNoiseSumsAreOfIntegers) {
  const FederationSpec spec =
      Clinic("unit = \"none\"\n", "[statistics]\nenabled = true\n[evaluation]\nmembers = true\n");
  const auto terms = DeriveSumsTerms(spec, SumsKind::kStatistics, kShape, 5);
  ASSERT_TRUE(terms.ok()) << terms.status();
  EXPECT_EQ(terms->unit, PrivacySection::NONE);
  EXPECT_EQ(terms->sigma2_local, 0u);
  EXPECT_EQ(SumsGridLog2(*terms), kExactGridLog2);
  EXPECT_EQ(NoiseOfSums(*terms, 5), 0);
  // 5 * 2^24 records of 2^24 units, both signs.
  EXPECT_EQ(terms->bits, 52u);
  EXPECT_EQ(terms->upload_bytes, (47u * 52 + 7) / 8);
}

TEST(SumsTermsTest, TheConfigSaysWhatIsAddedUp) {
  const FederationSpec spec = Clinic(kRecord, kSums);
  const auto terms = DeriveSumsTerms(spec, SumsKind::kStatistics, kShape, 5);
  ASSERT_TRUE(terms.ok());
  const auto evaluation = DeriveSumsTerms(spec, SumsKind::kEvaluation, kShape, 5);
  ASSERT_TRUE(evaluation.ok());
  const AttemptId id{.round = 1, .attempt = 1};
  const auto config = MakeRoundConfig(spec, SpecDigest(spec), *terms, id);
  EXPECT_EQ(config.mechanism(), "statistics");
  EXPECT_EQ(SumsKindOf(config.mechanism()), SumsKind::kStatistics);
  EXPECT_EQ(SumsKindOf("record-gradient"), SumsKind::kTraining);
  EXPECT_EQ(SumsKindOf("none"), SumsKind::kTraining);
  const absl::Status differ =
      CompareConfigs(config, MakeRoundConfig(spec, SpecDigest(spec), *evaluation, id));
  EXPECT_FALSE(differ.ok());
  const FederationSpec none = Clinic("unit = \"none\"\n", "[statistics]\nenabled = true\n");
  const auto exact = DeriveSumsTerms(none, SumsKind::kStatistics, kShape, 5);
  ASSERT_TRUE(exact.ok());
  EXPECT_EQ(MakeRoundConfig(none, SpecDigest(none), *exact, id).mechanism(), "statistics-exact");
}

// Orders, composition and conversion in plain arithmetic, with Gaussian noise in the place of the
// discrete one, which at this size costs the same.
TEST(SumsTermsTest, AttemptsOfEveryKindCompose) {
  FederationSpec spec = Clinic(kRecord, kSums);
  spec.mutable_local()->set_sampling_rate(1);
  const auto training = DeriveTerms(spec, 10, 5);
  ASSERT_TRUE(training.ok()) << training.status();
  const auto account = MakeRunAccount(spec, *training, kShape);
  ASSERT_TRUE(account.ok()) << account.status();
  const double z_evaluation = 20 / ShapeOfEvaluation(spec).norm;
  const double per_order =
      7 / (2 * 2.0 * 2.0) + 2 / (2 * 8.0 * 8.0) + 3 / (2 * z_evaluation * z_evaluation);
  double expected = INFINITY;
  for (int order = 2; order <= 64; ++order) {
    expected = std::min(expected, per_order * order + std::log1p(-1.0 / order) -
                                      std::log(1e-5 * order) / (order - 1));
  }
  const double epsilon = account->EpsilonAfter({.training = 7, .statistics = 2, .evaluations = 3});
  EXPECT_NEAR(epsilon, expected, 0.01 * expected);
  EXPECT_EQ(account->EpsilonAfter({}), 0);
  EXPECT_GT(account->EpsilonAfter({.statistics = 1}), 0);
  const uint32_t within = account->TrainingWithin(epsilon, {.statistics = 2, .evaluations = 3});
  EXPECT_EQ(within, 7u);
}

TEST(SumsTermsTest, WithoutSumsTheAccountIsThatOfTheRounds) {
  const FederationSpec spec = Clinic(kRecord);
  const auto training = DeriveTerms(spec, 10, 5);
  ASSERT_TRUE(training.ok());
  const auto account = MakeRunAccount(spec, *training, std::nullopt);
  ASSERT_TRUE(account.ok());
  EXPECT_EQ(account->EpsilonAfter({.training = 9}), PrivacyAccount(*training).EpsilonAfter(9));
  EXPECT_EQ(MostAttempts(spec), 30u);
}

TEST(SumsTermsTest, ABoundHoldsWhateverTheSchema) {
  const FederationSpec spec = Clinic(kRecord, kSums);
  // Four features: at most four numeric columns of 3 + 10 numbers, and a label of as many.
  EXPECT_EQ(BoundOfStatistics(spec).sums, 1u + 4 * 13 + 13);
  EXPECT_NEAR(BoundOfStatistics(spec).norm, std::sqrt(21), 1e-9);
}

TEST(SumsTermsTest, MembersAsTheUnitAreRefusedWithTheReason) {
  FederationSpec spec = Clinic(kRecord, kSums);
  spec.mutable_privacy()->set_unit(PrivacySection::CLIENT);
  const auto terms = DeriveSumsTerms(spec, SumsKind::kStatistics, kShape, 5);
  EXPECT_THAT(std::string(terms.status().message()), HasSubstr("not bounded by what one record"));
}

}  // namespace
}  // namespace dure
