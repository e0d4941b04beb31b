#include "learner/initial_weights.h"

#include <cmath>
#include <numbers>
#include <string>

#include "base/check.h"
#include "crypto/random.h"

namespace dure {
namespace {

// Uniform on [0, 1).
double Unit(AesCtrRandom& random) {
  return static_cast<double>(random.NextU64() >> 11) * 0x1p-53;
}

// Box and Muller 1958; one of the two.
double Normal(AesCtrRandom& random) {
  const double radius = std::sqrt(-2 * std::log(1 - Unit(random)));
  return radius * std::cos(2 * std::numbers::pi * Unit(random));
}

// "norm1" of "norm1.weight".
std::string LayerOf(const std::string& name) { return name.substr(0, name.rfind('.')); }

bool IsNorm(const ParamEntry& param) {
  return param.shape.size() == 1 && LayerOf(param.name).find("norm") != std::string::npos;
}

// Recurrent units, from the weights between them; 0 if there are none.
uint64_t UnitsOf(const ParamManifest& manifest) {
  for (const ParamEntry& param : manifest.params) {
    if (param.name == "rnn.weight_hh_l0") return param.shape.back();
  }
  return 0;
}

}  // namespace

std::vector<float> InitialWeights(const ParamManifest& manifest, uint64_t seed) {
  AesCtrRandom::Seed key = {};
  for (size_t i = 0; i < 8; ++i) key[i] = static_cast<uint8_t>(seed >> (8 * i));
  AesCtrRandom random(key);
  std::vector<float> weights;
  weights.reserve(manifest.dim());
  const uint64_t units = UnitsOf(manifest);
  double fan_in = 0;
  for (const ParamEntry& param : manifest.params) {
    if (IsNorm(param)) {
      weights.insert(weights.end(), param.size(), param.name.ends_with(".weight") ? 1.0f : 0.0f);
      continue;
    }
    if (param.name == "embedding.weight") {
      for (uint64_t i = 0; i < param.size(); ++i) {
        weights.push_back(static_cast<float>(Normal(random)));
      }
      continue;
    }
    // A bias follows its weight and has the weight's fan-in.
    if (param.shape.size() > 1) {
      fan_in = static_cast<double>(param.size()) / static_cast<double>(param.shape[0]);
    }
    if (LayerOf(param.name) == "rnn") fan_in = static_cast<double>(units);
    DURE_CHECK(fan_in > 0);
    const double bound = 1 / std::sqrt(fan_in);
    for (uint64_t i = 0; i < param.size(); ++i) {
      weights.push_back(static_cast<float>((2 * Unit(random) - 1) * bound));
    }
  }
  return weights;
}

}  // namespace dure
