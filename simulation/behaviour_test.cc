#include "simulation/behaviour.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "simulation/spec.h"

namespace dure::simulation {
namespace {

constexpr char kTop[] = "federation = \"f\"\ndata = \"d\"\n[clients]\ncount = 10\n[behaviour]\n";
constexpr uint32_t kClients = 2000;

Behaviour Of(const std::string& keys, uint64_t seed = 1, uint32_t clients = kClients) {
  return Behaviour(ParseSimulation(kTop + keys, "s.toml").value().behaviour(), clients, seed);
}

// Which of the clients are there.
std::vector<bool> There(const Behaviour& behaviour, absl::Duration clock, uint32_t attempt) {
  std::vector<bool> there(kClients);
  for (const uint32_t client : behaviour.AvailableClients(clock, attempt)) there[client] = true;
  return there;
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
    EXPECT_EQ(fate.vanishes, Vanishes::kNot);
    EXPECT_FALSE(fate.fails || fate.straggles || fate.partial || fate.dropped);
    EXPECT_EQ(EpochsOf(fate, 7), 7u);
    const WorkTimes times = behaviour.TimesOf(
        client, fate, {.records = 500, .download_bytes = 5'000'000, .upload_bytes = 3'000'000});
    EXPECT_NEAR(absl::ToDoubleSeconds(times.download), 2, 1e-6);
    EXPECT_NEAR(absl::ToDoubleSeconds(times.training), 0.5, 1e-6);
    EXPECT_NEAR(absl::ToDoubleSeconds(times.total()), 5.5, 1e-6);
  }
  EXPECT_TRUE(behaviour.always_available());
  EXPECT_EQ(behaviour.AvailableClients(absl::Hours(7), 3).size(), kClients);
}

TEST(BehaviourTest, FatesComeAsOftenAsTheySay) {
  const Behaviour behaviour =
      Of("dropout = 0.3\nfailures = 0.05\nstragglers = 0.2\nslowdown = 4\n");
  int before = 0, keys = 0, upload = 0, failures = 0, stragglers = 0, both = 0;
  for (uint32_t client = 0; client < kClients; ++client) {
    const ClientFate fate = behaviour.FateOf(client, 5);
    before += fate.vanishes == Vanishes::kBeforeTraining;
    keys += fate.vanishes == Vanishes::kAfterKeys;
    upload += fate.vanishes == Vanishes::kAfterUpload;
    failures += fate.fails;
    stragglers += fate.straggles;
    both += fate.straggles && fate.vanishes != Vanishes::kNot;
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
        (fate == Vanishes::kNot) == (behaviour.FateOf(client, 2).vanishes == Vanishes::kNot);
    seeds += (fate == Vanishes::kNot) == (other.FateOf(client, 1).vanishes == Vanishes::kNot);
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
    if (few.FateOf(client, 1).vanishes != Vanishes::kNot) {
      EXPECT_EQ(many.FateOf(client, 1).vanishes, few.FateOf(client, 1).vanishes);
    }
  }
}

TEST(BehaviourTest, WhenItVanishesCanBeChosen) {
  const struct {
    const char* name;
    Vanishes when;
  } kinds[] = {{"before_training", Vanishes::kBeforeTraining},
               {"after_keys", Vanishes::kAfterKeys},
               {"after_upload", Vanishes::kAfterUpload}};
  for (const auto& kind : kinds) {
    const Behaviour behaviour =
        Of(std::string("dropout = 0.9\ndropout_at = \"") + kind.name + "\"\n");
    for (uint32_t client = 0; client < 50; ++client) {
      const Vanishes vanishes = behaviour.FateOf(client, 1).vanishes;
      EXPECT_TRUE(vanishes == kind.when || vanishes == Vanishes::kNot);
    }
  }
}

// Li et al. 2020: a number of epochs from 1 to E, each as likely.
TEST(BehaviourTest, PartialStragglersDoEachNumberOfEpochsAsOften) {
  const Behaviour behaviour = Of("stragglers = 1.0\nstraggler_work = \"partial\"\n");
  std::vector<int> counts(6);
  for (uint32_t client = 0; client < kClients; ++client) {
    const ClientFate fate = behaviour.FateOf(client, 9);
    EXPECT_TRUE(fate.partial && !fate.dropped);
    EXPECT_EQ(fate.slowdown, 1);
    EXPECT_EQ(EpochsOf(fate, 1), 1u);
    EXPECT_EQ(EpochsOf(fate, 0), 0u);
    ++counts.at(EpochsOf(fate, 5));
  }
  EXPECT_EQ(counts[0], 0);
  for (int i = 1; i <= 5; ++i) ExpectFrequency(counts[i], kClients, 0.2);
}

TEST(BehaviourTest, DroppedStragglersAreTooLateAndLateOnesOnlySlow) {
  const Behaviour dropped = Of("stragglers = 1.0\nstraggler_work = \"dropped\"\n");
  EXPECT_TRUE(dropped.FateOf(3, 1).dropped);
  EXPECT_EQ(EpochsOf(dropped.FateOf(3, 1), 5), 5u);
  const Work work{.records = 1000};
  EXPECT_NEAR(absl::ToDoubleSeconds(dropped.TimesOf(3, dropped.FateOf(3, 1), work).total()), 1,
              1e-6);
  const Behaviour late = Of("stragglers = 1.0\nslowdown = 7\n");
  EXPECT_FALSE(late.FateOf(3, 1).dropped);
  EXPECT_NEAR(absl::ToDoubleSeconds(late.TimesOf(3, late.FateOf(3, 1), work).total()), 7, 1e-6);
}

TEST(BehaviourTest, ARandomShareIsThereInEveryAttemptAndMinute) {
  const Behaviour behaviour = Of("availability = \"random\"\navailable = 0.3\n");
  EXPECT_FALSE(behaviour.always_available());
  const std::vector<bool> now = There(behaviour, absl::Seconds(30), 1),
                          next = There(behaviour, absl::Seconds(30), 2),
                          then = There(behaviour, absl::Minutes(2), 1);
  EXPECT_EQ(There(behaviour, absl::Seconds(59), 1), now);
  int there = 0, again = 0, later = 0;
  for (uint32_t client = 0; client < kClients; ++client) {
    there += now[client];
    again += now[client] && next[client];
    later += now[client] && then[client];
  }
  ExpectFrequency(there, kClients, 0.3);
  ExpectFrequency(again, kClients, 0.09);
  ExpectFrequency(later, kClients, 0.09);
}

TEST(BehaviourTest, DiurnalClientsComeAtTheSameHoursEveryDay) {
  const Behaviour behaviour = Of("availability = \"diurnal\"\nhours = 6\ntime_zones = 24\n");
  const std::vector<bool> noon = There(behaviour, absl::Hours(12), 1);
  EXPECT_EQ(There(behaviour, absl::Hours(36), 7), noon);
  ExpectFrequency(static_cast<int>(std::count(noon.begin(), noon.end(), true)), kClients, 0.25);
  std::vector<int> minutes(kClients), changes(kClients);
  std::vector<bool> before = There(behaviour, absl::Minutes(24 * 60 - 1), 1);
  for (int minute = 0; minute < 24 * 60; ++minute) {
    const std::vector<bool> now = There(behaviour, absl::Minutes(minute), 1);
    for (uint32_t client = 0; client < kClients; ++client) {
      minutes[client] += now[client];
      changes[client] += now[client] != before[client];
    }
    before = now;
  }
  EXPECT_THAT(minutes, ::testing::Each(6 * 60));
  EXPECT_THAT(changes, ::testing::Each(2));
  const Behaviour together = Of("availability = \"diurnal\"\nhours = 6\ntime_zones = 0\n");
  EXPECT_EQ(together.AvailableClients(absl::Hours(5.9), 1).size(), kClients);
  EXPECT_EQ(together.AvailableClients(absl::Hours(6), 1).size(), 0u);
  EXPECT_EQ(together.AvailableClients(absl::Hours(24), 1).size(), kClients);
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
  const WorkTimes times = behaviour.TimesOf(
      1, behaviour.FateOf(1, 1),
      {.records = UINT64_MAX, .download_bytes = UINT64_MAX, .upload_bytes = UINT64_MAX});
  EXPECT_EQ(times.total(), 3 * absl::Hours(24 * 365 * 10));
  EXPECT_EQ(behaviour.TimesOf(1, {}, {}).total(), absl::ZeroDuration());
}

}  // namespace
}  // namespace dure::simulation
