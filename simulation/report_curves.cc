#include "simulation/report_curves.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "federation/model_metrics.h"
#include "simulation/main_figure.h"
#include "simulation/report_table.h"

namespace dure::simulation {
namespace {

// What is beyond has diverged, and would leave nothing else to see.
constexpr double kLargestDrawn = 1e30;

// One run's value at one of its rounds.
struct Sample {
  uint32_t round = 0;
  double virtual_seconds = 0;
  double value = 0;
};
using Samples = std::function<std::vector<Sample>(const RunRecord&)>;

struct TimeUnit {
  const char* name;
  double seconds;
};

// The largest in which the longest run is not short.
TimeUnit UnitFor(const RunSeries& all) {
  constexpr TimeUnit kUnits[] = {{"days", 86400}, {"hours", 3600}, {"minutes", 60}};
  double longest = 0;
  for (const Series& series : all.series) {
    for (const ReportRun& run : series.runs) {
      if (!run.record.evaluations.empty()) {
        longest = std::max(longest, run.record.evaluations.back().virtual_seconds);
      }
    }
  }
  for (const TimeUnit& unit : kUnits) {
    if (longest >= 3 * unit.seconds) return unit;
  }
  return {"seconds", 1};
}

std::vector<Sample> FigureSamples(const RunRecord& record, const std::string& figure) {
  std::vector<Sample> samples;
  for (const EvaluationLine& line : record.evaluations) {
    samples.push_back({line.round, line.virtual_seconds, FigureOf(line.metrics, figure)});
  }
  return samples;
}

std::vector<Sample> EpsilonSamples(const RunRecord& record) {
  std::vector<Sample> samples;
  for (const RoundLine& line : record.rounds) {
    if (line.epsilon) samples.push_back({line.round, line.virtual_seconds, *line.epsilon});
  }
  return samples;
}

std::vector<ChartPoint> CurveOf(const Series& series, const Samples& samples,
                                std::optional<TimeUnit> time) {
  struct AtRound {
    std::vector<double> values, seconds;
  };
  std::map<uint32_t, AtRound> rounds;
  for (const ReportRun& run : series.runs) {
    for (const Sample& sample : samples(run.record)) {
      if (!(std::abs(sample.value) <= kLargestDrawn)) continue;
      rounds[sample.round].values.push_back(sample.value);
      rounds[sample.round].seconds.push_back(sample.virtual_seconds);
    }
  }
  std::vector<ChartPoint> points;
  for (const auto& [round, at] : rounds) {
    const Spread spread = SpreadOf(at.values);
    const double x = time ? SpreadOf(at.seconds).mean / time->seconds : round;
    // Seeds that ended early may leave later rounds an earlier mean time.
    if (!points.empty() && x <= points.back().x) continue;
    points.push_back({x, spread.mean, spread.least, spread.most, spread.count});
  }
  return points;
}

std::string InWords(const std::string& figure) {
  if (figure == "mae") return "mean absolute error";
  if (figure == "f1") return "F1";
  if (figure == "auc") return "AUC";
  return figure;
}

bool IsShare(const std::string& figure) {
  return figure == "accuracy" || figure == "f1" || figure == "auc";
}

// Every figure that any run has, the main one first, then the loss.
std::vector<std::string> AllFigures(const RunSeries& all) {
  std::vector<std::string> figures = {all.figure};
  std::set<std::string> seen = {all.figure};
  if (seen.insert("loss").second) figures.push_back("loss");
  for (const Series& series : all.series) {
    for (const ReportRun& run : series.runs) {
      if (run.record.evaluations.empty()) continue;
      for (const MetricFigure& figure : FiguresOf(run.record.evaluations.back().metrics)) {
        if (seen.insert(figure.name).second) figures.push_back(figure.name);
      }
    }
  }
  return figures;
}

}  // namespace

std::vector<bool> Coloured(const RunSeries& all) {
  std::vector<bool> coloured(all.series.size(), all.series.size() <= kMostColoured);
  if (all.series.size() <= kMostColoured) return coloured;
  const double sign = MoreIsBetter(all.figure) ? -1 : 1;
  std::vector<std::pair<double, size_t>> order;
  for (size_t i = 0; i < all.series.size(); ++i) {
    const double mean = RowOf(all.series[i], all.figure, std::nullopt).final_figure.mean;
    order.emplace_back(std::isfinite(mean) ? sign * mean : HUGE_VAL, i);
  }
  std::sort(order.begin(), order.end());
  for (size_t i = 0; i < kMostColoured; ++i) coloured[order[i].second] = true;
  return coloured;
}

std::vector<Chart> ChartsOf(const RunSeries& all, std::optional<double> target) {
  const std::vector<bool> coloured = Coloured(all);
  const TimeUnit unit = UnitFor(all);
  std::vector<Chart> charts;
  const auto add = [&](Chart chart, const Samples& samples, std::optional<TimeUnit> time) {
    size_t colour = 0;
    bool any = false;
    for (size_t i = 0; i < all.series.size(); ++i) {
      chart.lines.push_back({.series = coloured[i] ? colour++ : 0,
                             .quiet = !coloured[i],
                             .points = CurveOf(all.series[i], samples, time)});
      any = any || !chart.lines.back().points.empty();
    }
    if (any) charts.push_back(std::move(chart));
  };
  const std::vector<std::string> figures = AllFigures(all);
  for (size_t i = 0; i < figures.size(); ++i) {
    const std::string& name = figures[i];
    const Samples samples = [&name](const RunRecord& record) {
      return FigureSamples(record, name);
    };
    Chart chart{.title = absl::StrCat(InWords(name), " against rounds"),
                .x_label = "round",
                .y_label = InWords(name),
                .whole_x = true,
                .share_y = IsShare(name),
                .mark = name == all.figure ? target : std::nullopt};
    add(chart, samples, std::nullopt);
    if (i > 1) continue;
    chart.title = absl::StrCat(InWords(name), " against virtual time");
    chart.x_label = absl::StrCat("virtual time (", unit.name, ")");
    chart.whole_x = false;
    add(chart, samples, unit);
    if (i == 1 || figures.size() == 1) {
      add({.title = "privacy spent against rounds",
           .x_label = "round",
           .y_label = "epsilon",
           .whole_x = true},
          EpsilonSamples, std::nullopt);
    }
  }
  return charts;
}

}  // namespace dure::simulation
