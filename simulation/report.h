// `dure report`: runs of the simulator as one page that stands alone: no network, no other file;
// its content security policy forbids both. docs/simulation.md says what is on it. Thread-safe.
#ifndef DURE_SIMULATION_REPORT_H_
#define DURE_SIMULATION_REPORT_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "simulation/run_series.h"

namespace dure::simulation {

inline constexpr char kReportFile[] = "report.html";

// The page. `target`: the value of the main figure that rounds are counted to.
std::string ReportHtml(const RunSeries& all, std::optional<double> target);

// Reads the runs in `paths` (ReadRunSeries, whose errors these are) and writes their page to
// `file`. Returns what was read.
absl::StatusOr<RunSeries> WriteReport(const std::vector<std::string>& paths,
                                      const std::string& file, std::optional<double> target);

// Writes each chart of the page as an SVG file of its own into `folder`, which is made if it is not
// there: accuracy-against-rounds.svg and so on. Returns their names.
absl::StatusOr<std::vector<std::string>> WritePlots(const RunSeries& all, const std::string& folder,
                                                    std::optional<double> target);

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_REPORT_H_
