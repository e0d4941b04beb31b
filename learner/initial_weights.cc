#include "learner/initial_weights.h"

#include <cmath>

#include "base/check.h"
#include "crypto/random.h"

namespace dure {

std::vector<float> InitialWeights(const ParamManifest& manifest, uint64_t seed) {
  AesCtrRandom::Seed key = {};
  for (size_t i = 0; i < 8; ++i) key[i] = static_cast<uint8_t>(seed >> (8 * i));
  AesCtrRandom random(key);
  std::vector<float> weights;
  weights.reserve(manifest.dim());
  double fan_in = 0;
  for (const ParamEntry& param : manifest.params) {
    // A bias follows its weight and has the weight's fan-in.
    if (param.shape.size() > 1) {
      fan_in = static_cast<double>(param.size()) / static_cast<double>(param.shape[0]);
    }
    DURE_CHECK(fan_in > 0);
    const double bound = 1 / std::sqrt(fan_in);
    for (uint64_t i = 0; i < param.size(); ++i) {
      const double unit = static_cast<double>(random.NextU64() >> 11) * 0x1p-53;
      weights.push_back(static_cast<float>((2 * unit - 1) * bound));
    }
  }
  return weights;
}

}  // namespace dure
