#include "simulation/metrics_log.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"
#include "simulation/metrics_scan.h"

namespace dure::simulation {
namespace {

using json = nlohmann::ordered_json;

// What is not finite is no JSON number.
json Number(double value) { return std::isfinite(value) ? json(value) : json(); }
json Number(const std::optional<double>& value) { return value ? Number(*value) : json(); }

// Text that is not UTF-8 has its faults replaced.
std::string Line(const json& object) {
  return object.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

const char* EndInWords(RunEnd status) {
  switch (status) {
    case RunEnd::kFinished:
      return "finished";
    case RunEnd::kFailed:
      return "failed";
    case RunEnd::kStopped:
      return "stopped";
  }
  return "";
}

}  // namespace

std::string MetricsLine(const RunLine& line) {
  return Line({{"type", "run"},
               {"version", line.version},
               {"name", line.name},
               {"seed", line.seed},
               {"clients", line.clients},
               {"records", line.records},
               {"parameters", line.parameters},
               {"rounds", line.rounds},
               {"threads", line.threads},
               {"ranks", line.ranks},
               {"started", line.started},
               {"configuration", line.configuration}});
}

std::string MetricsLine(const RoundLine& line) {
  json object = {
      {"type", "round"},       {"round", line.round},         {"attempt", line.attempt},
      {"cohort", line.cohort}, {"survivors", line.survivors}, {"epsilon", Number(line.epsilon)}};
  if (line.clip_norm) object["clip_norm"] = Number(line.clip_norm);
  object.update({{"update_norm", Number(line.update_norm)},
                 {"virtual_seconds", Number(line.virtual_seconds)},
                 {"wall_seconds", Number(line.wall_seconds)},
                 {"bytes_received", line.bytes_received},
                 {"bytes_sent", line.bytes_sent}});
  return Line(object);
}

std::string MetricsLine(const AttemptFailedLine& line) {
  return Line({{"type", "attempt_failed"},
               {"round", line.round},
               {"attempt", line.attempt},
               {"reason", line.reason},
               {"virtual_seconds", Number(line.virtual_seconds)}});
}

std::string MetricsLine(const EvaluationLine& line) {
  const ModelMetrics& metrics = line.metrics;
  json object = {{"type", "evaluation"},
                 {"round", line.round},
                 {"records", metrics.records()},
                 {"loss", Number(metrics.loss())}};
  const auto add = [&object](const char* key, bool has, double value) {
    if (has) object[key] = Number(value);
  };
  add("accuracy", metrics.has_accuracy(), metrics.accuracy());
  add("f1", metrics.has_f1(), metrics.f1());
  add("auc", metrics.has_auc(), metrics.auc());
  add("mae", metrics.has_mae(), metrics.mae());
  add("perplexity", metrics.has_perplexity(), metrics.perplexity());
  if (metrics.has_own()) object["own_name"] = metrics.own_name();
  add("own", metrics.has_own(), metrics.own());
  if (metrics.confusion_size() > 0) object["confusion"] = metrics.confusion();
  object.update({{"virtual_seconds", Number(line.virtual_seconds)},
                 {"wall_seconds", Number(line.wall_seconds)}});
  return Line(object);
}

std::string MetricsLine(const EndLine& line) {
  return Line({{"type", "end"},
               {"status", EndInWords(line.status)},
               {"text", line.text},
               {"model_sha256", line.model_sha256},
               {"epsilon", Number(line.epsilon)},
               {"virtual_seconds", Number(line.virtual_seconds)},
               {"wall_seconds", Number(line.wall_seconds)},
               {"peak_memory_bytes", line.peak_memory_bytes}});
}

absl::StatusOr<MetricsLog> MetricsLog::Create(const std::string& path) {
  DURE_ASSIGN_OR_RETURN(AppendFile file, AppendFile::Create(path));
  return MetricsLog(std::move(file));
}

absl::StatusOr<ResumedMetrics> MetricsLog::Resume(const std::string& path,
                                                  MetricsPosition position) {
  DURE_ASSIGN_OR_RETURN(const std::string contents, ReadFile(path, kMaxMetricsBytes));
  DURE_ASSIGN_OR_RETURN(MetricsScan scan, ScanMetrics(contents, path, &position));
  const std::vector<RoundLine>& rounds = scan.record.rounds;
  const uint32_t last = rounds.empty() ? 0 : rounds.back().round;
  if (last != position.round) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, " ends with round ", last, ", the checkpoint is of round ", position.round,
        ": put back the file that was written with the checkpoint, or begin a new run"));
  }
  DURE_ASSIGN_OR_RETURN(AppendFile file, AppendFile::Reopen(path, scan.bytes));
  return ResumedMetrics{.log = MetricsLog(std::move(file)), .kept = std::move(scan.record)};
}

}  // namespace dure::simulation
