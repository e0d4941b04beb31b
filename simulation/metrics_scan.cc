#include "simulation/metrics_scan.h"

#include <cmath>
#include <limits>
#include <map>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/printable.h"
#include "base/status_macros.h"
#include "federation/model_metrics.h"
#include "nlohmann/json.hpp"

namespace dure::simulation {
namespace {

using json = nlohmann::json;

constexpr uint64_t kAny32 = std::numeric_limits<uint32_t>::max();
constexpr uint64_t kAny64 = std::numeric_limits<uint64_t>::max();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Takes the values of one line; the first that cannot be is kept as fault().
class Fields {
 public:
  explicit Fields(const json& object) : object_(object) {}

  bool Has(const char* key) const { return object_.contains(key) && !object_[key].is_null(); }
  const std::string& fault() const { return fault_; }
  void Blame(std::string fault) {
    if (fault_.empty()) fault_ = std::move(fault);
  }

  uint64_t Count(const char* key, uint64_t least, uint64_t most) {
    if (Has(key) && object_[key].is_number_unsigned()) {
      const auto value = object_[key].get<uint64_t>();
      if (value >= least && value <= most) return value;
    }
    Blame(absl::StrCat("\"", key, "\" is no whole number from ", least, " to ", most));
    return least;
  }
  uint32_t Count32(const char* key, uint64_t least = 0) {
    return static_cast<uint32_t>(Count(key, least, kAny32));
  }
  uint64_t Count64(const char* key) { return Count(key, 0, kAny64); }

  // NaN where the writer had no finite number.
  double Number(const char* key) {
    if (!object_.contains(key)) return Bad(key);
    if (object_[key].is_null()) return kNan;
    if (!object_[key].is_number()) return Bad(key);
    const auto value = object_[key].get<double>();
    return std::isfinite(value) ? value : Bad(key);
  }
  // Time, or another quantity of which there cannot be less than nothing.
  double Amount(const char* key) {
    const double value = Number(key);
    if (!(value >= 0)) Blame(absl::StrCat("\"", key, "\" is no number from 0 up"));
    return value >= 0 ? value : 0;
  }
  std::optional<double> MaybeAmount(const char* key) {
    if (!Has(key)) return std::nullopt;
    return Amount(key);
  }
  std::string Text(const char* key) { return Has(key) ? TextOf(object_[key], key) : ""; }
  std::string TextOf(const json& value, const std::string& key) {
    if (value.is_string()) return value.get<std::string>();
    Blame(absl::StrCat("\"", Printable(key, 100), "\" is no text"));
    return "";
  }

 private:
  double Bad(const char* key) {
    Blame(absl::StrCat("\"", key, "\" is no number"));
    return 0;
  }

