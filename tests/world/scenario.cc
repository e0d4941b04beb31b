#include "tests/world/scenario.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "federation/manifest.h"
#include "federation/spec.h"
#include "federation/terms/terms.h"
#include "tests/world/dice.h"

namespace dure::world {
namespace {

struct Size {
  uint32_t cohort = 0;
  bool fixed = true;  // false: everybody who is connected
  uint32_t minimum = 0;
  uint32_t rounds = 0;
  uint32_t attempts = 0;
};

Size DrawSize(Dice& dice) {
  Size size;
  size.cohort = dice.Chance(0.06) ? dice.Between(8, 12) : dice.Of({3u, 4u, 4u, 5u, 5u, 5u, 6u, 7u});
  size.fixed = dice.Chance(0.8);
  size.minimum = std::max(3u, size.cohort - dice.Between(0, size.cohort / 3));
  size.rounds = dice.Of({1u, 2u, 2u, 3u});
  // Sometimes so few that they run out.
  size.attempts = size.rounds + (dice.Chance(0.1) ? dice.Between(0, 2) : dice.Between(12, 40));
  return size;
}

constexpr char kMasks[] = "max_corrupt = 0.2\nmax_dropout = 0.1\n";

// [local] and [privacy] of every unit and mode.
std::string DrawPrivacy(Dice& dice) {
  const std::string records = "total_records = 5000\nmax_records_per_member = 1000\n";
  const std::string limit = "max_epsilon = 1000\n";
  switch (dice.Below(8)) {
    case 0:
    case 1:
    case 2:
      return absl::StrCat(
          "[local]\nmode = \"gradient\"\nsampling_rate = 0.1\n[privacy]\nunit = \"record\"\n"
          "clip_norm = 1.0\nnoise_multiplier = 0.1\n",
          limit, records);
    case 3:
      return absl::StrCat(
          "[local]\nmode = \"epochs\"\n[privacy]\nunit = \"client\"\nclip_norm = 1.0\n"
          "noise_multiplier = 0.01\n",
          limit, dice.Chance(0.5) ? "rotation = true\n" : "");
    case 4:
      return absl::StrCat(
          "[local]\nmode = \"epochs\"\nweighting = \"records\"\nweight_max = 800\n"
          "weight_mean = 400\n[privacy]\nunit = \"client\"\nclip_norm = 1.0\n"
          "noise_multiplier = 0.3\nclipping = \"adaptive\"\nclip_count_noise = 0.3\n",
          limit);
    case 5:
      return absl::StrCat("[local]\nmode = \"dp_sgd\"\nsampling_rate = 0.1\nsteps = 2\n[privacy]\n",
                          limit, records);
    case 6:
      return "[local]\nmode = \"epochs\"\nweighting = \"records\"\nweight_max = 800\n[privacy]\n"
             "unit = \"none\"\n";
    default:
      return "[local]\nmode = \"epochs\"\n[privacy]\nunit = \"none\"\n";
  }
}

std::string Toml(const Size& size, bool evaluated, const std::string& optimizer,
                 const std::string& privacy, const std::string& secure_aggregation) {
  return absl::StrCat(
      "[federation]\nname = \"world\"\npurpose = \"Tests\"\naddress = \"localhost:7443\"\n"
      "[model]\narchitecture = \"logistic_regression\"\n[model.input]\nshape = [4]\nclasses = 2\n",
      "[rounds]\ncount = ", size.rounds,
      size.fixed ? absl::StrCat("\ncohort = ", size.cohort) : std::string(),
      "\nminimum = ", size.minimum, "\nmax_attempts = ", size.attempts, "\ndeadline = \"10s\"\n",
      "[server]\noptimizer = \"", optimizer, "\"\nlearning_rate = 0.5\n", privacy,
      "[secure_aggregation]\n", secure_aggregation, "[evaluation]\nevery = ", evaluated ? 1 : 20,
      "\n");
}

ServerOptimizerConfig OptimizerOf(const ServerSection& server) {
  ServerOptimizerConfig config;
  config.kind = server.optimizer() == ServerSection::FEDADAM   ? ServerOptimizerKind::kFedAdam
                : server.optimizer() == ServerSection::FEDAVGM ? ServerOptimizerKind::kFedAvgM
                                                               : ServerOptimizerKind::kFedAvg;
  config.learning_rate = server.learning_rate();
  config.beta1 = server.beta1();
  config.beta2 = server.beta2();
  config.tau = server.tau();
  return config;
}

void DrawNetwork(Dice& dice, Faults& faults) {
  if (dice.Chance(0.3)) faults.slowest = absl::Seconds(1);
  if (dice.Chance(0.4)) faults.delayed = dice.Of({0.01, 0.03, 0.1});
  if (dice.Chance(0.5)) faults.cut = dice.Of({0.002, 0.005, 0.02});
  if (dice.Chance(0.3)) faults.partition = dice.Of({0.01, 0.05});
}

void DrawProcesses(Dice& dice, Faults& faults) {
  if (dice.Chance(0.3)) faults.crash_at_write = dice.Of({0.01, 0.03, 0.1});
  if (dice.Chance(0.6)) {
    faults.crash_where = absl::StrCat(dice.Of({"before ", "after "}),
                                      std::string(kWrites[dice.Below(std::size(kWrites))]));
    faults.crash_time = dice.Between(0, 2);
  }
  if (dice.Chance(0.3)) faults.member_dies = dice.Of({0.01, 0.05});
  if (dice.Chance(0.2)) faults.coordinator_dies = dice.Of({0.01, 0.03});
  if (dice.Chance(0.1)) faults.coordinator_stops = 0.02;
  if (dice.Chance(0.1)) faults.paused = 0.03;
  if (dice.Chance(0.25)) faults.trainer_fails = dice.Of({0.05, 0.3});
  if (dice.Chance(0.25)) faults.trainer_is_slow = dice.Of({0.05, 0.2});
  if (dice.Chance(0.04)) faults.budget_is_spent = 0.05;
}

void DrawHostility(Dice& dice, Faults& faults) {
  if (dice.Chance(0.6)) faults.forged = dice.Of({0.01, 0.05, 0.2});
  if (dice.Chance(0.5)) faults.replayed = dice.Of({0.01, 0.05, 0.2});
  if (dice.Chance(0.5)) faults.repeated = dice.Of({0.02, 0.1, 0.3});
  if (dice.Chance(0.4)) faults.reordered = dice.Of({0.02, 0.1});
  if (dice.Chance(0.4)) faults.dropped = dice.Of({0.01, 0.05});
}

}  // namespace

Scenario DrawScenario(uint64_t seed) {
  Dice dice(seed, "scenario");
  Scenario drawn{.seed = seed};
  Size size = DrawSize(dice);
  const std::string privacy = DrawPrivacy(dice);
  const bool secure = dice.Chance(0.85);
  std::string aggregation = "enabled = false\n";
  if (secure) aggregation = kMasks;
  // Groups with a sum each, where there are enough for three.
  bool groups = secure && size.cohort >= 9;
  if (groups) {
    absl::StrAppend(&aggregation, "robust = \"", dice.Of<const char*>({"median", "trimmed_mean"}),
                    "\"\ngroup_size = ", size.cohort / 3, "\n");
    size.fixed = true;
    size.minimum = 3;
  }
  const std::string optimizer = dice.Of<const char*>({"fedavg", "fedavgm", "fedadam"});
  drawn.evaluator = dice.Chance(0.5);
  drawn.members = size.cohort + dice.Of({0u, 0u, 1u, 2u});
  const uint32_t least = size.minimum;
  for (;; ++size.minimum) {
    if (size.minimum > size.cohort) {  // no minimum works with these groups
      DURE_CHECK(groups);
      groups = false;
      aggregation = kMasks;
      size.minimum = least;
    }
    absl::StatusOr<FederationSpec> spec =
        ParseFederation(Toml(size, drawn.evaluator, optimizer, privacy, aggregation), "world.toml");
    if (!spec.ok()) continue;
    drawn.spec = *std::move(spec);
    drawn.dim = BuiltInManifest(drawn.spec.model())->dim();
    if (DeriveTerms(drawn.spec, drawn.dim, size.cohort).ok()) break;
  }
  drawn.spec_digest = SpecDigest(drawn.spec);
  drawn.optimizer = OptimizerOf(drawn.spec.server());
  DrawNetwork(dice, drawn.faults);
  DrawProcesses(dice, drawn.faults);
  if (dice.Chance(0.35)) DrawHostility(dice, drawn.faults);
  if (secure && dice.Chance(0.25)) {
    drawn.faults.spoiled = dice.Of({0.05, 0.2, 0.5});
    drawn.dishonest.push_back(dice.Between(0, drawn.members - 1));
  }
  const Faults& faults = drawn.faults;
  drawn.hostile = faults.forged + faults.replayed + faults.repeated + faults.reordered +
                      faults.dropped + faults.spoiled >
                  0;
  drawn.faults_last =
      dice.Between(absl::Seconds(1), dice.Of({absl::Seconds(10), absl::Seconds(60)}));
  drawn.text = absl::StrCat(
      drawn.members, " members, cohort ", size.fixed ? absl::StrCat(size.cohort) : "open",
      ", minimum ", size.minimum, ", ", size.rounds, " rounds in ", size.attempts, " attempts, ",
      PrivacySection::Unit_Name(drawn.spec.privacy().unit()), " ",
      LocalSection::Mode_Name(drawn.spec.local().mode()), secure ? "" : " without masks",
      groups ? " in groups" : "", ", ", optimizer, drawn.hostile ? ", hostile" : "",
      ", faults for ", absl::FormatDuration(drawn.faults_last));
  return drawn;
}

}  // namespace dure::world
