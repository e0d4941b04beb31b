// dure-bench: what `dure bench` becomes. Measures the project's work, each figure beside the
// machine's own limit taken in the same run (docs/benchmarks.md).
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/command_tree.h"
#include "base/file.h"
#include "cli/bench/figure.h"
#include "cli/bench/roles.h"
#include "cli/exit_code.h"
#include "cli/stop_signal.h"
#include "nlohmann/json.hpp"

namespace dure::bench {
namespace {

struct Flags {
  std::vector<std::string> filters;
  bool json = false;
  bool quick = false;
  bool load = false;
  LoadOptions load_options;
};

std::vector<Benchmark> AllBenchmarks() {
  std::vector<Benchmark> all;
  for (auto part : {ComputeBenchmarks, RuleBenchmarks, EncodeBenchmarks, SecaggBenchmarks,
                    RoundBenchmarks, StartBenchmarks, SimulateBenchmarks, LoadBenchmarks}) {
    for (Benchmark& benchmark : part()) all.push_back(std::move(benchmark));
  }
  return all;
}

// A filter that is a whole name stands for that one alone.
absl::StatusOr<std::vector<Benchmark>> Chosen(const std::vector<std::string>& filters) {
  std::vector<Benchmark> all = AllBenchmarks();
  std::vector<std::string> names;
  for (const Benchmark& benchmark : all) names.push_back(benchmark.name);
  const auto chooses = [&](const std::string& filter, const std::string& name) {
    const bool whole = std::find(names.begin(), names.end(), filter) != names.end();
    return whole ? name == filter : name.find(filter) != std::string::npos;
  };
  std::vector<Benchmark> chosen;
  for (Benchmark& benchmark : all) {
    bool wanted = filters.empty();
    for (const std::string& filter : filters) wanted = wanted || chooses(filter, benchmark.name);
    if (wanted) chosen.push_back(std::move(benchmark));
  }
  if (!chosen.empty()) return chosen;
  return absl::InvalidArgumentError(absl::StrCat("no benchmark's name contains \"",
                                                 absl::StrJoin(filters, "\" or \""),
                                                 "\"; there are ", absl::StrJoin(names, ", ")));
}

// Where the files of a run are, removed with it.
class TemporaryFolder {
 public:
  static absl::StatusOr<TemporaryFolder> Make() {
    const char* parent = std::getenv("TMPDIR");
    std::string path =
        absl::StrCat(parent != nullptr && *parent != '\0' ? parent : "/tmp", "/dure-bench-XXXXXX");
    if (mkdtemp(path.data()) == nullptr) {
      return ErrnoStatus(errno, absl::StrCat("cannot make a folder ", path));
    }
    return TemporaryFolder(std::move(path));
  }
  TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::exchange(other.path_, "")) {}
  TemporaryFolder& operator=(TemporaryFolder&&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  explicit TemporaryFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// Ends the program when it has been asked to end and is in the middle of a long computation.
// Benchmarks with processes notice for themselves, and sooner.
class StopWatch {
 public:
  StopWatch(const cli::StopSignal& stop, const std::string& folder)
      : thread_([&stop, folder](const std::stop_token& done) {
          while (!done.stop_requested() && !stop.Requested()) absl::SleepFor(kPoll);
          for (int i = 0; i < kPollsOfGrace && !done.stop_requested(); ++i) absl::SleepFor(kPoll);
          if (done.stop_requested()) return;
          std::error_code ignored;
          std::filesystem::remove_all(folder, ignored);
          std::fprintf(stderr, "dure: stopped\n");
          std::_Exit(stop.ExitCode());
        }) {}

 private:
  static constexpr absl::Duration kPoll = absl::Milliseconds(50);
  static constexpr int kPollsOfGrace = 20;
  std::jthread thread_;
};

// The unit of a further number, by the end of its name; "": none.
std::string UnitOf(const std::string& key) {
  if (absl::EndsWith(key, "bytes_per_s")) return "B/s";
  if (absl::StrContains(key, "bytes")) return "B";
  return absl::EndsWith(key, "_s") && !absl::EndsWith(key, "per_s") ? "s" : "";
}

// "12.3 ms", "40.1 MB".
std::string ForPeople(double value, const std::string& unit) {
  char text[32];
  if (unit.empty()) {
    std::snprintf(text, sizeof(text), "%.4g", value);
  } else if (unit == "B/s") {
    std::snprintf(text, sizeof(text), "%.2f GB/s", value / 1e9);
  } else if (unit == "B") {
    std::snprintf(text, sizeof(text), "%.1f MB", value / 1e6);
  } else if (value < 1) {
    std::snprintf(text, sizeof(text), "%.3g ms", value * 1e3);
  } else {
    std::snprintf(text, sizeof(text), "%.3g s", value);
  }
  return text;
}

void Print(const Benchmark& benchmark, const Figure& figure, bool json) {
  if (json) {
    nlohmann::ordered_json line = {{"name", benchmark.name},
                                   {"value", figure.value},
                                   {"unit", benchmark.unit},
                                   {"limit", figure.limit},
                                   {"ratio", figure.ratio()}};
    for (const auto& [key, number] : figure.more) line[key] = number;
    std::printf("%s\n", line.dump().c_str());
  } else {
    std::printf("%-36s %12s %12s %8.2f\n", benchmark.name.c_str(),
                ForPeople(figure.value, benchmark.unit).c_str(),
                ForPeople(figure.limit, benchmark.unit).c_str(), figure.ratio());
    for (const auto& [key, number] : figure.more) {
      std::printf("    %-32s %12s\n", key.c_str(), ForPeople(number, UnitOf(key)).c_str());
    }
  }
  std::fflush(stdout);
}

int Run(const Flags& flags) {
  absl::StatusOr<std::vector<Benchmark>> chosen =
      flags.load ? std::vector<Benchmark>{LoadBenchmark(flags.load_options)}
                 : Chosen(flags.filters);
  if (!chosen.ok()) return cli::Fail(chosen.status());
  const cli::StopSignal stop;
  absl::StatusOr<TemporaryFolder> folder = TemporaryFolder::Make();
  if (!folder.ok()) return cli::Fail(folder.status());
  const StopWatch watch(stop, folder->path());
  if (!flags.json) std::printf("%-36s %12s %12s %8s\n", "name", "value", "limit", "ratio");
  int number = 0;
  for (const Benchmark& benchmark : *chosen) {
    Settings settings{
        .quick = flags.quick, .folder = absl::StrCat(folder->path(), "/", ++number), .stop = &stop};
    absl::Status made = MakeFolder(settings.folder, 0700);
    absl::StatusOr<Figure> figure = made.ok() ? benchmark.run(settings) : made;
    if (stop.Requested()) {
      std::fprintf(stderr, "dure: stopped\n");
      return stop.ExitCode();
    }
    if (!figure.ok()) {
      return cli::Fail(absl::Status(figure.status().code(),
                                    absl::StrCat(benchmark.name, ": ", figure.status().message())));
    }
    Print(benchmark, *figure, flags.json);
    std::error_code ignored;
    std::filesystem::remove_all(settings.folder, ignored);
  }
  return cli::kSuccess;
}

}  // namespace
}  // namespace dure::bench

int main(int argc, char** argv) {
  using namespace dure;
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (!arguments.empty() && arguments[0] == bench::kRoleWord) {
    return bench::RunRole({arguments.begin() + 1, arguments.end()});
  }
  CLI::App app("Measures dure's work beside this machine's limits", "dure bench");
  app.footer(
      "Ratios hold on a shared machine, times do not; see docs/benchmarks.md.\n"
      "Example:\n  dure bench --filter round --json");
  bench::Flags flags;
  app.add_option("--filter", flags.filters, "only those whose name is or contains TEXT; repeatable")
      ->type_name("TEXT")
      ->delimiter(',');
  app.add_flag("--json", flags.json, "one JSON object a line");
  app.add_flag("--quick", flags.quick, "one run of each, for trying out: no figures to quote");
  CLI::App* load = app.add_subcommand(
      "load", "a coordinator with many members that speak the real protocol; its peak memory");
  load->footer(
      "Example:\n  dure bench load --members 1000 --cohort 200\n"
      "  dure bench load --members 5000 --rounds 0");
  bench::LoadOptions& options = flags.load_options;
  load->add_option("--members", options.members, "connected members")
      ->capture_default_str()
      ->check(CLI::Range(3, 60000));
  load->add_option("--cohort", options.cohort, "members of a round")
      ->capture_default_str()
      ->check(CLI::Range(3, 4096));
  load->add_option("--parameters", options.parameters, "of the model, in steps of 16")
      ->capture_default_str()
      ->check(CLI::Range(32, 10'000'000));
  load->add_option("--rounds", options.rounds, "to run; 0: the members only connect")
      ->capture_default_str()
      ->check(CLI::Range(0, 1000));
  load->add_option("--deadline", options.deadline_seconds, "of a phase, in seconds")
      ->capture_default_str()
      ->check(CLI::Range(1, 3600));
  load->add_flag("--json", flags.json, "one JSON object");
  if (PrintedCommandTree(argc, argv, app)) return 0;
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    std::fprintf(stderr, "dure: %s; see dure bench --help\n", cli::OneLine(error.what()).c_str());
    return cli::kUsage;
  }
  flags.load = load->parsed();
  return bench::Run(flags);
}
