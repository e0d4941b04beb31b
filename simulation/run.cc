#include "simulation/run.h"

#include <sys/resource.h>

#include <cmath>
#include <cstdio>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "crypto/digest.h"
#include "simulation/run_folder.h"

namespace dure::simulation {
namespace {

uint64_t PeakMemory() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

// What process 0 does with what happens. The first error of a file ends the run.
class Recorder final : public Observer {
 public:
  Recorder(RunFolder* folder, const RunOptions& options, uint32_t rounds)
      : folder_(folder), options_(options), rounds_(rounds) {}

  void OnRound(const RoundLine& line) override {
    if (folder_ == nullptr) return;
    Keep(folder_->WriteRound(line, absl::Now()));
    Print(line);
    if (options_.view != nullptr) options_.view->Show(line);
    if (options_.progress) options_.progress(static_cast<double>(line.round) / rounds_);
    epsilon_ = line.epsilon;
  }
  void OnFailure(const AttemptFailedLine& line) override {
    if (folder_ == nullptr) return;
    Keep(folder_->Write(line));
    Print(line);
    if (options_.view != nullptr) options_.view->Show(line);
  }
  void OnEvaluation(const EvaluationLine& line) override {
    newest_ = line;
    if (folder_ == nullptr) return;
    Keep(folder_->WriteEvaluation(line, absl::Now()));
    Print(line);
    if (options_.view != nullptr) options_.view->Show(line);
  }

  void OnProgress(uint32_t trained, uint32_t clients) override {
    if (folder_ != nullptr && options_.view != nullptr) options_.view->Progress(trained, clients);
  }
  void OnNote(bool warning, const std::string& text) override {
    if (folder_ != nullptr && options_.view != nullptr && warning) options_.view->Note(text);
  }

  template <typename Line>
  void Print(const Line& line) const {
    if (!options_.json) return;
    const std::string text = MetricsLine(line);
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  }
  void Keep(const absl::Status& status) { status_.Update(status); }

  const absl::Status& status() const { return status_; }
  const std::optional<EvaluationLine>& newest() const { return newest_; }
  const std::optional<double>& epsilon() const { return epsilon_; }

 private:
  RunFolder* folder_;  // of process 0
  const RunOptions& options_;
  uint32_t rounds_;
  absl::Status status_;
  std::optional<EvaluationLine> newest_;
  std::optional<double> epsilon_;
};

// What process 0 decides between two attempts, for all.
enum class Next : char { kGoOn, kCheckpoint, kStop };

Next Agree(Next own, Ranks* ranks) {
  std::string byte(1, static_cast<char>(own));
  ranks->Broadcast(&byte);
  return static_cast<Next>(byte[0]);
}

// What clients keep, of all processes, at process 0.
void GatherStates(Ranks* ranks, SimulationState* state) {
  if (ranks->size() == 1) return;
  std::string bytes;
  for (const auto& [client, kept] : state->states) {
    const std::string encoded = EncodeLocalState(kept, Digest());
    for (const uint64_t number : {uint64_t{client}, uint64_t{encoded.size()}}) {
      for (size_t i = 0; i < sizeof(number); ++i) {
        bytes.push_back(static_cast<char>(number >> (8 * i)));
      }
    }
    bytes += encoded;
  }
  for (const std::string& part : ranks->Gather(bytes)) {
    for (size_t at = 0; at < part.size();) {
      uint64_t numbers[2] = {};
      for (uint64_t& number : numbers) {
        for (size_t i = 0; i < sizeof(number); ++i, ++at) {
          number |= uint64_t{static_cast<uint8_t>(part[at])} << (8 * i);
        }
      }
      const std::string_view encoded = std::string_view(part).substr(at, numbers[1]);
      at += numbers[1];
      state->states[static_cast<uint32_t>(numbers[0])] = DecodeLocalState(encoded)->state;
    }
  }
}

// What process 0 knows when another is lost, and it waits for that one in the middle of an attempt.
class LastState {
 public:
  void Set(SimulationState state) {
    const std::lock_guard guard(lock_);
    state_ = std::move(state);
  }
  void SetSaved(uint32_t round) {
    const std::lock_guard guard(lock_);
    saved_ = round;
  }
  // After the newest attempt.
  SimulationState Get() const {
    const std::lock_guard guard(lock_);
    return state_;
  }
  // The round of the checkpoint in the folder, if there is one.
  std::optional<uint32_t> saved() const {
    const std::lock_guard guard(lock_);
    return saved_;
  }