  const json& object_;
  std::string fault_;
};

RunLine ToRun(const json& object, Fields& fields) {
  RunLine line{.version = fields.Text("version"),
               .name = fields.Text("name"),
               .seed = fields.Count64("seed"),
               .clients = fields.Count64("clients"),
               .records = fields.Count64("records"),
               .parameters = fields.Count64("parameters"),
               .rounds = fields.Count32("rounds"),
               .threads = fields.Count32("threads"),
               .ranks = fields.Count32("ranks"),
               .started = fields.Text("started")};
  if (!object.contains("configuration")) return line;
  const json& configuration = object["configuration"];
  if (!configuration.is_object()) fields.Blame("\"configuration\" is no object");
  if (!configuration.is_object()) return line;
  for (const auto& [key, value] : configuration.items()) {
    line.configuration[key] = fields.TextOf(value, key);
  }
  return line;
}

RoundLine ToRound(Fields& fields) {
  return {.round = fields.Count32("round", 1),
          .attempt = fields.Count32("attempt", 1),
          .cohort = fields.Count32("cohort"),
          .survivors = fields.Count32("survivors"),
          .epsilon = fields.MaybeAmount("epsilon"),
          .clip_norm = fields.MaybeAmount("clip_norm"),
          .update_norm = fields.Number("update_norm"),
          .virtual_seconds = fields.Amount("virtual_seconds"),
          .wall_seconds = fields.Amount("wall_seconds"),
          .bytes_received = fields.Count64("bytes_received"),
          .bytes_sent = fields.Count64("bytes_sent")};
}

AttemptFailedLine ToFailure(Fields& fields) {
  return {.round = fields.Count32("round", 1),
          .attempt = fields.Count32("attempt", 1),
          .reason = fields.Text("reason"),
          .virtual_seconds = fields.Amount("virtual_seconds")};
}

EvaluationLine ToEvaluation(const json& object, Fields& fields) {
  EvaluationLine line{.round = fields.Count32("round")};
  ModelMetrics& metrics = line.metrics;
  metrics.set_records(fields.Count64("records"));
  metrics.set_loss(fields.Number("loss"));
  if (fields.Has("accuracy")) metrics.set_accuracy(fields.Number("accuracy"));
  if (fields.Has("f1")) metrics.set_f1(fields.Number("f1"));
  if (fields.Has("auc")) metrics.set_auc(fields.Number("auc"));
  if (fields.Has("mae")) metrics.set_mae(fields.Number("mae"));
  if (fields.Has("perplexity")) metrics.set_perplexity(fields.Number("perplexity"));
  if (object.contains("own")) {
    metrics.set_own_name(fields.Text("own_name"));
    metrics.set_own(fields.Number("own"));
  }
  if (fields.Has("confusion")) {
    const json& cells = object["confusion"];
    for (size_t i = 0; cells.is_array() && i < cells.size(); ++i) {
      metrics.add_confusion(cells[i].is_number_unsigned() ? cells[i].get<uint64_t>() : 0);
    }
  }
  line.virtual_seconds = fields.Amount("virtual_seconds");
  line.wall_seconds = fields.Amount("wall_seconds");
  const absl::Status checked = CheckMetrics(metrics);
  if (!checked.ok()) fields.Blame(std::string(checked.message()));
  return line;
}

EndLine ToEnd(Fields& fields) {
  EndLine line{.text = fields.Text("text"),
               .model_sha256 = fields.Text("model_sha256"),
               .epsilon = fields.MaybeAmount("epsilon"),
               .virtual_seconds = fields.Amount("virtual_seconds"),
               .wall_seconds = fields.Amount("wall_seconds"),
               .peak_memory_bytes = fields.Count64("peak_memory_bytes")};
  const std::string status = fields.Text("status");
  if (status == "failed") {
    line.status = RunEnd::kFailed;
  } else if (status == "stopped") {
    line.status = RunEnd::kStopped;
  } else if (status != "finished") {
    fields.Blame("\"status\" is none of finished, failed, stopped");
  }
  return line;
}

class Scanner {
 public:
  Scanner(const std::string& name, const MetricsPosition* until) : name_(name), until_(until) {}

  // Whether the line was taken: false if it is later than `until`.
  absl::StatusOr<bool> Take(std::string_view line, size_t number) {
    std::string fault;
    const bool taken = TakeLine(line, fault);
    if (fault.empty()) return taken;
    // What follows a checkpoint may be half on the disk.
    if (until_ != nullptr && first_seen_ &&
        (until_->round == 0 || rounds_.contains(until_->round))) {
      return false;
    }
    return absl::DataLossError(
        absl::StrCat(name_, ":", number, ": ", fault,
                     number == 1 ? "; a metrics file begins with a line of type \"run\"" : ""));
  }

  RunRecord Finish() && {
    for (auto& [round, line] : rounds_) record_.rounds.push_back(std::move(line));
    for (auto& [attempt, line] : failures_) record_.failures.push_back(std::move(line));
    for (auto& [round, line] : evaluations_) record_.evaluations.push_back(std::move(line));
    return std::move(record_);
  }
  void SetCutLine(size_t number) { record_.cut_line = number; }

