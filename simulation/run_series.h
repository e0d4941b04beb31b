// Runs that were simulated, side by side: found in folders, read, and grouped into series, each of
// the runs that differ in nothing but their seed. Thread-safe: functions without state.
#ifndef DURE_SIMULATION_RUN_SERIES_H_
#define DURE_SIMULATION_RUN_SERIES_H_

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "simulation/metrics_log.h"

namespace dure::simulation {

// Most runs of one report: those of the largest sweep.
inline constexpr size_t kMaxReportRuns = 10'000;

struct ReportRun {
  std::string path;  // of its folder
  RunRecord record;  // without confusion matrices
};

// Runs that differ in nothing but their seed, by seed; of several with the same seed the longest.
struct Series {
  std::string name;                                // no two series have the same
  std::map<std::string, std::string> differences;  // its values of RunSeries::differing
  std::vector<ReportRun> runs;
};

struct RunSeries {
  std::string title;   // the names of the federations
  std::string figure;  // the main one of the most runs: simulation/main_figure.h
  std::vector<Series> series;
  std::map<std::string, std::string> common;  // the configuration that all have
  std::vector<std::string> differing;         // the keys in which series differ
  std::vector<std::string> notes;             // what a reader must know; a sentence each
};

// Reads every run: `paths` are folders with a metrics.jsonl, such files, or folders of such folders
// (a sweep). A run of a sweep that cannot be read is left out, and a note says so; one that was
// named is an error. NotFound, naming the path, where there is no run; ResourceExhausted above
// kMaxReportRuns; else as ReadMetrics.
absl::StatusOr<RunSeries> ReadRunSeries(std::span<const std::string> paths);

// The same of runs that were read.
RunSeries GroupRuns(std::vector<ReportRun> runs);

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_RUN_SERIES_H_
