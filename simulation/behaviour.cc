#include "simulation/behaviour.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "absl/strings/str_cat.h"
#include "learner/data/partition.h"
#include "simulation/streams.h"

namespace dure::simulation {
namespace {

constexpr int64_t kMinutesADay = 24 * 60;
constexpr double kMinutesAnHour = 60;
constexpr absl::Duration kLongest = absl::Hours(24 * 365 * 10);

double Normal(AesCtrRandom& random) {  // Box and Muller 1958
  const double u = 1 - Uniform(random);
  return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * Uniform(random));
}

double LogNormal(double median, double spread, AesCtrRandom& random) {
  return median * std::exp(spread * Normal(random));
}

absl::Duration TimeFor(double amount, double a_second) {
  return std::min(absl::Seconds(amount / a_second), kLongest);
}

Vanishing When(BehaviourSection::Vanishing at, double draw) {
  switch (at) {
    case BehaviourSection::BEFORE_TRAINING:
      return Vanishing::kBeforeTraining;
    case BehaviourSection::AFTER_KEYS:
      return Vanishing::kAfterKeys;
    case BehaviourSection::AFTER_UPLOAD:
      return Vanishing::kAfterUpload;
    default:
      break;
  }
  return draw < 1.0 / 3   ? Vanishing::kBeforeTraining
         : draw < 2.0 / 3 ? Vanishing::kAfterKeys
                          : Vanishing::kAfterUpload;
}

}  // namespace

uint32_t ClientFate::EpochsOf(uint32_t epochs) const {
  if (!partial || epochs == 0) return epochs;
  return std::min(epochs, 1 + static_cast<uint32_t>(share * epochs));
}

absl::StatusOr<Behaviour> Behaviour::Create(const SimulationSpec& spec, uint32_t clients,
                                            uint64_t seed) {
  if (clients < 1 || clients > kMaxSimulatedClients) {
    return absl::InvalidArgumentError(
        absl::StrCat(clients, " clients: there must be 1 to ", kMaxSimulatedClients));
  }
  const BehaviourSection& section = spec.behaviour();
  Behaviour behaviour(section, seed);
  if (section.availability() == BehaviourSection::DIURNAL) {
    AesCtrRandom random = StreamOf(seed, "time zones");
    behaviour.day_begins_.resize(clients);
    for (uint16_t& begin : behaviour.day_begins_) {
      begin = static_cast<uint16_t>(Uniform(random) * section.time_zones() * kMinutesAnHour);
    }
  }
  return behaviour;
}

bool Behaviour::Available(uint32_t client, absl::Duration clock, uint32_t attempt) const {
  const int64_t minute = absl::ToInt64Minutes(clock);
  switch (section_.availability()) {
    case BehaviourSection::RANDOM: {
      // By the minute too: where too few are there to begin, others come.
      AesCtrRandom random = StreamOf(seed_, absl::StrCat("available ", minute),
                                     {.attempt = attempt, .client = client});
      return Uniform(random) < section_.available();
    }
    case BehaviourSection::DIURNAL: {
      const int64_t of_day =
          (minute % kMinutesADay + kMinutesADay - day_begins_[client]) % kMinutesADay;
      return static_cast<double>(of_day) < section_.hours() * kMinutesAnHour;
    }
    default:
      return true;
  }
}

// The same draws whatever the settings are, so that one setting moves nothing but what it says.
ClientFate Behaviour::FateOf(uint32_t client, uint32_t attempt) const {
  AesCtrRandom random = StreamOf(seed_, "fate", {.attempt = attempt, .client = client});
  const double vanishing = Uniform(random), moment = Uniform(random), failing = Uniform(random),
               straggling = Uniform(random), share = Uniform(random);
  ClientFate fate;
  if (vanishing < section_.dropout()) fate.vanishes = When(section_.dropout_at(), moment);
  fate.training_fails = failing < section_.failures();
  fate.straggles = straggling < section_.stragglers();
  if (!fate.straggles) return fate;
  if (section_.straggler_work() == BehaviourSection::LATE) {
    fate.slowdown = section_.slowdown();
  } else {
    fate.partial = section_.straggler_work() == BehaviourSection::PARTIAL;
    fate.too_late = !fate.partial;
    fate.share = share;
  }
  return fate;
}

ClientTraits Behaviour::TraitsOf(uint32_t client) const {
  AesCtrRandom random = StreamOf(seed_, "traits", {.client = client});
  ClientTraits traits;
  traits.speed = LogNormal(section_.speed(), section_.speed_spread(), random);
  traits.download = LogNormal(section_.download(), section_.download_spread(), random);
  traits.upload = LogNormal(section_.upload(), section_.upload_spread(), random);
  return traits;
}

absl::Duration Behaviour::TimeOf(uint32_t client, uint32_t attempt, const Work& work) const {
  const ClientTraits traits = TraitsOf(client);
  return TimeFor(static_cast<double>(work.download_bytes), traits.download) +
         TimeFor(work.records * FateOf(client, attempt).slowdown, traits.speed) +
         TimeFor(static_cast<double>(work.upload_bytes), traits.upload);
}

}  // namespace dure::simulation
