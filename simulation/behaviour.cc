#include "simulation/behaviour.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "absl/strings/str_cat.h"
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

Vanishes When(BehaviourSection::Vanishing at, double draw) {
  switch (at) {
    case BehaviourSection::BEFORE_TRAINING:
      return Vanishes::kBeforeTraining;
    case BehaviourSection::AFTER_KEYS:
      return Vanishes::kAfterKeys;
    case BehaviourSection::AFTER_UPLOAD:
      return Vanishes::kAfterUpload;
    default:
      break;
  }
  return draw < 1.0 / 3   ? Vanishes::kBeforeTraining
         : draw < 2.0 / 3 ? Vanishes::kAfterKeys
                          : Vanishes::kAfterUpload;
}

}  // namespace

uint32_t EpochsOf(const ClientFate& fate, uint32_t epochs) {
  if (!fate.partial || epochs == 0) return epochs;
  return std::min(epochs, 1 + static_cast<uint32_t>(fate.share * epochs));
}

Behaviour::Behaviour(const BehaviourSection& section, uint32_t clients, uint64_t seed)
    : section_(section), clients_(clients), seed_(seed) {
  if (section_.availability() != BehaviourSection::DIURNAL) return;
  AesCtrRandom random = StreamOf(seed_, "time zones");
  day_begins_.resize(clients_);
  for (uint16_t& begin : day_begins_) {
    begin = static_cast<uint16_t>(Uniform(random) * section_.time_zones() * kMinutesAnHour);
  }
}

std::vector<uint32_t> Behaviour::AvailableClients(absl::Duration clock, uint32_t attempt) const {
  std::vector<uint32_t> available;
  const int64_t minute = absl::ToInt64Minutes(clock);
  switch (section_.availability()) {
    case BehaviourSection::RANDOM: {
      // By the minute too: where too few are there to begin, others come.
      AesCtrRandom random =
          StreamOf(seed_, absl::StrCat("available ", minute), {.attempt = attempt});
      for (uint32_t client = 0; client < clients_; ++client) {
        if (Uniform(random) < section_.available()) available.push_back(client);
      }
      break;
    }
    case BehaviourSection::DIURNAL:
      for (uint32_t client = 0; client < clients_; ++client) {
        const int64_t of_day =
            (minute % kMinutesADay + kMinutesADay - day_begins_[client]) % kMinutesADay;
        if (static_cast<double>(of_day) < section_.hours() * kMinutesAnHour) {
          available.push_back(client);
        }
      }
      break;
    default:
      available.resize(clients_);
      std::iota(available.begin(), available.end(), 0u);
      break;
  }
  return available;
}

// The same draws whatever the settings are, so that one setting moves nothing but what it says.
ClientFate Behaviour::FateOf(uint32_t client, uint32_t attempt) const {
  AesCtrRandom random = StreamOf(seed_, "fate", {.attempt = attempt, .client = client});
  const double vanishing = Uniform(random), moment = Uniform(random), failing = Uniform(random),
               straggling = Uniform(random), share = Uniform(random);
  ClientFate fate;
  if (vanishing < section_.dropout()) fate.vanishes = When(section_.dropout_at(), moment);
  fate.fails = failing < section_.failures();
  fate.straggles = straggling < section_.stragglers();
  if (!fate.straggles) return fate;
  if (section_.straggler_work() == BehaviourSection::LATE) {
    fate.slowdown = section_.slowdown();
  } else {
    fate.partial = section_.straggler_work() == BehaviourSection::PARTIAL;
    fate.dropped = !fate.partial;
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

WorkTimes Behaviour::TimesOf(uint32_t client, const ClientFate& fate, const Work& work) const {
  const ClientTraits traits = TraitsOf(client);
  return {.download = TimeFor(static_cast<double>(work.download_bytes), traits.download),
          .training = TimeFor(static_cast<double>(work.records) * fate.slowdown, traits.speed),
          .upload = TimeFor(static_cast<double>(work.upload_bytes), traits.upload)};
}

}  // namespace dure::simulation
