// The figures of a report: a row for each series, over its seeds. Thread-safe: pure functions.
#ifndef DURE_SIMULATION_REPORT_TABLE_H_
#define DURE_SIMULATION_REPORT_TABLE_H_

#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "simulation/run_series.h"

namespace dure::simulation {

// Of the numbers that are finite.
struct Spread {
  size_t count = 0;
  double mean = std::numeric_limits<double>::quiet_NaN();
  double deviation = 0;  // sample standard deviation (n - 1); 0 of fewer than two
  double least = 0;
  double most = 0;
};
Spread SpreadOf(std::span<const double> values);

// Every number is one of each run of the series.
struct SeriesRow {
  Spread final_figure;  // RunSeries::figure, of the newest evaluation
  Spread final_loss;
  Spread best;               // of the figure
  Spread rounds;             // released
  Spread rounds_to_target;   // the first evaluated round at the target, of the runs that got there
  Spread seconds_to_target;  // virtual
  Spread epsilon;            // of the newest round; the largest is what is claimed
  Spread virtual_seconds;
  Spread wall_seconds;
  Spread bytes_received;  // by the coordinator
  Spread bytes_sent;
  Spread failed_attempts;
  size_t diverged = 0;  // runs whose newest loss is not finite
};
SeriesRow RowOf(const Series& series, const std::string& figure, std::optional<double> target);

// One JSON object, without a newline: docs/cli.md, `dure report --json`.
std::string TableToJson(const RunSeries& all, std::optional<double> target);

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_REPORT_TABLE_H_
