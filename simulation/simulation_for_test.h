// A small federation to simulate in tests: records of two classes that a plane divides, a built-in
// model on kernels of our own, processes that are threads. For tests.
#ifndef DURE_SIMULATION_SIMULATION_FOR_TEST_H_
#define DURE_SIMULATION_SIMULATION_FOR_TEST_H_

#include <gtest/gtest.h>

#include <barrier>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "federation/spec.h"
#include "learner/architecture.h"
#include "learner/data/partition.h"
#include "learner/initial_weights.h"
#include "learner/per_example.h"
#include "simulation/simulator.h"
#include "simulation/spec.h"
#include "simulation/streams.h"

namespace dure::simulation {

// Sections that a test adds to or changes.
struct SmallFederation {
  std::string rounds = "count = 4\ncohort = 8\nminimum = 5\nmax_attempts = 12\n";
  std::string local = "mode = \"epochs\"\nepochs = 2\nbatch_size = 5\nlearning_rate = 0.1\n";
  std::string server = "optimizer = \"fedavg\"\nlearning_rate = 1.0\n";
  std::string privacy = "unit = \"none\"\n";
  std::string secure_aggregation = "max_corrupt = 0.1\nmax_dropout = 0.3\n";
  std::string more;

  std::string Toml() const {
    return absl::StrCat(
        "[federation]\nname = \"small\"\npurpose = \"Tests\"\nlicense = \"Apache-2.0\"\n"
        "address = \"localhost:7443\"\n[model]\narchitecture = \"mlp\"\nhidden = [7]\n"
        "[model.input]\nshape = [6]\nclasses = 2\n[rounds]\ndeadline = \"10m\"\n",
        rounds, "[local]\n", local, "[server]\n", server, "[privacy]\n", privacy,
        "[secure_aggregation]\n", secure_aggregation, "[evaluation]\nevery = 2\n", more);
  }
};

inline constexpr char kRecordPrivacy[] =
    "unit = \"record\"\nclip_norm = 1.0\nnoise_multiplier = 0.5\ndelta = 1e-5\n"
    "max_epsilon = 1000\ntotal_records = 600\nmax_records_per_member = 600\n";
inline constexpr char kClientPrivacy[] =
    "unit = \"client\"\nclip_norm = 1.0\nnoise_multiplier = 0.5\ndelta = 1e-5\n"
    "max_epsilon = 1000\n";

// `records` of six numbers, labelled by the sign of a sum of theirs.
inline Dataset SmallDataset(uint32_t records, uint64_t seed) {
  AesCtrRandom random = StreamOf(seed, "small dataset");
  Dataset data;
  data.shape = {6};
  for (uint32_t i = 0; i < records; ++i) {
    double sum = 0;
    for (int j = 0; j < 6; ++j) {
      const double x = 2 * Uniform(random) - 1;
      data.numbers.push_back(static_cast<float>(x));
      sum += (j % 2 == 0 ? 1 : -0.5) * x;
    }
    data.labels.push_back(sum > 0 ? 1.0f : 0.0f);
  }
  return data;
}

// What a run has told.
struct Told : Observer {
  void OnRound(const RoundLine& line) override { rounds.push_back(line); }
  void OnFailure(const AttemptFailedLine& line) override { failures.push_back(line); }
  void OnEvaluation(const EvaluationLine& line) override { evaluations.push_back(line); }

