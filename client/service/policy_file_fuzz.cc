// A policy file is written by people, too. Whatever is read must be written and read back to the
// same, and what is not must leave nothing but a status.
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/file.h"
#include "client/service/policy_file.h"
#include "federation/spec.h"

namespace {

constexpr char kTerms[] = R"(
[federation]
name = "fuzz"
purpose = "p"
address = "127.0.0.1:0"
[model]
architecture = "mlp"
input = {shape = [4], classes = 2}
[rounds]
cohort = 4
[local]
sampling_rate = 0.1
[privacy]
clip_norm = 1.0
noise_multiplier = 1.0
delta = 1e-5
max_epsilon = 10.0
total_records = 100
max_records_per_member = 50
)";

dure::LimitsFile Defaults() {
  absl::StatusOr<dure::FederationSpec> spec = dure::ParseFederation(kTerms, "terms");
  DURE_CHECK(spec.ok());
  return dure::DefaultLimits(*spec, {.ca = "ca", .coordinator = "coordinator"}, "2026-11-22");
}

std::string TemporaryPath() {
  static char folder[] = "/tmp/dure_policy_fuzz_XXXXXX";
  DURE_CHECK(mkdtemp(folder) != nullptr);
  std::atexit([] { rmdir(folder); });
  return std::string(folder) + "/policy.json";
}

// What is written for `limits`.
std::string Written(const std::string& path, const dure::LimitsFile& limits) {
  DURE_CHECK(dure::WriteLimits(path, limits).ok());
  absl::StatusOr<std::string> text = dure::ReadFile(path, uint64_t{1} << 20);
  DURE_CHECK(text.ok());
  return *text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::string* const path = new std::string(TemporaryPath());
  static const dure::LimitsFile* const defaults = new dure::LimitsFile(Defaults());
  std::ofstream(*path, std::ios::binary)
      << std::string_view(reinterpret_cast<const char*>(data), size);
  if (absl::StatusOr<dure::LimitsFile> limits = dure::ReadLimits(*path, *defaults); limits.ok()) {
    const std::string written = Written(*path, *limits);
    limits = dure::ReadLimits(*path, *defaults);
    DURE_CHECK(limits.ok());
    DURE_CHECK(Written(*path, *limits) == written);
  }
  unlink(path->c_str());
  return 0;
}
