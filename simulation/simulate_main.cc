// dure-simulate: what `dure simulate ...` runs. Alone, or as one of the processes of an MPI job.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <new>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/command_tree.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "base/terminal.h"
#include "federation/attachments.h"
#include "federation/spec.h"
#include "learner/model_commands.h"
#include "learner/stock_trainer.h"
#include "simulation/experiment.h"
#include "simulation/keep_memory.h"
#include "simulation/mpi_ranks.h"
#include "simulation/report.h"
#include "simulation/run.h"
#include "simulation/run_folder.h"
#include "simulation/sweep.h"

namespace dure::simulation {
namespace {

constexpr int kFailure = 1;
constexpr int kWrongUsage = 2;
constexpr char kExample[] =
    "Examples:\n"
    "  dure simulate federation.toml --data /usr/share/datasets/fashion-mnist --clients 100\n"
    "  dure simulate federation.toml --data DATA --clients 1000 --partition dirichlet:0.3 "
    "--set local.learning_rate=0.05\n"
    "  dure simulate sweep.toml --threads 8 --out results\n"
    "  mpirun -n 4 dure simulate federation.toml --data DATA --clients 1000 --out run";

struct Flags {
  std::string file;
  std::vector<std::string> set;
  // Keys of the simulation file that have a flag of their own.
  std::string data, clients, partition, records, seed;
  std::string privacy = "exact", depth = "simulate", out;
  int threads = 0;
  bool tensorboard = false, resume = false, json = false;
  double checkpoint_every = 30;
};

void AddFlags(CLI::App* app, Flags* flags) {
  app->add_option("FILE", flags->file, "a federation file, or a simulation file")->required();
  app->add_option("--data", flags->data,
                  "what is dealt out: a data folder, or a CSV file or text by itself");
  app->add_option("--clients", flags->clients, "how many clients there are, up to 1,000,000");
  app->add_option("--partition", flags->partition,
                  "iid (default), contiguous, dirichlet:ALPHA, shards:K, quantity:ALPHA, "
                  "by:COLUMN or file:PATH");
  app->add_option("--records", flags->records, "most records of one client; 0: all (default)");
  app->add_option("--seed", flags->seed, "everything drawn by chance follows from it (default 1)");
  app->add_option("--set", flags->set,
                  "KEY=VALUE: a key of the federation file (local.epochs=5), or of the simulation "
                  "file (simulation.behaviour.dropout=0.1); may be repeated")
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false);
  app->add_option("--threads", flags->threads, "for training; 0: as many as the machine has")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app->add_option("--privacy", flags->privacy,
                  "exact: the real integer encoding and noise; off: no noise, and no clipping "
                  "where nothing needs it")
      ->check(CLI::IsMember({"exact", "off"}))
      ->capture_default_str();
  app->add_option("--secure-aggregation", flags->depth,
                  "simulate: masks, which cancel, are left out; full: the whole protocol. The "
                  "model is the same in every bit")
      ->check(CLI::IsMember({"simulate", "full"}))
      ->capture_default_str();
  app->add_flag("--tensorboard", flags->tensorboard, "writes TensorBoard event files as well");
  app->add_option("--out", flags->out,
                  "the folder to write (default: runs/NAME-1, runs/NAME-2, ...)");
  app->add_flag("--resume", flags->resume,
                "goes on from the checkpoint in --out with the same command");
  app->add_option("--checkpoint-every", flags->checkpoint_every, "seconds between checkpoints")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  app->add_flag("--json", flags->json, "the lines of metrics.jsonl on standard output");
  app->footer(kExample);
}

// What the files and the command line say together.
struct Wanted {
  std::string federation;
  Overrides keys;
  std::string toml;  // of the simulation file; "" without one
  SimulationSpec simulation;
};

absl::StatusOr<SimulationSpec> ReadSimulation(const Flags& flags, const Wanted& wanted,
                                              const std::vector<KeyOverride>& more) {
  std::vector<KeyOverride> keys = wanted.keys.simulation;
  keys.insert(keys.end(), more.begin(), more.end());
  return ParseSimulation(wanted.toml, flags.file, keys);
}

absl::StatusOr<Wanted> ReadWanted(const Flags& flags) {
  Wanted wanted;
  DURE_ASSIGN_OR_RETURN(wanted.keys, ParseOverrides(flags.set));
  const std::pair<const char*, const std::string*> own[] = {{"data", &flags.data},
                                                            {"clients", &flags.clients},
                                                            {"partition", &flags.partition},
                                                            {"records", &flags.records},
                                                            {"seed", &flags.seed}};
  for (const auto& [name, value] : own) {
    if (value->empty()) continue;
    const std::string key = std::string_view(name) == "data"      ? "data"
                            : std::string_view(name) == "clients" ? "clients.count"
                                                                  : absl::StrCat("clients.", name);
    wanted.keys.simulation.push_back(
        {.shown = absl::StrCat("--", name, " ", *value), .path = key, .value = *value});
  }
  DURE_ASSIGN_OR_RETURN(const std::string toml, ReadFile(flags.file, kMaxTomlFileBytes));
  wanted.federation = flags.file;
  if (IsSimulationFile(toml)) {
    wanted.toml = toml;
  } else {
    wanted.keys.simulation.push_back(
        {.shown = flags.file, .path = "federation", .value = flags.file});
  }
  if (wanted.toml.empty() && flags.data.empty()) {
    return absl::InvalidArgumentError(
        "no records to deal out: name a data folder, or a CSV file or text, with --data");
  }
  DURE_ASSIGN_OR_RETURN(wanted.simulation, ReadSimulation(flags, wanted, {}));
  if (!wanted.toml.empty()) wanted.federation = wanted.simulation.federation();
  return wanted;
}

// Processes of the job on this machine.
int ProcessesHere() {
  uint32_t here = 1;
  const char* text = std::getenv("OMPI_COMM_WORLD_LOCAL_SIZE");
  return text != nullptr && absl::SimpleAtoi(text, &here) ? std::max(1, static_cast<int>(here)) : 1;
}

int ThreadsOf(const Flags& flags) {
  if (flags.threads != 0) return flags.threads;
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  return std::max(1, static_cast<int>(cores) / ProcessesHere());  // each takes its part
}

Learner StockLearner() {
  return {.parts = StockTrainer(),
          .first_model = [](const FederationSpec& spec, const std::string& federation) {
            return FirstModel(spec, federation, spec.model().seed());
          }};
}

class Program {
 public:
  Program(Flags flags, Ranks* ranks, StopRequest* stop)
      : flags_(std::move(flags)), ranks_(*ranks), stop_(*stop), learner_(StockLearner()) {}

