// Robust rules over the vectors of a hundred members (aggregation/robust_rule.h), on all cores.
#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "aggregation/coordinate_rule.h"
#include "aggregation/robust_rule.h"
#include "cli/bench/figure.h"
#include "cli/bench/limits.h"
#include "cli/bench/timing.h"
#include "crypto/random.h"

namespace dure::bench {
namespace {

constexpr size_t kVectors = 100;
constexpr size_t kDim = 1'000'000;

// Random numbers from -1 to 1: nothing is sorted already.
std::vector<std::vector<float>> RandomVectors() {
  SystemRandom system;
  AesCtrRandom random(system);
  std::vector<std::vector<float>> vectors(kVectors, std::vector<float>(kDim));
  std::vector<int32_t> words(kDim);
  for (std::vector<float>& vector : vectors) {
    random.Fill({reinterpret_cast<uint8_t*>(words.data()), words.size() * sizeof(int32_t)});
    for (size_t i = 0; i < kDim; ++i) vector[i] = static_cast<float>(words[i]) * 0x1p-31f;
  }
  return vectors;
}

absl::StatusOr<Figure> Combine(const Settings& settings, const RobustRule& rule) {
  const std::vector<std::vector<float>> vectors = RandomVectors();
  const RobustParams params = {.trim = 0.2, .max_poisoned = 0.2};
  const double seconds =
      MedianSeconds(settings.runs(), [&] { (void)rule.combine(params, vectors); });
  const double bytes = static_cast<double>(kVectors * kDim * sizeof(float));
  const double rate = MemoryReadRate(settings);
  return Figure{.value = seconds,
                .limit = bytes / rate,
                .more = {{"bytes", bytes},
                         {"ns_per_element", seconds * 1e9 / (kVectors * kDim)},
                         {"memory_bytes_per_s", rate}}};
}

Benchmark RuleOf(const char* name, const RobustRule& rule) {
  return {.name = absl::StrCat("aggregate/", name, "-", kVectors, "x", kDim),
          .unit = "s",
          .run = [&rule](const Settings& settings) { return Combine(settings, rule); }};
}

}  // namespace

std::vector<Benchmark> RuleBenchmarks() {
  return {RuleOf("median", kMedianRule), RuleOf("trimmed", kTrimmedMeanRule)};
}

}  // namespace dure::bench
