// `dure statistics`: what the members' columns say together, as it was added up before the first
// round.
#include <cmath>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/paragraph.h"
#include "base/printable.h"
#include "base/status_macros.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "coordinator/service/federation_folder.h"
#include "coordinator/service/federation_schema.h"
#include "coordinator/service/store.h"
#include "coordinator/sums.h"
#include "nlohmann/json.hpp"

namespace dure::cli {
namespace {

using json = nlohmann::ordered_json;

constexpr size_t kNameWidth = 24;
// Categories, or bars, that are printed.
constexpr size_t kMostShown = 12;

struct Taken {
  FederatedStatistics statistics;
  uint32_t members = 0;
  double epsilon = 0;
  bool exact = true;
};

absl::StatusOr<Taken> ReadStatistics(const std::string& folder) {
  DURE_RETURN_IF_ERROR(ExpectFederation(folder));
  DURE_ASSIGN_OR_RETURN(const FederationSpec spec, ReadFederationFile(FederationFilePath(folder)));
  if (!spec.statistics().enabled()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the federation in ", folder,
                     " takes no statistics: statistics.enabled = true in federation.toml asks "
                     "members for them"));
  }
  DURE_ASSIGN_OR_RETURN(std::unique_ptr<Store> store, Store::OpenForReading(folder + "/state"));
  DURE_ASSIGN_OR_RETURN(const RunState run, store->LoadRun());
  if (!run.statistics) {
    return absl::FailedPreconditionError(
        absl::StrCat("the statistics of the federation in ", folder,
                     " have not been taken yet: `dure status ", folder, "` says how far it is"));
  }
  DURE_ASSIGN_OR_RETURN(std::optional<Schema> schema, ReadFederationSchema(folder, spec));
  DURE_ASSIGN_OR_RETURN(const RunSums sums, RunSums::Create(spec, std::move(schema)));
  DURE_RETURN_IF_ERROR(sums.Check(*run.statistics));
  return Taken{.statistics = sums.StatisticsOf(*run.statistics),
               .members = run.statistics->survivors,
               .epsilon = run.statistics->epsilon,
               .exact = run.statistics->noise == 0};
}

json ColumnToJson(const ColumnStatistics& column) {
  json out = {{"name", column.name},
              {"kind", ColumnKindInWords(column.kind)},
              {"count", column.present},
              {"missing_rate", column.missing_rate}};
  if (column.kind == ColumnKind::kNumeric) {
    out["mean"] = column.mean;
    out["standard_deviation"] = column.deviation;
    out["mean_error"] = column.mean_error;
    out["range"] = {column.range->low, column.range->high};
    out["histogram"] = column.bars;
  } else {
    out["categories"] = column.categories;
    out["counts"] = column.counts;
  }
  return out;
}

void PrintJson(const Taken& taken) {
  json columns = json::array();
  for (const ColumnStatistics& column : taken.statistics.columns) {
    columns.push_back(ColumnToJson(column));
  }
  json out = {{"members", taken.members},
              {"records", taken.statistics.records},
              {"count_error", taken.statistics.noise},
              {"columns", columns},
              {"label", ColumnToJson(taken.statistics.label)}};
  out["epsilon"] = taken.exact || !std::isfinite(taken.epsilon) ? json() : json(taken.epsilon);
  std::printf("%s\n", out.dump(-1, ' ', false, json::error_handler_t::replace).c_str());
}

std::string Some(const std::vector<std::string>& words, const std::vector<double>& counts) {
  std::string text;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (i == kMostShown) return absl::StrCat(text, ", ", counts.size() - i, " more");
    absl::StrAppend(&text, i == 0 ? "" : ", ",
                    words.empty() ? "" : absl::StrCat(Printable(words[i], 40), ": "),
                    absl::StrFormat("%.0f", counts[i]));
  }
  return text;
}

void PrintColumn(const ColumnStatistics& column) {
  absl::PrintF("  %-*s %8.0f  %5.1f %%  ", kNameWidth, Printable(column.name, kNameWidth),
               column.present, 100 * column.missing_rate);
  if (column.kind != ColumnKind::kNumeric) {
    absl::PrintF("%s\n", Some(column.categories, column.counts));
    return;
  }
  const std::string error =
      column.mean_error > 0 ? absl::StrFormat(" (+- %.2g)", column.mean_error) : "";
  absl::PrintF("mean %.4g%s, deviation %.4g; %g to %g in %d bars: %s\n", column.mean, error,
               column.deviation, column.range->low, column.range->high, column.bars.size(),
               Some({}, column.bars));
}

void PrintText(const Taken& taken) {
  const FederatedStatistics& statistics = taken.statistics;
  absl::PrintF("%.0f records of %s", statistics.records, Counted(taken.members, "member"));
  taken.exact ? absl::PrintF(", exactly\n")
              : absl::PrintF("; each count has noise with a standard deviation of %.3g\n",
                             statistics.noise);
  absl::PrintF("  %-*s %8s  %7s\n", kNameWidth, "column", "count", "missing");
  for (const ColumnStatistics& column : statistics.columns) PrintColumn(column);
  absl::PrintF("  the label\n");
  PrintColumn(statistics.label);
}

int RunStatistics(const std::string& folder, bool as_json) {
  const absl::StatusOr<Taken> taken = ReadStatistics(folder);
  if (!taken.ok()) return Fail(taken.status());
  as_json ? PrintJson(*taken) : PrintText(*taken);
  return kSuccess;
}

}  // namespace

void AddStatisticsCommand(CLI::App& app, int* exit_code) {
  auto folder = std::make_shared<std::string>();
  auto as_json = std::make_shared<bool>(false);
  CLI::App* command = AddCommand(app, "statistics",
                                 "Shows what the members' columns say together, added up in secret",
                                 "dure statistics clinics");
  AddFolder(command, *folder);
  command->add_flag("--json", *as_json, "one JSON object");
  command->callback(
      [folder, as_json, exit_code] { *exit_code = RunStatistics(*folder, *as_json); });
}

}  // namespace dure::cli
