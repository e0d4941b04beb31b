// A simulation file may come from anybody, and so may a key on a command line. Whatever is read
// must be written and read back to the same, and every run of its sweep must be readable.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "simulation/spec.h"

// The first line is an override, if it is not empty.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t end = text.find('\n');
  const std::string_view first = text.substr(0, end);
  const std::string_view toml = end == std::string_view::npos ? "" : text.substr(end + 1);
  std::vector<dure::KeyOverride> overrides;
  if (!first.empty()) {
    auto parsed = dure::simulation::ParseOverrides({{std::string(first)}});
    if (parsed.ok()) overrides = parsed->simulation;
  }
  dure::simulation::IsSimulationFile(toml);
  const auto spec = dure::simulation::ParseSimulation(toml, "/fuzz/fuzz.toml", overrides);
  if (!spec.ok()) return 0;
  const std::string written = dure::simulation::SimulationToToml(*spec);
  const auto again = dure::simulation::ParseSimulation(written, "/fuzz/again.toml");
  // Paths of overrides are those of whoever typed them, and become relative to the file.
  if (overrides.empty()) {
    DURE_CHECK(again.ok());
    DURE_CHECK(again->SerializeAsString() == spec->SerializeAsString());
  }
  const std::vector<dure::simulation::SweepRun> runs = dure::simulation::RunsOf(*spec);
  DURE_CHECK(!runs.empty() && runs.size() <= dure::simulation::kMaxSweepRuns);
  return 0;
}
