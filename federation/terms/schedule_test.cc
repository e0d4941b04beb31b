#include "federation/terms/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

#include "federation/spec.h"
#include "tests/support/demo_spec.h"

namespace dure {
namespace {

TEST(ScheduleTest, ConstantStaysAndRisesWithAWarmUp) {
  const RateSchedule constant{.rounds = 10};
  EXPECT_TRUE(constant.IsConstant());
  for (uint32_t round : {1u, 5u, 10u, 11u}) EXPECT_EQ(constant.Factor(round), 1.0);
  const RateSchedule rising{.warmup = 3, .rounds = 10};
  EXPECT_FALSE(rising.IsConstant());
  EXPECT_DOUBLE_EQ(rising.Factor(1), 0.25);
  EXPECT_DOUBLE_EQ(rising.Factor(2), 0.5);
  EXPECT_DOUBLE_EQ(rising.Factor(3), 0.75);
  for (uint32_t round : {4u, 5u, 10u}) EXPECT_EQ(rising.Factor(round), 1.0);
}

TEST(ScheduleTest, LinearIsAStraightLineToTheLastRound) {
  const RateSchedule schedule{.kind = LINEAR, .final_fraction = 0.2, .rounds = 5};
  EXPECT_DOUBLE_EQ(schedule.Factor(1), 1.0);
  EXPECT_DOUBLE_EQ(schedule.Factor(2), 0.8);
  EXPECT_DOUBLE_EQ(schedule.Factor(3), 0.6);
  EXPECT_DOUBLE_EQ(schedule.Factor(4), 0.4);
  EXPECT_DOUBLE_EQ(schedule.Factor(5), 0.2);
  EXPECT_DOUBLE_EQ(schedule.Factor(6), 0.2);
  EXPECT_EQ((RateSchedule{.kind = LINEAR, .rounds = 7}).Factor(7), 0.0);
}

TEST(ScheduleTest, CosineIsHalfAWaveToTheLastRound) {
  const RateSchedule schedule{.kind = COSINE, .rounds = 5};
  const double root_half = 0.70710678118654752;  // cos of an eighth of a turn
  EXPECT_DOUBLE_EQ(schedule.Factor(1), 1.0);
  EXPECT_NEAR(schedule.Factor(2), (1 + root_half) / 2, 1e-15);
  EXPECT_NEAR(schedule.Factor(3), 0.5, 1e-15);
  EXPECT_NEAR(schedule.Factor(4), (1 - root_half) / 2, 1e-15);
  EXPECT_EQ(schedule.Factor(5), 0.0);
  const RateSchedule tenth{.kind = COSINE, .final_fraction = 0.1, .rounds = 3};
  EXPECT_NEAR(tenth.Factor(2), 0.55, 1e-15);
  EXPECT_NEAR(tenth.Factor(3), 0.1, 1e-15);
}

TEST(ScheduleTest, ExponentialAndStepMultiply) {
  const RateSchedule every{.kind = EXPONENTIAL, .decay = 0.5, .rounds = 100};
  EXPECT_EQ(every.Factor(1), 1.0);
  EXPECT_EQ(every.Factor(2), 0.5);
  EXPECT_EQ(every.Factor(4), 0.125);
  const RateSchedule steps{.kind = STEP, .decay = 0.1, .decay_every = 3, .rounds = 100};
  for (uint32_t round : {1u, 2u, 3u}) EXPECT_EQ(steps.Factor(round), 1.0);
  for (uint32_t round : {4u, 5u, 6u}) EXPECT_DOUBLE_EQ(steps.Factor(round), 0.1);
  EXPECT_NEAR(steps.Factor(7), 0.01, 1e-17);
}

// The warm-up is a share of what the rate would be in that round, not of learning_rate.
TEST(ScheduleTest, TheWarmUpIsOnTopOfTheSchedule) {
  const RateSchedule schedule{.kind = EXPONENTIAL, .decay = 0.5, .warmup = 1, .rounds = 10};
  EXPECT_DOUBLE_EQ(schedule.Factor(1), 0.5);
  EXPECT_DOUBLE_EQ(schedule.Factor(2), 0.5);
  EXPECT_DOUBLE_EQ(schedule.Factor(3), 0.25);
}

TEST(ScheduleTest, AFactorIsFromZeroToOneWhateverTheNumbers) {
  for (const Schedule kind : {CONSTANT, LINEAR, COSINE, EXPONENTIAL, STEP}) {
    for (const uint32_t rounds : {1u, 2u, 1'000'000u}) {
      const RateSchedule schedule{
          .kind = kind, .decay = 1e-9, .final_fraction = 0.5, .warmup = 1000, .rounds = rounds};
      for (const uint32_t round : {0u, 1u, 2u, 999u, 1'000'000u, UINT32_MAX}) {
        const double factor = schedule.Factor(round);
        EXPECT_TRUE(std::isfinite(factor) && factor >= 0 && factor <= 1) << factor;
      }
    }
    // A run of one round is at its start.
    EXPECT_EQ((RateSchedule{.kind = kind, .rounds = 1}).Factor(1), 1.0);
  }
}

TEST(ScheduleTest, TheFileSaysIt) {
  std::string toml = testing::DemoWithUnit(
      "mode = \"epochs\"\nschedule = \"step\"\ndecay = 0.5\ndecay_every = 7\nwarmup = 2",
      "unit = \"none\"");
  toml.insert(toml.find("[privacy]"), "[server]\nschedule = \"cosine\"\nfinal_fraction = 0.25\n");
  const absl::StatusOr<FederationSpec> spec = ParseFederation(toml, "f.toml");
  ASSERT_TRUE(spec.ok()) << spec.status();
  const RateSchedule local = LocalScheduleOf(*spec);
  EXPECT_EQ(local.kind, STEP);
  EXPECT_EQ(local.decay, 0.5);
  EXPECT_EQ(local.decay_every, 7u);
  EXPECT_EQ(local.warmup, 2u);
  EXPECT_EQ(local.rounds, 300u);
  const RateSchedule server = ServerScheduleOf(*spec);
  EXPECT_EQ(server.kind, COSINE);
  EXPECT_EQ(server.final_fraction, 0.25);
  EXPECT_EQ(server.warmup, 0u);
  const absl::StatusOr<FederationSpec> demo = ParseFederation(testing::DemoToml(), "f.toml");
  EXPECT_TRUE(LocalScheduleOf(*demo).IsConstant());
  EXPECT_TRUE(ServerScheduleOf(*demo).IsConstant());
}

TEST(ScheduleTest, InWords) {
  EXPECT_EQ(ScheduleInWords({.kind = COSINE, .final_fraction = 0.1, .warmup = 5, .rounds = 100}, 2),
            "rises over 5 rounds; it falls by half a cosine, from 2 to 0.2 in round 100");
  EXPECT_EQ(ScheduleInWords({.warmup = 1, .rounds = 100}, 0.05), "rises over 1 round to 0.05");
  EXPECT_EQ(ScheduleInWords({.kind = STEP, .decay = 0.5, .decay_every = 10, .rounds = 21}, 4),
            "is multiplied by 0.5 every 10 rounds, from 4 to 1 in round 21");
}

}  // namespace
}  // namespace dure
