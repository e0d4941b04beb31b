#include "simulation/behaviour.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "learner/data/partition.h"
#include "simulation/spec.h"

namespace dure::simulation {
namespace {

using ::testing::HasSubstr;

constexpr char kTop[] = "federation = \"f\"\ndata = \"d\"\n[clients]\ncount = 10\n[behaviour]\n";
constexpr uint32_t kClients = 2000;

Behaviour Of(const std::string& keys, uint64_t seed = 1, uint32_t clients = kClients) {
  return Behaviour::Create(ParseSimulation(kTop + keys, "s.toml").value(), clients, seed).value();
}

// P(X <= k) of a binomial, by adding up its probabilities.
double AtMost(int k, int n, double p) {
  double sum = 0;
  for (int i = 0; i <= k; ++i) {
    sum += std::exp(std::lgamma(n + 1) - std::lgamma(i + 1) - std::lgamma(n - i + 1) +
                    i * std::log(p) + (n - i) * std::log1p(-p));
  }
  return sum;
}

// `count` of `n` is what probability `p` gives but for once in a thousand million times.
void ExpectFrequency(int count, int n, double p) {
  EXPECT_GT(AtMost(count, n, p), 1e-9) << count << " of " << n << " at " << p;
  EXPECT_GT(1 - AtMost(count - 1, n, p), 1e-9) << count << " of " << n << " at " << p;
}

TEST(BehaviourTest, ByDefaultEverybodyIsThereAndDoesItsWork) {
  const Behaviour behaviour = Of("");
  for (uint32_t client = 0; client < 50; ++client) {
    const ClientFate fate = behaviour.FateOf(client, 3);
    EXPECT_EQ(fate.vanishes, Vanishing::kNever);
    EXPECT_FALSE(fate.training_fails || fate.straggles || fate.partial || fate.too_late);
    EXPECT_EQ(fate.EpochsOf(7), 7u);
    EXPECT_TRUE(behaviour.Available(client, absl::Hours(client), 3));
    // 2 s down, 0.5 s of training, 3 s up.
    EXPECT_NEAR(
        absl::ToDoubleSeconds(behaviour.TimeOf(
            client, 3, {.download_bytes = 5'000'000, .records = 500, .upload_bytes = 3'000'000})),
        5.5, 1e-6);
  }
}

TEST(BehaviourTest, FatesComeAsOftenAsTheySay) {
  const Behaviour behaviour =
      Of("dropout = 0.3\nfailures = 0.05\nstragglers = 0.2\nslowdown = 4\n");
  int before = 0, keys = 0, upload = 0, failures = 0, stragglers = 0, both = 0;
  for (uint32_t client = 0; client < kClients; ++client) {
    const ClientFate fate = behaviour.FateOf(client, 5);
    before += fate.vanishes == Vanishing::kBeforeTraining;
    keys += fate.vanishes == Vanishing::kAfterKeys;
    upload += fate.vanishes == Vanishing::kAfterUpload;
    failures += fate.training_fails;
    stragglers += fate.straggles;
    both += fate.straggles && fate.vanishes != Vanishing::kNever;
    EXPECT_EQ(fate.slowdown, fate.straggles ? 4 : 1);
  }
  ExpectFrequency(before, kClients, 0.1);
  ExpectFrequency(keys, kClients, 0.1);
  ExpectFrequency(upload, kClients, 0.1);
  ExpectFrequency(failures, kClients, 0.05);
  ExpectFrequency(stragglers, kClients, 0.2);
  ExpectFrequency(both, kClients, 0.06);
}

TEST(BehaviourTest, AFateIsOfTheSeedTheAttemptAndTheClient) {
  const Behaviour behaviour = Of("dropout = 0.5\n");
  const Behaviour other = Of("dropout = 0.5\n", 2);
  int attempts = 0, seeds = 0;
  for (uint32_t client = 0; client < kClients; ++client) {
    const auto fate = behaviour.FateOf(client, 1).vanishes;
    EXPECT_EQ(behaviour.FateOf(client, 1).vanishes, fate);
    attempts +=
        (fate == Vanishing::kNever) == (behaviour.FateOf(client, 2).vanishes == Vanishing::kNever);
    seeds += (fate == Vanishing::kNever) == (other.FateOf(client, 1).vanishes == Vanishing::kNever);
  }
  ExpectFrequency(attempts, kClients, 0.5);
  ExpectFrequency(seeds, kClients, 0.5);
}

TEST(BehaviourTest, OneSettingMovesNothingElse) {
  const Behaviour few = Of("dropout = 0.1\nstragglers = 0.3\n");
  const Behaviour many = Of("dropout = 0.6\nstragglers = 0.3\nfailures = 0.5\n");
  for (uint32_t client = 0; client < 300; ++client) {
    EXPECT_EQ(few.FateOf(client, 1).straggles, many.FateOf(client, 1).straggles);
    // Who vanishes at 0.1 vanishes at 0.6.
    if (few.FateOf(client, 1).vanishes != Vanishing::kNever) {
      EXPECT_EQ(many.FateOf(client, 1).vanishes, few.FateOf(client, 1).vanishes);
    }
  }
}

TEST(BehaviourTest, WhenItVanishesCanBeChosen) {
  const struct {
    const char* name;
    Vanishing when;
  } kinds[] = {{"before_training", Vanishing::kBeforeTraining},
               {"after_keys", Vanishing::kAfterKeys},
               {"after_upload", Vanishing::kAfterUpload}};
  for (const auto& kind : kinds) {
    const Behaviour behaviour =
        Of(std::string("dropout = 0.9\ndropout_at = \"") + kind.name + "\"\n");
    for (uint32_t client = 0; client < 50; ++client) {
      const Vanishing vanishes = behaviour.FateOf(client, 1).vanishes;
      EXPECT_TRUE(vanishes == kind.when || vanishes == Vanishing::kNever);
    }
  }
}

// Li et al. 2020: a number of epochs from 1 to E, each as likely.
TEST(BehaviourTest, PartialStragglersDoEachNumberOfEpochsAsOften) {
  const Behaviour behaviour = Of("stragglers = 1.0\nstraggler_work = \"partial\"\n");
  std::vector<int> counts(6);
  for (uint32_t client = 0; client < kClients; ++client) {
    const ClientFate fate = behaviour.FateOf(client, 9);
    EXPECT_TRUE(fate.partial && !fate.too_late);
    EXPECT_EQ(fate.slowdown, 1);
    EXPECT_EQ(fate.EpochsOf(1), 1u);
    EXPECT_EQ(fate.EpochsOf(0), 0u);
    ++counts.at(fate.EpochsOf(5));
  }
  EXPECT_EQ(counts[0], 0);
  for (int i = 1; i <= 5; ++i) ExpectFrequency(counts[i], kClients, 0.2);
}

TEST(BehaviourTest, DroppedStragglersAreTooLateAndLateOnesOnlySlow) {
  const Behaviour dropped = Of("stragglers = 1.0\nstraggler_work = \"dropped\"\n");
  EXPECT_TRUE(dropped.FateOf(3, 1).too_late);
  EXPECT_EQ(dropped.FateOf(3, 1).EpochsOf(5), 5u);
  const Work work{.records = 1000};
  EXPECT_NEAR(absl::ToDoubleSeconds(dropped.TimeOf(3, 1, work)), 1, 1e-6);
  const Behaviour late = Of("stragglers = 1.0\nslowdown = 7\n");
  EXPECT_FALSE(late.FateOf(3, 1).too_late);
  EXPECT_NEAR(absl::ToDoubleSeconds(late.TimeOf(3, 1, work)), 7, 1e-6);
}

TEST(BehaviourTest, ARandomShareIsThereInEveryAttemptAndMinute) {
  const Behaviour behaviour = Of("availability = \"random\"\navailable = 0.3\n");
  int there = 0, again = 0, later = 0;
  for (uint32_t client = 0; client < kClients; ++client) {
    const bool now = behaviour.Available(client, absl::Seconds(30), 1);
    there += now;
    EXPECT_EQ(behaviour.Available(client, absl::Seconds(59), 1), now);
    again += now && behaviour.Available(client, absl::Seconds(30), 2);
    later += now && behaviour.Available(client, absl::Minutes(2), 1);
  }
  ExpectFrequency(there, kClients, 0.3);
  ExpectFrequency(again, kClients, 0.09);
  ExpectFrequency(later, kClients, 0.09);
}

TEST(BehaviourTest, DiurnalClientsComeAtTheSameHoursEveryDay) {
  const Behaviour behaviour = Of("availability = \"diurnal\"\nhours = 6\ntime_zones = 24\n");
  int noon = 0;
  for (uint32_t client = 0; client < kClients; ++client) {
    noon += behaviour.Available(client, absl::Hours(12), 1);
    EXPECT_EQ(behaviour.Available(client, absl::Hours(12), 1),
              behaviour.Available(client, absl::Hours(36), 7));
  }
  ExpectFrequency(noon, kClients, 0.25);
  for (uint32_t client = 0; client < 20; ++client) {
    int minutes = 0, changes = 0;
    for (int minute = 0; minute < 24 * 60; ++minute) {
      const bool now = behaviour.Available(client, absl::Minutes(minute), 1);
      minutes += now;
      changes += now != behaviour.Available(client, absl::Minutes(minute + 1), 1);
    }
    EXPECT_EQ(minutes, 6 * 60);
    EXPECT_EQ(changes, 2);
  }
  const Behaviour together = Of("availability = \"diurnal\"\nhours = 6\ntime_zones = 0\n");
  for (uint32_t client = 0; client < 20; ++client) {
    EXPECT_TRUE(together.Available(client, absl::Hours(5.9), 1));
    EXPECT_FALSE(together.Available(client, absl::Hours(6), 1));
    EXPECT_TRUE(together.Available(client, absl::Hours(24), 1));
  }
}

TEST(BehaviourTest, TraitsAreLogNormalAndStay) {
  const Behaviour behaviour =
      Of("speed = 100\nspeed_spread = 0.5\nupload = 3000\nupload_spread = 1.5\n");
  int below = 0, one_deviation = 0, upload = 0;
  for (uint32_t client = 0; client < kClients; ++client) {
    const ClientTraits traits = behaviour.TraitsOf(client);
    EXPECT_EQ(behaviour.TraitsOf(client).speed, traits.speed);
    EXPECT_EQ(traits.download, 2'500'000);
    below += traits.speed < 100;
    one_deviation += std::abs(std::log(traits.speed / 100)) < 0.5;
    upload += std::abs(std::log(traits.upload / 3000)) < 1.5;
  }
  ExpectFrequency(below, kClients, 0.5);
  ExpectFrequency(one_deviation, kClients, 0.682689492);
  ExpectFrequency(upload, kClients, 0.682689492);
}

TEST(BehaviourTest, TimesStayFinite) {
  const Behaviour behaviour =
      Of("speed = 1e-300\nupload = 1e-300\ndownload = 1e-300\nstragglers = 1.0\n");
  const absl::Duration time = behaviour.TimeOf(
      1, 1, {.download_bytes = UINT64_MAX, .records = 1e300, .upload_bytes = UINT64_MAX});
  EXPECT_EQ(time, 3 * absl::Hours(24 * 365 * 10));
  EXPECT_EQ(behaviour.TimeOf(1, 1, {}), absl::ZeroDuration());
}

TEST(BehaviourTest, ThereMustBeClients) {
  const SimulationSpec spec = ParseSimulation(kTop, "s.toml").value();
  for (const uint32_t clients : {0u, kMaxSimulatedClients + 1}) {
    const auto behaviour = Behaviour::Create(spec, clients, 1);
    EXPECT_EQ(behaviour.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(behaviour.status().message()), HasSubstr("there must be 1 to 1000000"));
  }
}

}  // namespace
}  // namespace dure::simulation
