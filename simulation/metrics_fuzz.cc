// Any bytes as metrics.jsonl: read or refused, never a fault; and what was read is written and read
// again as the same.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "simulation/metrics_log.h"
#include "simulation/metrics_scan.h"

namespace {

std::string Written(const dure::simulation::RunRecord& record) {
  using dure::simulation::MetricsLine;
  std::string text = MetricsLine(record.run);
  for (const auto& line : record.rounds) absl::StrAppend(&text, MetricsLine(line));
  for (const auto& line : record.failures) absl::StrAppend(&text, MetricsLine(line));
  for (const auto& line : record.evaluations) absl::StrAppend(&text, MetricsLine(line));
  if (record.end) absl::StrAppend(&text, MetricsLine(*record.end));
  return text;
}

}  // namespace

// The first byte chooses the checkpoint to go on from.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const dure::simulation::MetricsPosition until{.round = data[0] % 4u, .attempt = data[0] / 4u};
  const auto kept = dure::simulation::ScanMetrics(text, "fuzz", &until);
  if (kept.ok()) {
    DURE_CHECK(kept->bytes <= text.size());
    const auto all = dure::simulation::ParseMetrics(text.substr(0, kept->bytes), "kept");
    DURE_CHECK(all.ok() && all->rounds.size() == kept->record.rounds.size());
  }
  const auto record = dure::simulation::ParseMetrics(text, "fuzz");
  if (!record.ok()) return 0;
  const std::string written = Written(*record);
  const auto again = dure::simulation::ParseMetrics(written, "again");
  DURE_CHECK(again.ok() && Written(*again) == written);
  return 0;
}
