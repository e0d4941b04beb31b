// The charts of a report: which there are, and the curves of each series on them. Thread-safe: pure
// functions.
#ifndef DURE_SIMULATION_REPORT_CURVES_H_
#define DURE_SIMULATION_REPORT_CURVES_H_

#include <cstddef>
#include <optional>
#include <vector>

#include "simulation/chart.h"
#include "simulation/run_series.h"

namespace dure::simulation {

// Series with a colour of their own; if there are more, the others are quiet.
inline constexpr size_t kMostColoured = kChartColours * kChartDashes;

// Which series have a colour: all, or the kMostColoured whose newest main figure is best.
std::vector<bool> Coloured(const RunSeries& all);

// The main figure and the loss against rounds and against virtual time, epsilon against rounds, and
// every other figure against rounds. At each round the mean over the seeds that measured it, from
// the smallest to the largest; of virtual time the mean too. Charts without a point are left out.
std::vector<Chart> ChartsOf(const RunSeries& all, std::optional<double> target);

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_REPORT_CURVES_H_
