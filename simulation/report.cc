#include "simulation/report.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/file.h"
#include "base/paragraph.h"
#include "base/quantity.h"
#include "base/status_macros.h"
#include "base/version.h"
#include "nlohmann/json.hpp"
#include "simulation/chart.h"
#include "simulation/report_curves.h"
#include "simulation/report_page.h"
#include "simulation/report_table.h"

namespace dure::simulation {
namespace {

constexpr size_t kValueBytes = 300;

// Figures with four decimals, or as many digits.
std::string Figure(double value) {
  return std::abs(value) < 1e4 ? absl::StrFormat("%.4f", value) : absl::StrFormat("%.4g", value);
}

// A cell that sorts by `value`.
std::string Cell(double value, const std::string& html) {
  return absl::StrCat("<td data-v=\"", std::isfinite(value) ? absl::StrFormat("%.9g", value) : "",
                      "\">", html, "</td>");
}
std::string NoCell() { return "<td data-v=\"\">&ndash;</td>"; }

std::string FigureCell(const Spread& spread) {
  if (spread.count == 0) return NoCell();
  std::string html = Figure(spread.mean);
  if (spread.count > 1)
    absl::StrAppend(&html, " <small>&plusmn; ", Figure(spread.deviation), "</small>");
  return Cell(spread.mean, html);
}

std::string RoundsCell(const Spread& spread, const Spread& of) {
  if (spread.count == 0) return "<td data-v=\"\">not reached</td>";
  std::string html = spread.count > 1 ? absl::StrFormat("%.1f <small>&plusmn; %.1f</small>",
                                                        spread.mean, spread.deviation)
                                      : absl::StrFormat("%.0f", spread.mean);
  if (spread.count < of.count) {
    absl::StrAppend(&html, " <small>(", spread.count, " of ", of.count, ")</small>");
  }
  return Cell(spread.mean, html);
}

std::string TimeCell(const Spread& spread) {
  if (spread.count == 0) return NoCell();
  return Cell(spread.mean, spread.mean < 60 ? absl::StrFormat("%.3g s", spread.mean)
                                            : SecondsInWords(spread.mean));
}

std::string BytesCell(const Spread& spread) {
  constexpr double kMost = 1e18;  // what comes from a file may be any number
  return Cell(spread.mean, BytesInWords(static_cast<uint64_t>(std::min(spread.mean, kMost))));
}

// Rounded up; the largest of all seeds.
std::string EpsilonCell(const Spread& spread) {
  if (spread.count == 0) return NoCell();
  return Cell(spread.most, absl::StrFormat("%.3f", std::ceil(spread.most * 1e3) / 1e3));
}

// A line in the colour and dash of a series.
std::string Swatch(size_t colour) {
  return absl::StrFormat(
      "<svg viewBox=\"0 0 26 8\" aria-hidden=\"true\"><path class=\"line c%d d%d\" "
      "d=\"M1 4H25\"/></svg>",
      colour % kChartColours, colour / kChartColours % kChartDashes);
}

std::string Capitalised(std::string text) {
  if (!text.empty()) text[0] = absl::ascii_toupper(static_cast<unsigned char>(text[0]));
  return text;
}

// "accuracy-against-rounds": letters, digits and dashes, whatever a figure is called.
std::string FileNameOf(const std::string& title) {
  std::string name;
  for (const char c : title) {
    const auto byte = static_cast<unsigned char>(c);
    name += absl::ascii_isalnum(byte) ? static_cast<char>(absl::ascii_tolower(byte)) : '-';
  }
  return name;
}

std::string Head(const RunSeries& all) {
  size_t runs = 0;
  for (const Series& series : all.series) runs += series.runs.size();
  std::string html =
      absl::StrCat("<h1>", HtmlText(all.title), "</h1>\n<p class=\"faint\">", Counted(runs, "run"),
                   " in ", all.series.size(), " series, by dure ", kVersion, "</p>\n");
  if (all.notes.empty()) return html;
  absl::StrAppend(&html, "<ul class=\"notes\">");
  for (const std::string& note : all.notes) absl::StrAppend(&html, "<li>", HtmlText(note), "</li>");
  return absl::StrCat(html, "</ul>\n");
}

std::string Legend(const RunSeries& all, const std::vector<bool>& coloured) {
  std::string html = "<div class=\"legend\">";
  nlohmann::json names = nlohmann::json::array();
  bool quiet = false;
  for (size_t i = 0; i < all.series.size(); ++i) {
    quiet = quiet || !coloured[i];
    if (!coloured[i]) continue;
    absl::StrAppend(&html, "<button type=\"button\" aria-pressed=\"true\" data-i=\"", names.size(),
                    "\">", Swatch(names.size()), "<span>", HtmlText(all.series[i].name),
                    "</span></button>");
    names.push_back(all.series[i].name);
  }
  if (quiet) {
    absl::StrAppend(&html,
                    "<button type=\"button\" aria-pressed=\"true\" data-i=\"quiet\"><svg "
                    "viewBox=\"0 0 26 8\" aria-hidden=\"true\"><path class=\"line quiet\" d=\"M1 "
                    "4H25\"/></svg><span>",
                    all.series.size() - names.size(), " others</span></button>");
  }
  std::string json = names.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  // Nothing in it may end the script.
  for (size_t at = 0; (at = json.find('<', at)) != std::string::npos;) {
    json.replace(at, 1, "\\u003c");
  }
  return absl::StrCat(html, "</div>\n<script type=\"application/json\" id=\"names\">", json,
                      "</script>\n");
}

std::string Charts(const RunSeries& all, std::optional<double> target) {
  std::string html;
  bool several = false;
  for (const Series& series : all.series) several = several || series.runs.size() > 1;
  for (Chart& chart : ChartsOf(all, target)) {
    chart.title = Capitalised(chart.title);
    absl::StrAppend(&html, ChartHtml(chart));
  }
  if (html.empty()) {
    return "<p>No run has measured its model, and none spends privacy: there is nothing to "
           "draw.</p>\n";
  }
  return absl::StrCat("<div class=\"charts\">", html, "</div>\n<p class=\"faint\">",
                      several ? "Curves are means over seeds, bands reach from the smallest to the "
                                "largest of them. "
                              : "",
                      "Virtual time is that of the simulated members and their networks.",
                      target ? " Dotted: the target." : "", "</p>\n");
}

bool SpendsPrivacy(const RunSeries& all) {
  for (const Series& series : all.series) {
    if (RowOf(series, all.figure, std::nullopt).epsilon.count > 0) return true;
  }
  return false;
}

std::string FinalTable(const RunSeries& all, std::optional<double> target) {
  const std::string figure = HtmlText(all.figure);
  const bool loss_too = all.figure != "loss";
  const bool private_too = SpendsPrivacy(all);
  const std::vector<bool> coloured = Coloured(all);
  size_t colour = 0;
  std::string html = "<h2>Results</h2>\n<div class=\"scroll\"><table><thead><tr>";
  const auto head = [&html](const std::string& text) {
    absl::StrAppend(&html, "<th data-sorts=\"\">", text, "</th>");
  };
  head("series");
  head("seeds");
  head("rounds");
  head(absl::StrCat("final ", figure));
  if (loss_too) head("final loss");
  head(absl::StrCat("best ", figure));
  if (target) {
    head(absl::StrFormat("rounds to %g", *target));
    head(absl::StrFormat("virtual time to %g", *target));
  }
  if (private_too) head("epsilon");
  for (const char* text : {"virtual time", "wall time", "received", "sent"}) head(text);
  absl::StrAppend(&html, "</tr></thead><tbody>\n");
  for (size_t i = 0; i < all.series.size(); ++i) {
    const Series& series = all.series[i];
    const SeriesRow row = RowOf(series, all.figure, target);
    absl::StrAppend(
        &html, "<tr><td>", coloured[i] ? Swatch(colour++) : "", HtmlText(series.name),
        row.diverged > 0 ? absl::StrCat(" <small>(", row.diverged, " diverged)</small>") : "",
        "</td>", Cell(static_cast<double>(series.runs.size()), absl::StrCat(series.runs.size())),
        Cell(row.rounds.mean,
             row.rounds.least == row.rounds.most
                 ? absl::StrFormat("%.0f", row.rounds.most)
                 : absl::StrFormat("%.0f to %.0f", row.rounds.least, row.rounds.most)),
        FigureCell(row.final_figure), loss_too ? FigureCell(row.final_loss) : "",
        FigureCell(row.best));
    if (target) {
      absl::StrAppend(&html, RoundsCell(row.rounds_to_target, row.rounds),
                      TimeCell(row.seconds_to_target));
    }
    absl::StrAppend(&html, private_too ? EpsilonCell(row.epsilon) : "",
                    TimeCell(row.virtual_seconds), TimeCell(row.wall_seconds),
                    BytesCell(row.bytes_received), BytesCell(row.bytes_sent), "</tr>\n");
  }
  return absl::StrCat(
      html,
      "</tbody></table></div>\n<p class=\"faint\">Means over seeds, &plusmn; the sample standard "
      "deviation",
      private_too ? "; epsilon is the largest of them, rounded up" : "",
      ". Bytes are those that the coordinator received and sent. A click on a heading sorts.",
      target ? " Rounds to the target: the first evaluated round that reaches it, of the runs that "
               "do."
             : "",
      "</p>\n");
}

std::string DifferencesTable(const RunSeries& all) {
  if (all.differing.empty()) return "";
  std::string html =
      "<h2>Differences in configuration</h2>\n<div class=\"scroll\"><table "
      "class=\"words\"><thead><tr><th data-sorts=\"\">series</th>";
  for (const std::string& key : all.differing) {
    absl::StrAppend(&html, "<th data-sorts=\"\">", HtmlText(key), "</th>");
  }
  absl::StrAppend(&html, "</tr></thead><tbody>\n");
  for (const Series& series : all.series) {
    absl::StrAppend(&html, "<tr><td>", HtmlText(series.name), "</td>");
    for (const std::string& key : all.differing) {
      const auto value = series.differences.find(key);
      absl::StrAppend(
          &html, "<td class=\"long\">",
          value == series.differences.end() ? "&ndash;" : HtmlText(value->second, kValueBytes),
          "</td>");
    }
    absl::StrAppend(&html, "</tr>\n");
  }
  return absl::StrCat(html, "</tbody></table></div>\n");
}

std::string CommonTable(const RunSeries& all) {
  std::string html =
      absl::StrCat("<details><summary>Common configuration (", Counted(all.common.size(), "key"),
                   ")</summary><div class=\"scroll\"><table class=\"words\"><thead><tr><th>key</th>"
                   "<th>value</th></tr></thead><tbody>\n");
  for (const auto& [key, value] : all.common) {
    absl::StrAppend(&html, "<tr><td>", HtmlText(key), "</td><td class=\"long\">",
                    HtmlText(value, kValueBytes), "</td></tr>\n");
  }
  return absl::StrCat(html, "</tbody></table></div></details>\n");
}

std::string EndText(const RunRecord& record) {
  if (!record.end) return "not ended";
  const std::string text =
      record.end->text.empty() ? "" : absl::StrCat(": ", HtmlText(record.end->text));
  switch (record.end->status) {
    case RunEnd::kFinished:
      return absl::StrCat("finished", text);
    case RunEnd::kFailed:
      return absl::StrCat("failed", text);
    case RunEnd::kStopped:
      return absl::StrCat("stopped", text);
  }
  return "";
}

std::string RunsTable(const RunSeries& all) {
  std::string rows;
  size_t runs = 0;
  for (const Series& series : all.series) {
    for (const ReportRun& run : series.runs) {
      const RunLine& line = run.record.run;
      ++runs;
      absl::StrAppend(
          &rows, "<tr><td>", HtmlText(run.path), "</td><td class=\"long\">", HtmlText(series.name),
          "</td><td>", line.seed, "</td><td>", HtmlText(line.version), "</td><td>",
          HtmlText(line.started),
          run.record.resumed > 0 ? absl::StrCat(", resumed ", Counted(run.record.resumed, "time"))
                                 : "",
          "</td><td>", line.threads, line.ranks > 1 ? absl::StrCat(" in ", line.ranks) : "",
          "</td><td class=\"long\">", EndText(run.record), "</td><td>",
          run.record.end && run.record.end->peak_memory_bytes > 0
              ? BytesInWords(run.record.end->peak_memory_bytes)
              : "&ndash;",
          "</td><td>", run.record.end ? HtmlText(run.record.end->model_sha256, 16) : "&ndash;",
          "</td></tr>\n");
    }
  }
  return absl::StrCat(
      "<details><summary>Runs, seeds and versions (", runs,
      ")</summary><div class=\"scroll\"><table class=\"words\"><thead><tr><th>folder</th>"
      "<th>series</th><th>seed</th><th>dure</th><th>started</th><th>threads</th><th>end</th>"
      "<th>memory</th><th>model's SHA-256</th></tr></thead><tbody>\n",
      rows, "</tbody></table></div></details>\n");
}

}  // namespace

std::string ReportHtml(const RunSeries& all, std::optional<double> target) {
  return absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
      "'unsafe-inline'; script-src 'unsafe-inline'\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
      HtmlText(all.title), " &middot; dure report</title>\n<style>", kChartStyle, kReportStyle,
      "</style></head>\n<body>\n", Head(all), Legend(all, Coloured(all)), Charts(all, target),
      FinalTable(all, target), DifferencesTable(all), CommonTable(all), RunsTable(all), "<script>",
      kReportScript, "</script>\n</body></html>\n");
}

absl::StatusOr<RunSeries> WriteReport(const std::vector<std::string>& paths,
                                      const std::string& file, std::optional<double> target) {
  DURE_ASSIGN_OR_RETURN(RunSeries all, ReadRunSeries(paths));
  DURE_RETURN_IF_ERROR(WriteFileAtomic(file, ReportHtml(all, target)));
  return all;
}

absl::StatusOr<std::vector<std::string>> WritePlots(const RunSeries& all, const std::string& folder,
                                                    std::optional<double> target) {
  DURE_RETURN_IF_ERROR(MakeFolder(folder));
  const std::vector<bool> coloured = Coloured(all);
  std::vector<std::string> names;
  for (size_t i = 0; i < all.series.size(); ++i) {
    if (coloured[i]) names.push_back(all.series[i].name);
  }
  std::vector<std::string> files;
  for (Chart& chart : ChartsOf(all, target)) {
    const std::string file = absl::StrCat(FileNameOf(chart.title), ".svg");
    chart.title = Capitalised(chart.title);
    DURE_RETURN_IF_ERROR(WriteFileAtomic(absl::StrCat(folder, "/", file), ChartSvg(chart, names)));
    files.push_back(file);
  }
  return files;
}

}  // namespace dure::simulation
