#include "simulation/attack.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>
#include <utility>
#include <variant>

#include "base/check.h"
#include "simulation/streams.h"

namespace dure::simulation {
namespace {

// Largest integer of an update (learner/trainer.h), and largest number.
constexpr double kMaxInteger = 0x1p61;
constexpr double kMaxFloat = std::numeric_limits<float>::max();
constexpr double kDefaultScale = 10;
constexpr double kMostDeviations = 8;

std::vector<double> NumbersOf(const LocalUpdate& update) {
  return std::visit(
      [](const auto& values) { return std::vector<double>(values.begin(), values.end()); }, update);
}

LocalUpdate UpdateOf(const std::vector<double>& numbers, bool integers) {
  if (!integers) {
    std::vector<float> floats(numbers.size());
    std::transform(numbers.begin(), numbers.end(), floats.begin(), [](double value) {
      return static_cast<float>(std::clamp(value, -kMaxFloat, kMaxFloat));
    });
    return floats;
  }
  std::vector<int64_t> sums(numbers.size());
  std::transform(numbers.begin(), numbers.end(), sums.begin(), [](double value) {
    return static_cast<int64_t>(std::clamp(std::nearbyint(value), -kMaxInteger, kMaxInteger));
  });
  return sums;
}

bool HasIntegers(const LocalUpdate& update) {
  return std::holds_alternative<std::vector<int64_t>>(update);
}

// The root of the mean square.
double SizeOf(const std::vector<double>& numbers) {
  double squares = 0;
  for (const double value : numbers) squares += value * value;
  return numbers.empty() ? 0 : std::sqrt(squares / static_cast<double>(numbers.size()));
}

void AddNoise(double deviation, AesCtrRandom& random, std::vector<double>* numbers) {
  for (size_t i = 0; i < numbers->size(); i += 2) {  // Box and Muller 1958
    const double radius = deviation * std::sqrt(-2 * std::log(1 - Uniform(random)));
    const double angle = 2 * std::numbers::pi * Uniform(random);
    (*numbers)[i] += radius * std::cos(angle);
    if (i + 1 < numbers->size()) (*numbers)[i + 1] += radius * std::sin(angle);
  }
}

double DefaultStrength(AttackSection::Kind kind) {
  switch (kind) {
    case AttackSection::SCALE:
      return kDefaultScale;
    case AttackSection::A_LITTLE_IS_ENOUGH:
      return 0;
    default:
      return 1;
  }
}

// The share of a normal distribution below `z`.
double NormalBelow(double z) { return std::erfc(-z / std::numbers::sqrt2) / 2; }

}  // namespace

double LittleEnough(size_t members, size_t byzantine) {
  if (byzantine >= members) return kMostDeviations;
  const double honest = static_cast<double>(members - byzantine);
  const double supporters =
      std::floor(static_cast<double>(members) / 2 + 1) - static_cast<double>(byzantine);
  const double share = (honest - supporters) / honest;
  double low = 0, high = kMostDeviations;
  for (int i = 0; i < 60; ++i) {
    const double z = (low + high) / 2;
    (NormalBelow(z) < share ? low : high) = z;
  }
  return low;
}

Attack::Attack(const AttackSection& section, uint32_t clients, uint64_t seed)
    : kind_(section.kind()),
      strength_(section.has_strength() ? section.strength() : DefaultStrength(section.kind())),
      one_label_(section.has_from_label()),
      from_label_(section.from_label()),
      to_label_(section.to_label()),
      seed_(seed) {
  count_ = static_cast<uint32_t>(std::llround(section.byzantine() * clients));
  if (count_ == 0) return;
  std::vector<uint32_t> order(clients);
  std::iota(order.begin(), order.end(), 0u);
  AesCtrRandom random = StreamOf(seed_, "byzantine");
  byzantine_.resize(clients);
  for (uint32_t i = 0; i < count_; ++i) {  // Fisher and Yates, as far as it is needed
    const auto other = i + static_cast<uint32_t>(Uniform(random) * (clients - i));
    std::swap(order[i], order[other]);
    byzantine_[order[i]] = true;
  }
}

void Attack::PoisonLabels(const Partition& clients, uint32_t classes,
                          std::vector<float>* labels) const {
  DURE_CHECK(poisons_labels() && clients.clients() == byzantine_.size());
  for (uint32_t client = 0; client < clients.clients(); ++client) {
    if (!Byzantine(client)) continue;
    for (const uint32_t record : clients.Of(client)) {
      float& label = (*labels)[record];
      if (!one_label_) {
        label = static_cast<float>(classes - 1) - label;
      } else if (label == static_cast<float>(from_label_)) {
        label = static_cast<float>(to_label_);
      }
    }
  }
}

void Attack::AlterNumbers(uint32_t attempt, uint32_t client, std::vector<double>* numbers) const {
  switch (kind_) {
    case AttackSection::SCALE:
    case AttackSection::SIGN_FLIP: {
      const double factor = kind_ == AttackSection::SCALE ? strength_ : -strength_;
      for (double& value : *numbers) value *= factor;
      return;
    }
    case AttackSection::ZERO:
      std::fill(numbers->begin(), numbers->end(), 0.0);
      return;
    case AttackSection::CONSTANT:
      std::fill(numbers->begin(), numbers->end(), strength_ * SizeOf(*numbers));
      return;
    case AttackSection::NOISE: {
      AesCtrRandom random = StreamOf(seed_, "attack", {.attempt = attempt, .client = client});
      AddNoise(strength_ * SizeOf(*numbers), random, numbers);
      return;
    }
    default:
      DURE_CHECK(false && "no attack on updates");
  }
}

void Attack::Alter(uint32_t attempt, uint32_t client, LocalUpdate* update) const {
  DURE_CHECK(alters_updates() && Byzantine(client));
  std::vector<double> numbers = NumbersOf(*update);
  AlterNumbers(attempt, client, &numbers);
  *update = UpdateOf(numbers, HasIntegers(*update));
}

void Collusion::Add(const LocalUpdate& update) {
  const std::vector<double> numbers = NumbersOf(update);
  if (known_ == 0) {
    integers_ = HasIntegers(update);
    mean_.resize(numbers.size());
    squares_.resize(numbers.size());
  }
  DURE_CHECK(numbers.size() == mean_.size());
  ++known_;
  for (size_t i = 0; i < numbers.size(); ++i) {
    const double difference = numbers[i] - mean_[i];
    mean_[i] += difference / static_cast<double>(known_);
    squares_[i] += difference * (numbers[i] - mean_[i]);
  }
}

LocalUpdate Collusion::Finish() const {
  DURE_CHECK(known_ > 0);
  std::vector<double> sent = mean_;
  if (attack_.kind_ == AttackSection::INNER_PRODUCT) {
    for (double& value : sent) value *= -attack_.strength_;
    return UpdateOf(sent, integers_);
  }
  const double z = attack_.strength_ > 0 ? attack_.strength_ : LittleEnough(members_, known_);
  for (size_t i = 0; i < sent.size(); ++i) {
    sent[i] -= z * std::sqrt(squares_[i] / static_cast<double>(known_));
  }
  return UpdateOf(sent, integers_);
}

}  // namespace dure::simulation
