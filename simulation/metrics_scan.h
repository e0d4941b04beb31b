// Reads metrics.jsonl: what ReadMetrics and MetricsLog::Resume have in common. Thread-safe: a pure
// function.
#ifndef DURE_SIMULATION_METRICS_SCAN_H_
#define DURE_SIMULATION_METRICS_SCAN_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "simulation/metrics_log.h"

namespace dure::simulation {

struct MetricsScan {
  RunRecord record;
  uint64_t bytes = 0;  // of `contents` that `record` is made of
};

// Reads up to the first line that is later than `until`, and everything without it. A damaged line
// behind the round of `until` is later too. Errors as ParseMetrics.
absl::StatusOr<MetricsScan> ScanMetrics(std::string_view contents, const std::string& name,
                                        const MetricsPosition* until);

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_METRICS_SCAN_H_
