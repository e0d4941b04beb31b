#include "simulation/sweep.h"

#include <algorithm>
#include <atomic>
#include <cctype>
#include <filesystem>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "learner/on_threads.h"
#include "simulation/run_folder.h"

namespace dure::simulation {
namespace {

constexpr size_t kMaxLabelCharacters = 80;

// "learning_rate=0.1, cohort=20": keys without their sections.
std::string LabelOf(const SweepRun& run) {
  std::vector<std::string> parts;
  for (const std::string& setting : run.settings) {
    const size_t equals = setting.find('=');
    const size_t dot = setting.rfind('.', equals);
    parts.push_back(setting.substr(dot == std::string::npos ? 0 : dot + 1));
  }
  return absl::StrJoin(parts, ", ");
}

// Whether the run in `folder` is over, and how it ended.
std::optional<RunRecord> EndedRun(const std::string& folder) {
  absl::StatusOr<RunRecord> record = ReadMetrics(absl::StrCat(folder, "/", kMetricsFile));
  if (!record.ok() || !record->end || record->end->status == RunEnd::kStopped) return std::nullopt;
  return *std::move(record);
}

// What the threads of a sweep share.
struct Shared {
  std::mutex lock;
  SweepOutcome outcome;
  std::vector<double> progress;  // of each run, 0 to 1; below 0: it does not run
};

}  // namespace

std::string SweepRunFolder(const SweepRun& run, size_t place, size_t of) {
  const int digits = std::max(3, static_cast<int>(absl::StrCat(of).size()));
  std::string label;
  for (const char c : absl::StrReplaceAll(LabelOf(run), {{", ", "-"}})) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '=' ||
                       c == '_' || c == '-';
    label.push_back(plain ? c : '_');
  }
  label.resize(std::min(label.size(), kMaxLabelCharacters));
  return absl::StrCat(absl::StrFormat("%0*d", digits, place + 1), label.empty() ? "" : "-", label,
                      "-seed", run.seed);
}

uint32_t RunsWithinMemory(const Experiment& run, uint32_t most) {
  const absl::StatusOr<MemoryEstimate> memory = run.Memory();
  if (!memory.ok()) return 1;
  const uint64_t fit = ReadFreeMemory().bytes / std::max<uint64_t>(1, memory->total());
  return static_cast<uint32_t>(std::clamp<uint64_t>(fit, 1, std::max(1u, most)));
}

absl::StatusOr<SweepOutcome> RunSweep(const SweepOptions& options, const Learner& learner,
                                      RecordsCache* cache, Ranks* ranks, StopRequest* stop) {
  const size_t count = options.runs.size();
  // Processes go through the runs together, one after the other.
  const size_t at_once = ranks->size() > 1 ? 1 : std::clamp<size_t>(options.at_once, 1, count);
  const int threads = std::max(1, options.threads / static_cast<int>(at_once));
  Shared shared;
  shared.progress.assign(count, -1);
  const bool shows = ranks->rank() == 0 && options.view != nullptr;
  std::vector<size_t> open;
  for (size_t i = 0; i < count; ++i) {
    const std::string folder =
        absl::StrCat(options.folder, "/", SweepRunFolder(options.runs[i], i, count));
    if (!options.run.resume || !EndedRun(folder)) open.push_back(i);
  }
  if (shows) {
    options.view->Begin({.name = options.name,
                         .runs = static_cast<uint32_t>(count),
                         .at_once = static_cast<uint32_t>(at_once),
                         .ended_before = static_cast<uint32_t>(count - open.size()),
                         .folder = options.folder});
  }
  const auto show_progress = [&](size_t i, double done) {
    const std::lock_guard guard(shared.lock);
    shared.progress[i] = done;
    if (!shows) return;
    double sum = 0;
    uint32_t running = 0;
    for (const double part : shared.progress) {
      sum += std::max(part, 0.0);
      running += part >= 0;
    }
    options.view->Progress(running, sum);
  };
  const auto run_one = [&](size_t i) -> absl::StatusOr<RunOutcome> {
    const SweepRun& run = options.runs[i];
    RunOptions own = options.run;
    own.folder = absl::StrCat(options.folder, "/", SweepRunFolder(run, i, count));
    own.view = nullptr;
    own.progress = [&, i](double done) { show_progress(i, done); };
    own.resume = options.run.resume && FileExists(absl::StrCat(own.folder, "/", kCheckpointFile));
    if (options.run.resume && !own.resume && ranks->rank() == 0) {
      // It was ended before its first checkpoint: what it left is of no use.
      std::error_code ignored;
      std::filesystem::remove(absl::StrCat(own.folder, "/", kMetricsFile), ignored);
    }
    DURE_ASSIGN_OR_RETURN(ExperimentOptions experiment,
                          options.options_of(run, threads, static_cast<int>(at_once)));
    DURE_ASSIGN_OR_RETURN(const std::unique_ptr<Experiment> loaded,
                          Experiment::Load(std::move(experiment), learner, cache));
    return RunExperiment(*loaded, own, ranks, stop);
  };
  std::atomic<size_t> taken = 0;
  OnThreads(at_once, [&](size_t) {
    for (size_t next = taken++; next < open.size() && !stop->requested(); next = taken++) {
      const size_t i = open[next];
      show_progress(i, 0);
      absl::StatusOr<RunOutcome> outcome = run_one(i);
      const std::lock_guard guard(shared.lock);
      shared.progress[i] = -1;
      SweptRun swept{.label = LabelOf(options.runs[i]), .seed = options.runs[i].seed};
      if (outcome.ok()) {
        swept.newest = outcome->newest;
        swept.end = outcome->end;
      } else {
        swept.end = {.status = RunEnd::kFailed, .text = std::string(outcome.status().message())};
      }
      switch (swept.end.status) {
        case RunEnd::kFinished:
          ++shared.outcome.finished;
          break;
        case RunEnd::kFailed:
          ++shared.outcome.failed;
          break;
        case RunEnd::kStopped:
          ++shared.outcome.stopped;
      }
      if (shows) options.view->Show(swept);
    }
  });
  if (shows) options.view->End();
  shared.outcome.finished += static_cast<uint32_t>(count - open.size());
  return shared.outcome;
}

}  // namespace dure::simulation
