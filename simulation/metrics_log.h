// metrics.jsonl, what a run leaves line by line: written as it goes on, read by `dure report` and
// by people's own scripts. docs/formats/metrics.md has the format. The writer is not thread-safe;
// the readers are.
#ifndef DURE_SIMULATION_METRICS_LOG_H_
#define DURE_SIMULATION_METRICS_LOG_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/append_file.h"
#include "proto/metrics.pb.h"

namespace dure::simulation {

inline constexpr char kMetricsFile[] = "metrics.jsonl";
// Largest file read, and longest line of one.
inline constexpr uint64_t kMaxMetricsBytes = uint64_t{1} << 30;
inline constexpr size_t kMaxMetricsLineBytes = size_t{1} << 23;

// Numbers of a line that are not finite are written as null, and read as NaN.

// What is run; the first line, and once more whenever the run is resumed.
struct RunLine {
  std::string version;  // of dure
  std::string name;     // of the federation
  uint64_t seed = 0;
  uint64_t clients = 0;
  uint64_t records = 0;
  uint64_t parameters = 0;
  uint32_t rounds = 0;  // wanted
  uint32_t threads = 0;
  uint32_t ranks = 0;
  std::string started;                               // UTC, RFC 3339
  std::map<std::string, std::string> configuration;  // every key, "local.learning_rate" and so on
};

// A round that was released.
struct RoundLine {
  uint32_t round = 0;    // 1, 2, ...
  uint32_t attempt = 0;  // the one that succeeded, counted from the run's first
  uint32_t cohort = 0;
  uint32_t survivors = 0;
  std::optional<double> epsilon;    // so far; absent without privacy, and if nothing bounds it
  std::optional<double> clip_norm;  // of this round, if it adapts
  double update_norm = 0;           // L2 norm of what the model moved by
  double virtual_seconds = 0;       // on the run's own clock, since it began
  double wall_seconds = 0;          // since it began, a pause before a resume left out
  uint64_t bytes_received = 0;      // by the coordinator in this round
  uint64_t bytes_sent = 0;          // by the coordinator in this round
};

// An attempt that released nothing.
struct AttemptFailedLine {
  uint32_t round = 0;  // that it was to release
  uint32_t attempt = 0;
  std::string reason;
  double virtual_seconds = 0;
};

struct EvaluationLine {
  uint32_t round = 0;  // whose model; 0: the first model
  ModelMetrics metrics;
  double virtual_seconds = 0;
  double wall_seconds = 0;
};

enum class RunEnd { kFinished, kFailed, kStopped };

struct EndLine {
  RunEnd status = RunEnd::kFinished;
  std::string text;          // in words
  std::string model_sha256;  // 64 hexadecimal digits; "" if there is no model
  std::optional<double> epsilon;
  double virtual_seconds = 0;
  double wall_seconds = 0;
  uint64_t peak_memory_bytes = 0;
};

// One line each, with its newline.
std::string MetricsLine(const RunLine& line);
std::string MetricsLine(const RoundLine& line);
std::string MetricsLine(const AttemptFailedLine& line);
std::string MetricsLine(const EvaluationLine& line);
std::string MetricsLine(const EndLine& line);

// All lines of a file, by kind and in the order of rounds: of several that are about the same round
// the last.
struct RunRecord {
  RunLine run;  // the last one
  uint32_t resumed = 0;
  std::vector<RoundLine> rounds;
  std::vector<AttemptFailedLine> failures;  // by attempt
  std::vector<EvaluationLine> evaluations;
  std::optional<EndLine> end;  // absent: still running, or killed
  size_t cut_line = 0;         // number of a last line without its newline, which is left out; or 0
};

// NotFound if there is no such file, ResourceExhausted above kMaxMetricsBytes, DataLoss, with the
// line's number, if a line is no JSON object or one of its values cannot be, or if the first is
// no run line. Lines of a type that is not known here are passed over.
absl::StatusOr<RunRecord> ReadMetrics(const std::string& path);
// The same of a file's contents; `name` is what errors call it.
absl::StatusOr<RunRecord> ParseMetrics(std::string_view contents, const std::string& name);

// Where a checkpoint was made: after `round` was released, and `attempt` attempts.
struct MetricsPosition {
  uint32_t round = 0;
  uint32_t attempt = 0;
};

struct ResumedMetrics;

// Writes a line at a time, each by one write(2): whatever ends the process, the file has whole
// lines.
class MetricsLog {
 public:
  // AlreadyExists if there is something at `path`.
  static absl::StatusOr<MetricsLog> Create(const std::string& path);
  // Goes on behind what was written up to a checkpoint: everything later is cut off (rounds and
  // evaluations after `position.round`, failed attempts after both, the end). DataLoss as
  // ReadMetrics; FailedPrecondition if the round of the checkpoint is not in the file.
  static absl::StatusOr<ResumedMetrics> Resume(const std::string& path, MetricsPosition position);

  // Errors are those of the disk, and the line is not in the file then.
  template <typename Line>
  absl::Status Write(const Line& line) {
    return file_.Append(MetricsLine(line));
  }
  // To be called before a checkpoint is written: its round is then in the file even if the power
  // fails.
  absl::Status Sync() { return file_.Sync(); }

 private:
  explicit MetricsLog(AppendFile file) : file_(std::move(file)) {}
  AppendFile file_;
};

struct ResumedMetrics {
  MetricsLog log;
  RunRecord kept;
};

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_METRICS_LOG_H_
