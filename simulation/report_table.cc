#include "simulation/report_table.h"

#include <algorithm>
#include <cmath>

#include "nlohmann/json.hpp"
#include "simulation/main_figure.h"

namespace dure::simulation {
namespace {

using json = nlohmann::ordered_json;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct Columns {
  std::vector<double> final_figure, final_loss, best, rounds, rounds_to_target, seconds_to_target,
      epsilon, virtual_seconds, wall_seconds, bytes_received, bytes_sent, failed_attempts;
};

void AddEvaluations(const RunRecord& record, const std::string& figure,
                    std::optional<double> target, Columns& columns) {
  const bool more = MoreIsBetter(figure);
  double best = kNan;
  bool reached = false;
  for (const EvaluationLine& line : record.evaluations) {
    const double value = FigureOf(line.metrics, figure);
    if (!std::isfinite(value)) continue;
    if (std::isnan(best) || (more ? value > best : value < best)) best = value;
    if (!target || reached || (more ? value < *target : value > *target)) continue;
    reached = true;
    columns.rounds_to_target.push_back(line.round);
    columns.seconds_to_target.push_back(line.virtual_seconds);
  }
  columns.best.push_back(best);
  if (record.evaluations.empty()) return;
  const ModelMetrics& newest = record.evaluations.back().metrics;
  columns.final_figure.push_back(FigureOf(newest, figure));
  columns.final_loss.push_back(newest.loss());
}

// How far the run is, by its newest line.
void AddProgress(const RunRecord& record, Columns& columns) {
  double virtual_seconds = 0, wall_seconds = 0, received = 0, sent = 0;
  for (const RoundLine& line : record.rounds) {
    received += static_cast<double>(line.bytes_received);
    sent += static_cast<double>(line.bytes_sent);
    virtual_seconds = std::max(virtual_seconds, line.virtual_seconds);
    wall_seconds = std::max(wall_seconds, line.wall_seconds);
  }
  if (record.end) {
    virtual_seconds = std::max(virtual_seconds, record.end->virtual_seconds);
    wall_seconds = std::max(wall_seconds, record.end->wall_seconds);
  }
  columns.virtual_seconds.push_back(virtual_seconds);
  columns.wall_seconds.push_back(wall_seconds);
  columns.bytes_received.push_back(received);
  columns.bytes_sent.push_back(sent);
  columns.rounds.push_back(record.rounds.empty() ? 0 : record.rounds.back().round);
  columns.failed_attempts.push_back(static_cast<double>(record.failures.size()));
  // Attempts that failed cost too: the end knows better than the newest round.
  if (record.end && record.end->epsilon) {
    columns.epsilon.push_back(*record.end->epsilon);
  } else if (!record.rounds.empty() && record.rounds.back().epsilon) {
    columns.epsilon.push_back(*record.rounds.back().epsilon);
  }
}

json ToJson(const Spread& spread) {
  if (spread.count == 0) return json();
  return {{"mean", spread.mean},
          {"deviation", spread.count > 1 ? json(spread.deviation) : json()},
          {"least", spread.least},
          {"most", spread.most},
          {"runs", spread.count}};
}

json RowToJson(const Series& series, const SeriesRow& row, const std::string& figure,
               std::optional<double> target) {
  json seeds = json::array(), runs = json::array();
  for (const ReportRun& run : series.runs) {
    seeds.push_back(run.record.run.seed);
    runs.push_back(run.path);
  }
  json object = {{"name", series.name},
                 {"differences", series.differences},
                 {"seeds", seeds},
                 {"runs", runs},
                 {"rounds", ToJson(row.rounds)},
                 {"final", {{"loss", ToJson(row.final_loss)}}},
                 {"best", ToJson(row.best)},
                 {"diverged", row.diverged},
                 {"epsilon", row.epsilon.count == 0 ? json() : json(row.epsilon.most)},
                 {"virtual_seconds", ToJson(row.virtual_seconds)},
                 {"wall_seconds", ToJson(row.wall_seconds)},
                 {"bytes_received", ToJson(row.bytes_received)},
                 {"bytes_sent", ToJson(row.bytes_sent)},
                 {"failed_attempts", ToJson(row.failed_attempts)}};
  object["final"][figure] = ToJson(row.final_figure);
  if (target) {
    object["rounds_to_target"] = ToJson(row.rounds_to_target);
    object["virtual_seconds_to_target"] = ToJson(row.seconds_to_target);
  }
  return object;
}

}  // namespace

Spread SpreadOf(std::span<const double> values) {
  Spread spread;
  double sum = 0;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    spread.least = spread.count == 0 ? value : std::min(spread.least, value);
    spread.most = spread.count == 0 ? value : std::max(spread.most, value);
    sum += value;
    ++spread.count;
  }
  if (spread.count == 0) return spread;
  const auto count = static_cast<double>(spread.count);
  spread.mean = sum / count;
  double squares = 0;
  for (const double value : values) {
    if (std::isfinite(value)) squares += (value - spread.mean) * (value - spread.mean);
  }
  if (spread.count > 1) spread.deviation = std::sqrt(squares / (count - 1));
  return spread;
}

SeriesRow RowOf(const Series& series, const std::string& figure, std::optional<double> target) {
  Columns columns;
  SeriesRow row;
  for (const ReportRun& run : series.runs) {
    AddEvaluations(run.record, figure, target, columns);
    AddProgress(run.record, columns);
    row.diverged += !run.record.evaluations.empty() &&
                    !std::isfinite(run.record.evaluations.back().metrics.loss());
  }
  row.final_figure = SpreadOf(columns.final_figure);
  row.final_loss = SpreadOf(columns.final_loss);
  row.best = SpreadOf(columns.best);
  row.rounds = SpreadOf(columns.rounds);
  row.rounds_to_target = SpreadOf(columns.rounds_to_target);
  row.seconds_to_target = SpreadOf(columns.seconds_to_target);
  row.epsilon = SpreadOf(columns.epsilon);
  row.virtual_seconds = SpreadOf(columns.virtual_seconds);
  row.wall_seconds = SpreadOf(columns.wall_seconds);
  row.bytes_received = SpreadOf(columns.bytes_received);
  row.bytes_sent = SpreadOf(columns.bytes_sent);
  row.failed_attempts = SpreadOf(columns.failed_attempts);
  return row;
}

std::string TableToJson(const RunSeries& all, std::optional<double> target) {
  json rows = json::array();
  for (const Series& series : all.series) {
    rows.push_back(RowToJson(series, RowOf(series, all.figure, target), all.figure, target));
  }
  json object = {{"title", all.title},
                 {"figure", all.figure},
                 {"target", target ? json(*target) : json()},
                 {"differing", all.differing},
                 {"series", rows},
                 {"notes", all.notes}};
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace dure::simulation