 private:
  bool TakeLine(std::string_view line, std::string& fault) {
    if (line.size() > kMaxMetricsLineBytes) {
      fault = absl::StrCat("longer than ", kMaxMetricsLineBytes, " bytes");
      return true;
    }
    const json object = json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!object.is_object()) {
      fault = "no JSON object";
      return true;
    }
    Fields fields(object);
    const std::string type = fields.Text("type");
    if (type.empty()) fields.Blame("\"type\" is missing");
    if (!first_seen_ && type != "run") fields.Blame("not the start of a run");
    const bool taken = fields.fault().empty() ? TakeTyped(type, object, fields) : true;
    fault = fields.fault();
    if (fault.empty()) first_seen_ = true;
    return taken;
  }

  bool IsLater(uint32_t round) const { return until_ != nullptr && round > until_->round; }

  // Keeps the line only if it is without fault, and not later than `until`.
  bool TakeTyped(const std::string& type, const json& object, Fields& fields) {
    if (type == "run") {
      RunLine line = ToRun(object, fields);
      if (!fields.fault().empty()) return true;
      if (first_seen_) ++record_.resumed;
      record_.end.reset();
      record_.run = std::move(line);
    } else if (type == "round") {
      RoundLine line = ToRound(fields);
      if (IsLater(line.round)) return false;
      if (fields.fault().empty()) rounds_[line.round] = std::move(line);
    } else if (type == "attempt_failed") {
      AttemptFailedLine line = ToFailure(fields);
      if (IsLater(line.round) && line.attempt > until_->attempt) return false;
      if (fields.fault().empty()) failures_[line.attempt] = std::move(line);
    } else if (type == "evaluation") {
      EvaluationLine line = ToEvaluation(object, fields);
      if (IsLater(line.round)) return false;
      if (fields.fault().empty()) evaluations_[line.round] = std::move(line);
    } else if (type == "end") {
      if (until_ != nullptr) return false;
      EndLine line = ToEnd(fields);
      if (fields.fault().empty()) record_.end = std::move(line);
    }
    return true;
  }

  const std::string& name_;
  const MetricsPosition* until_;
  bool first_seen_ = false;
  RunRecord record_;
  std::map<uint32_t, RoundLine> rounds_;
  std::map<uint32_t, AttemptFailedLine> failures_;
  std::map<uint32_t, EvaluationLine> evaluations_;
};

}  // namespace

absl::StatusOr<MetricsScan> ScanMetrics(std::string_view contents, const std::string& name,
                                        const MetricsPosition* until) {
  Scanner scanner(name, until);
  MetricsScan scan;
  size_t number = 0;
  std::string_view rest = contents;
  while (!rest.empty()) {
    ++number;
    const size_t end = rest.find('\n');
    if (end == std::string_view::npos) {
      scanner.SetCutLine(number);
      break;
    }
    DURE_ASSIGN_OR_RETURN(const bool taken, scanner.Take(rest.substr(0, end), number));
    if (!taken) break;
    rest.remove_prefix(end + 1);
    scan.bytes = contents.size() - rest.size();
  }
  if (scan.bytes == 0) {
    return absl::DataLossError(
        absl::StrCat(name, " holds no whole line: the run ended before it began"));
  }
  scan.record = std::move(scanner).Finish();
  return scan;
}

absl::StatusOr<RunRecord> ParseMetrics(std::string_view contents, const std::string& name) {
  DURE_ASSIGN_OR_RETURN(MetricsScan scan, ScanMetrics(contents, name, nullptr));
  return std::move(scan.record);
}

absl::StatusOr<RunRecord> ReadMetrics(const std::string& path) {
  DURE_ASSIGN_OR_RETURN(const std::string contents, ReadFile(path, kMaxMetricsBytes));
  return ParseMetrics(contents, path);
}

}  // namespace dure::simulation