  std::vector<RoundLine> rounds;
  std::vector<AttemptFailedLine> failures;
  std::vector<EvaluationLine> evaluations;
};

struct SmallRun {
  std::string toml = SmallFederation().Toml();
  std::string simulation;  // sections of a simulation file
  uint32_t clients = 20;
  int threads = 1;
  Depth depth = Depth::kSums;
  uint64_t seed = 1;
  bool noise = true;
  bool measured = true;  // there are held-out records
  uint32_t stop_after = 0;  // attempts; 0: the run is not stopped
};

struct SmallResult {
  std::vector<float> model;
  absl::Status status;
  Told told;
  SimulationState state;
};

// One process of a run that goes on from `state`.
inline SmallResult Simulate(const SmallRun& run, Ranks* ranks, SimulationState state = {}) {
  static const Dataset data = SmallDataset(600, 1), held_out = SmallDataset(101, 2);
  SmallResult result;
  absl::StatusOr<FederationSpec> spec = ParseFederation(run.toml, "small.toml");
  EXPECT_TRUE(spec.ok()) << spec.status();
  if (!run.noise) {
    spec->mutable_privacy()->set_noise_multiplier(0);
    spec->mutable_privacy()->set_max_epsilon(std::numeric_limits<double>::infinity());
  }
  const std::string file =
      absl::StrCat("federation = \"small.toml\"\ndata = \"none\"\n", run.simulation,
                   "\n[clients]\ncount = ", run.clients, "\nseed = ", run.seed, "\n");
  absl::StatusOr<SimulationSpec> simulated = ParseSimulation(file, "simulation.toml");
  EXPECT_TRUE(simulated.ok()) << simulated.status();
  const Architecture architecture = *MakeArchitecture(spec->model());
  absl::StatusOr<Partition> partition =
      SplitRecords({.labels = data.labels, .clients = run.clients, .spec = IidPartition{}});
  EXPECT_TRUE(partition.ok()) << partition.status();
  const Behaviour behaviour(simulated->behaviour(), run.clients, run.seed);
  const Attack attack(simulated->attack(), run.clients, run.seed);
  Simulator::Options options;
  options.approved.spec = *spec;
  options.approved.parts = *ModelParts::Create(architecture.manifest, spec->model());
  options.approved.dim = options.approved.parts->travelling().dim();
  options.initial_model = InitialWeights(architecture.manifest, spec->model().seed());
  options.make_model = [&]() -> absl::StatusOr<std::unique_ptr<TrainableModel>> {
    return std::make_unique<Network>(architecture);
  };
  options.data = &data;
  options.held_out = run.measured ? &held_out : nullptr;
  options.clients = run.clients;
  options.records_of = [&](uint32_t client) { return partition->Of(client); };
  options.behaviour = &behaviour;
  options.attack = &attack;
  options.seed = run.seed;
  options.threads = run.threads;
  options.depth = run.depth;
  options.ranks = ranks;
  options.observer = &result.told;
  options.wall_seconds = [] { return 0.0; };
  absl::StatusOr<std::unique_ptr<Simulator>> simulator =
      Simulator::Create(std::move(options), std::move(state));
  if (!simulator.ok()) {
    result.status = simulator.status();
    return result;
  }
  for (uint32_t attempt = 1; (*simulator)->Advance(); ++attempt) {
    if (attempt == run.stop_after) break;
  }
  result.status = (*simulator)->status();
  result.model = (*simulator)->Model();
  result.state = (*simulator)->State();
  return result;
}

inline SmallResult Simulate(const SmallRun& run, SimulationState state = {}) {
  OneRank alone;
  return Simulate(run, &alone, std::move(state));
}

// Processes that are threads of this one.
class ThreadRanks {
 public:
  explicit ThreadRanks(int size) : size_(size), barrier_(size), words_(size) {}

  // Calls work(ranks) in each.
  void Run(const std::function<void(Ranks*)>& work) {
    std::vector<std::thread> threads;
    for (int rank = 0; rank < size_; ++rank) {
      threads.emplace_back([this, rank, &work] {
        Member member(this, rank);
        work(&member);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

 private:
  class Member final : public Ranks {
   public:
    Member(ThreadRanks* all, int rank) : all_(*all), rank_(rank) {}
    int rank() const override { return rank_; }
    int size() const override { return all_.size_; }
    void Sum(std::span<uint32_t> words) override { SumWords(words); }
    void Sum(std::span<uint64_t> words) override { SumWords(words); }
    void Broadcast(std::string* bytes) override {
      if (rank_ == 0) all_.bytes_ = *bytes;
      all_.barrier_.arrive_and_wait();
      *bytes = all_.bytes_;
      all_.barrier_.arrive_and_wait();
    }
    std::vector<std::string> Gather(const std::string&) override { return {}; }

   private:
    template <typename Word>
    void SumWords(std::span<Word> words) {
      all_.words_[static_cast<size_t>(rank_)].assign(words.begin(), words.end());
      all_.barrier_.arrive_and_wait();
      std::fill(words.begin(), words.end(), Word{0});
      for (const std::vector<uint64_t>& part : all_.words_) {
        for (size_t i = 0; i < words.size(); ++i) words[i] += static_cast<Word>(part[i]);
      }
      all_.barrier_.arrive_and_wait();
    }
    ThreadRanks& all_;
    int rank_;
  };

  int size_;
  std::barrier<> barrier_;
  std::vector<std::vector<uint64_t>> words_;
  std::string bytes_;
};

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_SIMULATION_FOR_TEST_H_
