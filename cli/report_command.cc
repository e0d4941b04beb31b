// `dure report`: simulated runs side by side, as one page that stands alone.
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/paragraph.h"
#include "base/printable.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "simulation/report.h"
#include "simulation/report_table.h"

namespace dure::cli {
namespace {

struct ReportArguments {
  std::vector<std::string> runs;
  std::string out = simulation::kReportFile;
  std::string plots;
  std::optional<double> target;
  bool as_json = false;
};

// Rows that are printed; the page has them all.
constexpr size_t kMostShown = 20;
constexpr size_t kNameWidth = 36;

std::string Number(const simulation::Spread& spread) {
  if (spread.count == 0) return "-";
  return spread.count > 1 ? absl::StrFormat("%.4f +- %.4f", spread.mean, spread.deviation)
                          : absl::StrFormat("%.4f", spread.mean);
}

std::string RoundsTo(const simulation::Spread& spread, size_t runs) {
  if (spread.count == 0) return "not reached";
  return absl::StrFormat(
      "%.0f%s", spread.mean,
      spread.count < runs ? absl::StrCat(" (", spread.count, "/", runs, ")") : "");
}

void PrintTable(const simulation::RunSeries& all, std::optional<double> target) {
  absl::PrintF("%-*s  %5s  %18s%s\n", kNameWidth, "series", "seeds",
               absl::StrCat("final ", Printable(all.figure, 12)),
               target ? absl::StrFormat("  %14s", absl::StrFormat("rounds to %g", *target)) : "");
  for (size_t i = 0; i < all.series.size(); ++i) {
    if (i == kMostShown) {
      absl::PrintF("and %d more\n", all.series.size() - i);
      return;
    }
    const simulation::Series& series = all.series[i];
    const simulation::SeriesRow row = simulation::RowOf(series, all.figure, target);
    absl::PrintF("%-*s  %5d  %18s%s\n", kNameWidth, Printable(series.name, kNameWidth),
                 series.runs.size(), Number(row.final_figure),
                 target
                     ? absl::StrFormat("  %14s", RoundsTo(row.rounds_to_target, series.runs.size()))
                     : "");
  }
}

int RunReport(const ReportArguments& arguments) {
  if (std::filesystem::path(arguments.out).filename() == simulation::kMetricsFile) {
    return Fail(absl::InvalidArgumentError(
        absl::StrCat("--out ", arguments.out, ": that is what a run wrote; name another file")));
  }
  const absl::StatusOr<simulation::RunSeries> all =
      simulation::WriteReport(arguments.runs, arguments.out, arguments.target);
  if (!all.ok()) return Fail(all.status());
  for (const std::string& note : all->notes) {
    std::string text;
    AppendParagraph("note: ", Printable(note), 2, &text);
    absl::FPrintF(stderr, "%s", text);
  }
  if (!arguments.plots.empty()) {
    const absl::StatusOr<std::vector<std::string>> files =
        simulation::WritePlots(*all, arguments.plots, arguments.target);
    if (!files.ok()) return Fail(files.status());
  }
  if (arguments.as_json) {
    absl::PrintF("%s\n", simulation::TableToJson(*all, arguments.target));
    return kSuccess;
  }
  PrintTable(*all, arguments.target);
  absl::PrintF("the page: %s\n", OneLine(arguments.out));
  return kSuccess;
}

}  // namespace

void AddReportCommand(CLI::App& app, int* exit_code) {
  auto arguments = std::make_shared<ReportArguments>();
  CLI::App* command =
      AddCommand(app, "report", "Compares simulated runs: curves and a table, on one page",
                 "dure report runs/fedavg runs/fedadam --target 0.85 --out report.html");
  command
      ->add_option("RUN", arguments->runs,
                   "a folder that dure simulate wrote, or one of several such (a sweep)")
      ->required();
  command->add_option("--out", arguments->out, "the page, " + arguments->out + " without it");
  command->add_option("--plots", arguments->plots,
                      "a folder for the page's charts as SVG files of their own");
  command
      ->add_option(
          "--target", arguments->target,
          "count the rounds, and the virtual time, until the accuracy (or what the loss is "
          "measured by) is this")
      ->check([](const std::string& text) -> std::string {
        double value = 0;
        return absl::SimpleAtod(text, &value) && std::isfinite(value)
                   ? ""
                   : absl::StrCat("\"", text, "\" is no number");
      });
  command->add_flag("--json", arguments->as_json, "the table as one JSON object");
  command->callback([arguments, exit_code] { *exit_code = RunReport(*arguments); });
}

}  // namespace dure::cli
