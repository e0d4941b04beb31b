#include "simulation/run_series.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>
#include <system_error>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/file.h"
#include "base/paragraph.h"
#include "base/printable.h"
#include "base/status_macros.h"
#include "simulation/main_figure.h"

namespace dure::simulation {
namespace {

namespace fs = std::filesystem;
using Configuration = std::map<std::string, std::string>;

// Folders below folders in which runs are looked for.
constexpr int kDeepest = 3;
// Keys in a series' name; with more of them it is called by its federation or folder.
constexpr size_t kKeysInName = 3;
constexpr size_t kMaxNameBytes = 120;
constexpr size_t kNotesOfOneKind = 10;

struct Found {
  std::string folder;
  std::string file;
  bool named = false;  // by whoever asks
};

std::string MetricsIn(const std::string& folder) {
  return absl::StrCat(folder, absl::EndsWith(folder, "/") ? "" : "/", kMetricsFile);
}

// Adds the runs below `folder`, in the order of their names.
absl::Status FindBelow(const std::string& folder, int depth, std::vector<Found>& found) {
  std::vector<std::string> folders;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code unreadable;
    if (entry->is_directory(unreadable)) folders.push_back(entry->path().string());
  }
  if (error) return ErrnoStatus(error.value(), absl::StrCat("cannot read ", folder));
  std::sort(folders.begin(), folders.end());
  for (const std::string& below : folders) {
    if (FileExists(MetricsIn(below))) {
      found.push_back({.folder = below, .file = MetricsIn(below)});
    } else if (depth < kDeepest) {
      DURE_RETURN_IF_ERROR(FindBelow(below, depth + 1, found));
    }
    if (found.size() > kMaxReportRuns) {
      return absl::ResourceExhaustedError(
          absl::StrCat("more than ", kMaxReportRuns,
                       " runs, the limit of a report: name fewer folders of them"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Found>> FindRuns(std::span<const std::string> paths) {
  std::vector<Found> found;
  for (const std::string& path : paths) {
    std::error_code error;
    if (!FileExists(path)) return absl::NotFoundError(absl::StrCat("there is no ", path));
    if (!fs::is_directory(path, error)) {
      found.push_back(
          {.folder = fs::path(path).parent_path().string(), .file = path, .named = true});
      continue;
    }
    if (FileExists(MetricsIn(path))) {
      found.push_back({.folder = path, .file = MetricsIn(path), .named = true});
      continue;
    }
    const size_t before = found.size();
    DURE_RETURN_IF_ERROR(FindBelow(path, 1, found));
    if (found.size() == before) {
      return absl::NotFoundError(absl::StrCat(
          path, " holds no ", kMetricsFile,
          ", and no folder in it does: name a folder that dure simulate wrote (--out)"));
    }
  }
  if (found.size() > kMaxReportRuns) {
    return absl::ResourceExhaustedError(absl::StrCat(
        found.size(), " runs: the limit of a report is ", kMaxReportRuns, "; name fewer"));
  }
  return found;
}

// Whether `key` is the run's seed, or says which other runs there are beside it.
bool IsSeedOrSweep(std::string_view key) {
  absl::string_view name(key.data(), key.size());
  absl::ConsumePrefix(&name, "simulation.");
  return name == "clients.seed" || absl::StartsWith(name, "sweep.");
}

// All that makes a run what it is, but for its seed.
Configuration SettingsOf(const RunLine& run) {
  Configuration settings = run.configuration;
  std::erase_if(settings, [](const auto& entry) { return IsSeedOrSweep(entry.first); });
  settings["dure version"] = run.version;
  settings["data records"] = absl::StrCat(run.records);
  if (!settings.contains("federation.name")) settings["name"] = run.name;
  return settings;
}

// The keys in which not all of `all` agree.
std::vector<std::string> Differing(const std::vector<Configuration>& all) {
  std::map<std::string, size_t> same;
  std::set<std::string> keys;
  for (const Configuration& settings : all) {
    for (const auto& [key, value] : settings) {
      keys.insert(key);
      const auto first = all[0].find(key);
      if (first != all[0].end() && first->second == value) ++same[key];
    }
  }
  std::vector<std::string> differing;
  for (const std::string& key : keys) {
    if (same[key] != all.size()) differing.push_back(key);
  }
  return differing;
}

// A text of TOML without its quotes.
std::string Unquoted(const std::string& value) {
  const bool quoted = value.size() >= 2 && value.front() == '"' && value.back() == '"';
  return quoted ? value.substr(1, value.size() - 2) : value;
}

std::string LastPart(const std::string& key) { return key.substr(key.rfind('.') + 1); }

// "learning_rate=0.1, partition=iid", with whole keys where their last parts are ambiguous.
std::string NameByKeys(const Configuration& differences) {
  std::map<std::string, int> parts;
  for (const auto& [key, value] : differences) ++parts[LastPart(key)];
  return absl::StrJoin(differences, ", ", [&](std::string* out, const auto& entry) {
    const std::string part = LastPart(entry.first);
    absl::StrAppend(out, parts[part] == 1 ? part : entry.first, "=",
                    Printable(Unquoted(entry.second), kMaxNameBytes / 2));
  });
}

// "NNN-label-seed7" without the seed.
std::string NameByFolder(const std::string& path) {
  fs::path folder(path);
  if (folder.filename().empty()) folder = folder.parent_path();
  std::string name = folder.filename().string();
  const size_t seed = name.rfind("-seed");
  if (seed != std::string::npos && seed > 0 &&
      name.find_first_not_of("0123456789", seed + 5) == std::string::npos) {
    name.resize(seed);
  }
  return name;
}

void NameSeries(RunSeries& all) {
  std::set<std::string> federations;
  for (const Series& series : all.series) federations.insert(series.runs[0].record.run.name);
  std::set<std::string> used;
  for (Series& series : all.series) {
    std::string name = series.runs[0].record.run.name;
    if (!all.differing.empty() && all.differing.size() <= kKeysInName) {
      name = NameByKeys(series.differences);
    } else if (federations.size() < all.series.size()) {
      name = NameByFolder(series.runs[0].path);
    }
    name = Printable(name.empty() ? "unnamed" : name, kMaxNameBytes);
    series.name = name;
    for (int i = 2; !used.insert(series.name).second; ++i) {
      series.name = absl::StrCat(name, " (", i, ")");
    }
  }
}

// Of several runs with one seed the longest stays: they are the same run, twice.
void DropRepeats(Series& series, size_t& dropped) {
  std::stable_sort(series.runs.begin(), series.runs.end(),
                   [](const ReportRun& a, const ReportRun& b) {
                     return std::make_tuple(a.record.run.seed, b.record.rounds.size()) <
                            std::make_tuple(b.record.run.seed, a.record.rounds.size());
                   });
  const size_t before = series.runs.size();
  const auto same = [](const ReportRun& a, const ReportRun& b) {
    return a.record.run.seed == b.record.run.seed;
  };
  series.runs.erase(std::unique(series.runs.begin(), series.runs.end(), same), series.runs.end());
  dropped += before - series.runs.size();
}

std::string MainFigure(const std::vector<Series>& all, std::vector<std::string>& notes) {
  std::map<std::string, size_t> runs;
  for (const Series& series : all) {
    for (const ReportRun& run : series.runs) {
      if (run.record.evaluations.empty()) continue;
      ++runs[MainFigureOf(run.record.evaluations.back().metrics)];
    }
  }
  std::string figure = "loss";
  size_t most = 0;
  for (const auto& [name, count] : runs) {
    if (count > most) figure = name;
    most = std::max(most, count);
  }
  if (runs.size() > 1) {
    notes.push_back(
        absl::StrCat("These runs are not all measured by the same figure; the table has ", figure,
                     ", that of the most of them."));
  }
  return figure;
}

// What a reader must know before comparing.
void AddNotes(RunSeries& all, size_t dropped) {
  if (dropped > 0) {
    all.notes.push_back(absl::StrCat(Counted(dropped, "run"),
                                     " left out: another with the same configuration and seed is "
                                     "here."));
  }
  std::set<uint64_t> models;
  std::set<uint64_t> records;
  size_t unended = 0, failed = 0, unmeasured = 0, diverged = 0, cut = 0;
  for (const Series& series : all.series) {
    for (const ReportRun& run : series.runs) {
      const RunRecord& record = run.record;
      models.insert(record.run.parameters);
      records.insert(record.run.records);
      unended += !record.end;
      failed += record.end && record.end->status != RunEnd::kFinished;
      unmeasured += record.evaluations.empty();
      diverged +=
          !record.evaluations.empty() && !std::isfinite(record.evaluations.back().metrics.loss());
      cut += record.cut_line > 0;
    }
  }
  const auto add = [&all](size_t runs, const char* one, const char* several) {
    if (runs > 0) {
      all.notes.push_back(absl::StrCat(Counted(runs, "run"), " ", runs == 1 ? one : several));
    }
  };
  if (models.size() > 1) {
    all.notes.push_back(
        "Models of different sizes are trained here; their losses need not compare.");
  }
  if (records.size() > 1) {
    all.notes.push_back("Not all runs have the same number of records: they had other data.");
  }
  add(unended, "has not ended: it is running, or was killed.",
      "have not ended: they are running, or were killed.");
  add(failed, "was stopped or failed before its last round.",
      "were stopped or failed before their last rounds.");
  add(unmeasured, "has no evaluation, and so no curve.", "have no evaluation, and so no curves.");
  add(diverged, "has diverged: its newest loss is no finite number, and is in no mean.",
      "have diverged: their newest losses are no finite numbers, and are in no mean.");
  add(cut, "ends in a cut line, which was left out.", "end in a cut line, which was left out.");
}

}  // namespace

RunSeries GroupRuns(std::vector<ReportRun> runs) {
  RunSeries all;
  std::vector<Configuration> settings;
  std::map<Configuration, size_t> index;
  std::set<std::string> names;
  for (ReportRun& run : runs) {
    names.insert(Printable(run.record.run.name, kMaxNameBytes));
    Configuration own = SettingsOf(run.record.run);
    run.record.run.configuration.clear();
    const auto [at, is_new] = index.try_emplace(std::move(own), all.series.size());
    if (is_new) {
      all.series.emplace_back();
      settings.push_back(at->first);
    }
    all.series[at->second].runs.push_back(std::move(run));
  }
  if (all.series.empty()) return all;
  all.title =
      names.size() <= 3 ? absl::StrJoin(names, ", ") : absl::StrCat(names.size(), " federations");
  all.differing = Differing(settings);
  all.common = settings[0];
  for (const std::string& key : all.differing) all.common.erase(key);
  size_t dropped = 0;
  for (size_t i = 0; i < all.series.size(); ++i) {
    for (const std::string& key : all.differing) {
      const auto value = settings[i].find(key);
      if (value != settings[i].end()) all.series[i].differences.insert(*value);
    }
    DropRepeats(all.series[i], dropped);
  }
  NameSeries(all);
  all.figure = MainFigure(all.series, all.notes);
  AddNotes(all, dropped);
  return all;
}

absl::StatusOr<RunSeries> ReadRunSeries(std::span<const std::string> paths) {
  DURE_ASSIGN_OR_RETURN(std::vector<Found> found, FindRuns(paths));
  std::vector<ReportRun> runs;
  std::vector<std::string> left_out;
  std::set<std::string> seen;
  for (const Found& run : found) {
    std::error_code error;
    const std::string canonical = fs::weakly_canonical(run.file, error).string();
    if (!error && !seen.insert(canonical).second) continue;
    absl::StatusOr<RunRecord> record = ReadMetrics(run.file);
    if (!record.ok()) {
      if (run.named) return record.status();
      left_out.push_back(std::string(record.status().message()));
      continue;
    }
    for (EvaluationLine& line : record->evaluations) line.metrics.clear_confusion();
    runs.push_back({.path = run.folder, .record = *std::move(record)});
  }
  if (runs.empty()) return absl::DataLossError(absl::StrCat("no run can be read: ", left_out[0]));
  RunSeries all = GroupRuns(std::move(runs));
  for (size_t i = 0; i < left_out.size() && i < kNotesOfOneKind; ++i) {
    all.notes.push_back(absl::StrCat("Left out: ", Printable(left_out[i]), "."));
  }
  if (left_out.size() > kNotesOfOneKind) {
    all.notes.push_back(absl::StrCat("Left out, and not readable either: ",
                                     Counted(left_out.size() - kNotesOfOneKind, "further run"),
                                     "."));
  }
  return all;
}

}  // namespace dure::simulation