  absl::StatusOr<int> Run() {
    DURE_ASSIGN_OR_RETURN(wanted_, ReadWanted(flags_));
    DURE_RETURN_IF_ERROR(PrepareStockTrainer());
    const std::vector<SweepRun> runs = RunsOf(wanted_.simulation);
    // A grid of one setting is a sweep too: its values count.
    const bool sweep = runs.size() > 1 || !wanted_.simulation.sweep().grid().empty();
    return sweep ? Sweep(runs) : One();
  }

 private:
  bool first() const { return ranks_.rank() == 0; }

  absl::StatusOr<ExperimentOptions> OptionsOf(const Overrides& more, int threads,
                                              int at_once) const {
    ExperimentOptions options;
    options.federation = wanted_.federation;
    options.federation_keys = wanted_.keys.federation;
    options.federation_keys.insert(options.federation_keys.end(), more.federation.begin(),
                                   more.federation.end());
    DURE_ASSIGN_OR_RETURN(options.simulation, ReadSimulation(flags_, wanted_, more.simulation));
    options.privacy = flags_.privacy == "exact";
    options.depth = flags_.depth == "full" ? Depth::kFull : Depth::kSums;
    options.threads = threads;
    options.neighbours = at_once * ProcessesHere();
    return options;
  }

  // Where a run goes that was not given a place: all processes write of the same one.
  absl::StatusOr<std::string> OutOf(const std::string& name) const {
    if (!flags_.out.empty()) return flags_.out;
    if (flags_.resume) {
      return absl::InvalidArgumentError("--resume goes with --out, the folder of the run");
    }
    std::string safe;
    for (const char c : name) safe.push_back(std::isalnum(static_cast<unsigned char>(c)) ? c : '-');
    std::string out = FreeRunFolder("runs", safe);
    ranks_.Broadcast(&out);
    return out;
  }

  RunOptions RunFlags() const {
    RunOptions options;
    options.tensorboard = flags_.tensorboard;
    options.resume = flags_.resume;
    options.checkpoint_every = absl::Seconds(flags_.checkpoint_every);
    options.json = flags_.json;
    return options;
  }

  absl::StatusOr<int> One() {
    RecordsCache cache;
    DURE_ASSIGN_OR_RETURN(ExperimentOptions options, OptionsOf({}, ThreadsOf(flags_), 1));
    DURE_ASSIGN_OR_RETURN(const std::unique_ptr<Experiment> experiment,
                          Experiment::Load(std::move(options), learner_, &cache));
    RunOptions run = RunFlags();
    DURE_ASSIGN_OR_RETURN(run.folder, OutOf(experiment->spec().federation().name()));
    SystemClock clock;
    // Launchers give their processes terminals, whatever they write to themselves.
    LiveView view(stdout, ranks_.size() == 1 && IsTerminal(STDOUT_FILENO), &clock);
    if (first() && !flags_.json) run.view = &view;
    DURE_ASSIGN_OR_RETURN(const RunOutcome outcome,
                          RunExperiment(*experiment, run, &ranks_, &stop_));
    if (!first()) return ExitCodeOf(outcome.end.status);
    DURE_RETURN_IF_ERROR(
        WriteReport({run.folder}, absl::StrCat(run.folder, "/", kReportFile), std::nullopt)
            .status());
    if (outcome.end.status == RunEnd::kStopped) {
      std::fprintf(stderr,
                   "dure simulate: stopped; go on with the same command and --resume "
                   "--out %s\n",
                   run.folder.c_str());
    }
    return ExitCodeOf(outcome.end.status);
  }