 private:
  mutable std::mutex lock_;
  SimulationState state_;
  std::optional<uint32_t> saved_;
};

// Of a run that ends without the end of its attempt. What clients keep is with the processes that
// they are of: with any, only a checkpoint that was made before can be gone on with.
void SayLastWords(const LastState& last, RunFolder* folder, double wall_seconds) {
  const SimulationState newest = last.Get();
  std::optional<uint32_t> saved = last.saved();
  std::string trouble;
  if (newest.states.empty()) {
    const absl::Status status = folder->WriteCheckpoint(newest, wall_seconds);
    if (status.ok()) {
      saved = newest.run.round.value();
    } else {
      trouble = absl::StrCat("; no checkpoint could be written: ", status.message());
    }
  }
  std::fprintf(stderr,
               "dure simulate: the run was ended from outside, or one of its processes was lost, "
               "after round %u%s. %s\n",
               newest.run.round.value(), trouble.c_str(),
               saved ? absl::StrCat("Go on from round ", *saved,
                                    " with the same command and --resume --out ", folder->path())
                           .c_str()
                     : "There is no checkpoint yet: begin anew with another --out");
}

EndLine EndOf(const Simulator& simulator, const Recorder& recorder, bool stopped, double seconds) {
  EndLine end;
  end.status = stopped                   ? RunEnd::kStopped
               : simulator.status().ok() ? RunEnd::kFinished
                                         : RunEnd::kFailed;
  end.text = stopped ? absl::StrCat("stopped after round ", simulator.run().round.value())
             : simulator.status().ok() ? simulator.end_text()
                                       : std::string(simulator.status().message());
  if (simulator.run().round.value() > 0) {
    end.model_sha256 = ToHex(Sha256(AsBytes(*simulator.run().model)));
  }
  end.epsilon = recorder.epsilon();
  end.virtual_seconds = absl::ToDoubleSeconds(simulator.clock());
  end.wall_seconds = seconds;
  end.peak_memory_bytes = PeakMemory();
  return end;
}

}  // namespace

absl::StatusOr<RunOutcome> RunExperiment(const Experiment& experiment, const RunOptions& options,
                                         Ranks* ranks, StopRequest* stop) {
  const absl::Time begun = absl::Now();
  const bool first = ranks->rank() == 0;
  std::unique_ptr<RunFolder> folder;
  SimulationState state;
  double wall_before = 0;
  if (first) {
    DURE_ASSIGN_OR_RETURN(
        folder,
        RunFolder::Open(
            {.path = options.folder, .tensorboard = options.tensorboard, .resume = options.resume},
            experiment, experiment.Line(ranks->size()), begun));
    wall_before = folder->wall_seconds_before();
    state = folder->TakeState();
  } else if (options.resume) {
    DURE_ASSIGN_OR_RETURN(Checkpoint saved,
                          ReadCheckpoint(absl::StrCat(options.folder, "/", kCheckpointFile)));
    state = std::move(saved.state);
  }
  const uint32_t resumed_after = state.run.round.value();
  const auto wall_seconds = [=] {
    return wall_before + absl::ToDoubleSeconds(absl::Now() - begun);
  };
  Recorder recorder(folder.get(), options, experiment.spec().rounds().count());
  if (first && options.json) recorder.Print(experiment.Line(ranks->size()));
  if (first && options.view != nullptr) {
    RunHeading heading = experiment.Heading();
    heading.ranks = static_cast<uint32_t>(ranks->size());
    heading.folder = options.folder;
    heading.resumed_after = resumed_after;
    options.view->Begin(heading);
  }
  DURE_ASSIGN_OR_RETURN(const std::unique_ptr<Simulator> simulator,
                        experiment.Start(std::move(state), ranks, &recorder, wall_seconds));
  LastState last;
  const bool may_be_lost = ranks->size() > 1;
  if (may_be_lost && first) {
    last.Set(simulator->State());
    if (options.resume) last.SetSaved(resumed_after);
    stop->OnLastWords([&] { SayLastWords(last, folder.get(), wall_seconds()); });
  } else if (may_be_lost) {
    stop->OnLastWords([] {});
  }
  absl::Time saved_at = begun;
  bool stopped = false;
  while (simulator->Advance()) {
    Next next = Next::kGoOn;
    if (stop->requested() || !recorder.status().ok()) {
      next = Next::kStop;
    } else if (absl::Now() - saved_at >= options.checkpoint_every) {
      next = Next::kCheckpoint;
    }
    next = Agree(next, ranks);
    if (next == Next::kGoOn && !may_be_lost) continue;
    SimulationState now = simulator->State();
    if (next != Next::kGoOn) GatherStates(ranks, &now);
    if (first && next != Next::kGoOn && recorder.status().ok()) {
      recorder.Keep(folder->WriteCheckpoint(now, wall_seconds()));
      last.SetSaved(now.run.round.value());
      saved_at = absl::Now();
    }
    if (may_be_lost) last.Set(std::move(now));
    if (next == Next::kStop) {
      stopped = true;
      break;
    }
  }
  stop->OnLastWords({});
  DURE_RETURN_IF_ERROR(recorder.status());
  RunOutcome outcome{.end = EndOf(*simulator, recorder, stopped, wall_seconds()),
                     .newest = recorder.newest()};
  if (!first) return outcome;
  DURE_RETURN_IF_ERROR(folder->WriteModel(experiment.ModelOf(simulator->Model())));
  DURE_RETURN_IF_ERROR(folder->Write(outcome.end));
  if (!stopped) folder->RemoveCheckpoint();
  recorder.Print(outcome.end);
  if (options.view != nullptr) options.view->End(outcome.end);
  return outcome;
}

}  // namespace dure::simulation