  // A mistake in any setting is told before the first run begins. How many runs go on at once.
  absl::StatusOr<uint32_t> CheckSweep(const std::vector<SweepRun>& runs, RecordsCache* cache) {
    for (const SweepRun& run : runs) {
      if (run.seed != runs[0].seed) continue;
      DURE_ASSIGN_OR_RETURN(const ExperimentOptions options, OptionsOf(run.overrides, 1, 1));
      DURE_RETURN_IF_ERROR(
          ReadFederationWithFiles(options.federation, options.federation_keys).status());
    }
    const uint32_t wanted = wanted_.simulation.sweep().parallel();
    if (wanted != 0) return wanted;
    DURE_ASSIGN_OR_RETURN(ExperimentOptions options, OptionsOf(runs[0].overrides, 1, 1));
    DURE_ASSIGN_OR_RETURN(const std::unique_ptr<Experiment> first,
                          Experiment::Load(std::move(options), learner_, cache));
    return RunsWithinMemory(*first, static_cast<uint32_t>(ThreadsOf(flags_)));
  }

  absl::StatusOr<int> Sweep(const std::vector<SweepRun>& runs) {
    SweepOptions options;
    DURE_ASSIGN_OR_RETURN(const FederationSpec spec,
                          ReadFederationWithFiles(wanted_.federation, wanted_.keys.federation));
    options.name = spec.federation().name();
    DURE_ASSIGN_OR_RETURN(options.folder, OutOf(absl::StrCat(options.name, "-sweep")));
    options.runs = runs;
    options.options_of = [this](const SweepRun& run, int threads, int at_once) {
      return OptionsOf(run.overrides, threads, at_once);
    };
    options.run = RunFlags();
    options.threads = ThreadsOf(flags_);
    RecordsCache cache;
    DURE_ASSIGN_OR_RETURN(options.at_once, CheckSweep(runs, &cache));
    SystemClock clock;
    SweepView view(stdout, IsTerminal(STDOUT_FILENO), &clock);
    if (!flags_.json) options.view = &view;
    DURE_ASSIGN_OR_RETURN(const SweepOutcome outcome,
                          RunSweep(options, learner_, &cache, &ranks_, &stop_));
    if (first() && outcome.finished > 0) {
      DURE_RETURN_IF_ERROR(WriteReport({options.folder},
                                       absl::StrCat(options.folder, "/", kReportFile), std::nullopt)
                               .status());
    }
    if (stop_.requested()) return stop_.exit_code();
    return outcome.failed > 0 ? kFailure : 0;
  }

  int ExitCodeOf(RunEnd end) const {
    return end == RunEnd::kFinished ? 0 : end == RunEnd::kStopped ? stop_.exit_code() : kFailure;
  }

  Flags flags_;
  Ranks& ranks_;
  StopRequest& stop_;
  Learner learner_;
  Wanted wanted_;
};

// Where memory ends against what was estimated: one line, on whatever thread it is.
[[noreturn]] void EndOutOfMemory() {
  constexpr std::string_view kText =
      "dure simulate: no memory is left: take fewer --threads or runs at once, a smaller cohort or "
      "model; a run that has a checkpoint goes on with --resume\n";
  (void)!write(STDERR_FILENO, kText.data(), kText.size());
  _exit(kFailure);
}

int Main(int argc, char** argv) {
  std::set_new_handler(EndOutOfMemory);
  KeepMemory();
  // Its thread goes on until the process has ended.
  static StopRequest& stop = *new StopRequest;
  CLI::App app("Simulates a federation on this machine, or on the processes of an MPI job.",
               "dure simulate");
  Flags flags;
  AddFlags(&app, &flags);
  if (PrintedCommandTree(argc, argv, app)) return 0;
  app.failure_message([](const CLI::App*, const CLI::Error& error) {
    return absl::StrCat("dure simulate: ", error.what(), "; see dure simulate --help\n");
  });
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return error.get_exit_code() == 0 ? app.exit(error) : (app.exit(error), kWrongUsage);
  }
  absl::StatusOr<std::unique_ptr<Ranks>> ranks = JoinRanks();
  const absl::StatusOr<int> code =
      ranks.ok() ? Program(flags, ranks->get(), &stop).Run() : absl::StatusOr<int>(ranks.status());
  if (code.ok()) return *code;
  const int exit_code = absl::IsInvalidArgument(code.status()) ? kWrongUsage : kFailure;
  std::fprintf(stderr, "dure simulate: %s\n", std::string(code.status().message()).c_str());
  // The others would wait for this process.
  if (ranks.ok() && (*ranks)->size() > 1) AbortRanks(exit_code);
  return exit_code;
}

}  // namespace
}  // namespace dure::simulation

int main(int argc, char** argv) { return dure::simulation::Main(argc, argv); }
