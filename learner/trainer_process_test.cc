// The client's side against the real dure-trainer.
#include "learner/trainer_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <limits>
#include <random>
#include <thread>

#include "learner/data/idx.h"
#include "learner/dp_sgd.h"
#include "learner/epochs.h"
#include "learner/gradient_sum.h"
#include "learner/initial_weights.h"
#include "learner/local_plan.h"
#include "learner/per_example.h"

namespace dure {
namespace {

using ::testing::HasSubstr;

constexpr char kProgram[] = DURE_BINARY_DIR "/libexec/dure/dure-trainer";
constexpr uint32_t kRecords = 300;

class TrainerProcessTest : public ::testing::Test {
 protected:
  TrainerProcessTest() {
    folder_ = ::testing::TempDir() + "dure_trainer_process_test";
    std::filesystem::remove_all(folder_);
    EXPECT_TRUE(MakeFolder(folder_).ok());
    std::mt19937 random(4);
    for (uint32_t i = 0; i < kRecords * 784; ++i) features_.push_back(uint8_t(random()));
    for (uint32_t i = 0; i < kRecords; ++i) labels_.push_back(uint8_t(i % 10));
    Write();
    options_.program = kProgram;
    options_.data_folder = folder_;
    options_.model.set_architecture(ModelSection::CNN);
    options_.model.set_loss(ModelSection::CROSS_ENTROPY);
    for (uint32_t dim : {1, 28, 28}) options_.model.mutable_input()->add_shape(dim);
    options_.model.mutable_input()->set_classes(10);
  }
  ~TrainerProcessTest() override { std::filesystem::remove_all(folder_); }

  void Write() {
    const std::vector<uint32_t> dims = {uint32_t(labels_.size()), 28, 28};
    EXPECT_TRUE(WriteFileAtomic(folder_ + "/images-idx3-ubyte", EncodeIdx(dims, features_)).ok());
    EXPECT_TRUE(WriteFileAtomic(folder_ + "/labels-idx1-ubyte",
                                EncodeIdx(std::span(dims).first(1), labels_))
                    .ok());
  }
  std::unique_ptr<TrainerProcess> Start() {
    auto trainer = TrainerProcess::Start(options_);
    EXPECT_TRUE(trainer.ok()) << trainer.status();
    return trainer.ok() ? *std::move(trainer) : nullptr;
  }
  void ExpectNoStart(absl::StatusCode code, const std::string& text) {
    auto trainer = TrainerProcess::Start(options_);
    EXPECT_EQ(trainer.status().code(), code) << trainer.status();
    EXPECT_THAT(std::string(trainer.status().message()), HasSubstr(text));
  }

  static std::vector<float> Change(const absl::StatusOr<LocalUpdate>& update) {
    EXPECT_TRUE(update.ok()) << update.status();
    return update.ok() ? std::get<std::vector<float>>(*update) : std::vector<float>();
  }
  // The integers that a GradientPlan gives.
  static std::vector<int64_t> Sums(const absl::StatusOr<LocalUpdate>& update) {
    EXPECT_TRUE(update.ok()) << update.status();
    return update.ok() ? std::get<std::vector<int64_t>>(*update) : std::vector<int64_t>();
  }

  const GradientPlan plan_{.records = {0, 7, 42, 299}, .clip_norm = 1, .scale_log2 = 14};
  const EpochsPlan epochs_{.epochs = 2, .batch_size = 32, .learning_rate = 0.05, .seed = {1}};
  const DpSgdPlan dp_sgd_{.steps = 4,
                          .sampling_rate = 0.1,
                          .batch_size = 30,
                          .learning_rate = 0.5,
                          .clip_norm = 1,
                          .scale_log2 = 14,
                          .sigma2 = 1000,
                          .seed = {2}};
  std::string folder_;
  std::vector<uint8_t> features_, labels_;
  TrainerOptions options_;
};

TEST_F(TrainerProcessTest, TrainsAndEvaluatesAsTheKernelsDoHere) {
  auto trainer = Start();
  ASSERT_NE(trainer, nullptr);
  EXPECT_EQ(trainer->manifest().dim(), 26'010u);
  EXPECT_EQ(trainer->data().records, kRecords);
  EXPECT_EQ(trainer->data().label_counts, std::vector<uint64_t>(10, 30));

  const auto params = InitialWeights(trainer->manifest(), 1);
  Network network(MakeArchitecture(options_.model).value());
  network.SetParams(params);
  const Dataset data = ReadDataFolder(folder_).value();
  std::vector<int64_t> want(network.dim());
  ASSERT_TRUE(GradientSum(network, 1).Run(data, plan_, want).ok());
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(Sums(trainer->Train(params, plan_)), want);
  }

  const auto workspace = network.MakeWorkspace();
  double loss = 0, right = 0;
  for (uint32_t i = 0; i < kRecords; ++i) {
    const Outcome outcome = Judge(network.loss(), network.Outputs(data.Record(i), *workspace),
                                  data.Record(i), data.labels[i]);
    loss += outcome.loss;
    right += outcome.predicted == data.labels[i];
  }
  auto result = trainer->Evaluate(params);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->records(), kRecords);
  EXPECT_NEAR(result->loss(), loss / kRecords, 1e-5);
  EXPECT_NEAR(result->accuracy(), right / kRecords, 1e-9);
}

// The correction travels in the memory of the update.
TEST_F(TrainerProcessTest, CorrectsStepsAsEpochTrainingDoesHere) {
  auto trainer = Start();
  ASSERT_NE(trainer, nullptr);
  const auto params = InitialWeights(trainer->manifest(), 1);
  Network network(MakeArchitecture(options_.model).value());
  const Dataset data = ReadDataFolder(folder_).value();
  EpochsPlan plan = epochs_;
  plan.correction.resize(params.size());
  for (size_t i = 0; i < params.size(); ++i) {
    plan.correction[i] = 0.001f * static_cast<float>(i % 11);
  }
  for (const EpochsPlan& each : {plan, epochs_, plan}) {
    std::vector<float> want(params.size());
    ASSERT_TRUE(EpochTraining(&network, 1).Run(data, params, each, want).ok());
    EXPECT_EQ(Change(trainer->Train(params, each)), want);
  }
  plan.correction.pop_back();
  EXPECT_THAT(std::string(trainer->Train(params, plan).status().message()),
              HasSubstr("a correction of 26009 numbers for a model of 26010"));
  plan.correction.assign(params.size(), std::numeric_limits<float>::infinity());
  EXPECT_TRUE(absl::IsInvalidArgument(trainer->Train(params, plan).status()));
}

TEST_F(TrainerProcessTest, EveryLayerOfTheSandboxHolds) {
  auto trainer = Start();
  ASSERT_NE(trainer, nullptr);
  std::vector<std::string> names;
  for (const SandboxLayer& layer : trainer->sandbox()) {
    EXPECT_TRUE(layer.applied) << layer.name << ": " << layer.detail;
    names.push_back(layer.name);
  }
  EXPECT_THAT(names, ::testing::IsSupersetOf({"no network", "no files", "no programs"}));
}

TEST_F(TrainerProcessTest, MoreRecordsThanOnePacketHolds) {
  labels_.assign(kMaxRecordsPerPacket + 100, 1);
  features_.resize(labels_.size() * 784);
  Write();
  options_.model.set_architecture(ModelSection::LOGISTIC_REGRESSION);
  options_.threads = 2;
  auto trainer = Start();
  ASSERT_NE(trainer, nullptr);
  GradientPlan plan{.clip_norm = 1, .scale_log2 = 14};
  for (uint32_t i = 0; i < labels_.size(); ++i) plan.records.push_back(i);
  auto update = trainer->Train(InitialWeights(trainer->manifest(), 1), plan);
  EXPECT_TRUE(update.ok()) << update.status();
}

TEST_F(TrainerProcessTest, TrainsLocallyAsTheKernelsDoHere) {
  options_.threads = 2;
  auto trainer = Start();
  ASSERT_NE(trainer, nullptr);
  const auto params = InitialWeights(trainer->manifest(), 1);
  Network network(MakeArchitecture(options_.model).value());
  const Dataset data = ReadDataFolder(folder_).value();
  std::vector<float> want(network.dim());
  ASSERT_TRUE(EpochTraining(&network, 1).Run(data, params, epochs_, want).ok());
  EXPECT_EQ(Change(trainer->Train(params, epochs_)), want);
  ASSERT_TRUE(DpSgd(&network, 1).Run(data, params, dp_sgd_, want).ok());
  EXPECT_EQ(Change(trainer->Train(params, dp_sgd_)), want);
}

TEST_F(TrainerProcessTest, ADeadTrainerIsUnavailableAndComesBack) {
  auto trainer = Start();
  ASSERT_NE(trainer, nullptr);
  const auto params = InitialWeights(trainer->manifest(), 1);
  for (const LocalPlan& plan : {LocalPlan(plan_), LocalPlan(epochs_), LocalPlan(dp_sgd_)}) {
    const LocalUpdate before = trainer->Train(params, plan).value();
    const pid_t first = trainer->pid();
    ASSERT_EQ(kill(first, SIGKILL), 0);
    EXPECT_EQ(trainer->Train(params, plan).status().code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(trainer->pid(), -1);
    auto after = trainer->Train(params, plan);
    ASSERT_TRUE(after.ok()) << after.status();
    EXPECT_EQ(*after, before);
    EXPECT_NE(trainer->pid(), first);
  }
}

TEST_F(TrainerProcessTest, AHangingTrainerIsEndedAtTheDeadline) {
  options_.train_timeout = absl::Milliseconds(50);
  const auto params = InitialWeights(BuiltInManifest(options_.model).value(), 1);
  for (const LocalPlan& plan : {LocalPlan(plan_), LocalPlan(epochs_), LocalPlan(dp_sgd_)}) {
    auto trainer = Start();
    ASSERT_NE(trainer, nullptr);
    const pid_t first = trainer->pid();
    ASSERT_EQ(kill(first, SIGSTOP), 0);
    EXPECT_EQ(trainer->Train(params, plan).status().code(), absl::StatusCode::kDeadlineExceeded);
    EXPECT_EQ(trainer->pid(), -1);
    EXPECT_EQ(kill(first, 0), -1);
  }
}

TEST_F(TrainerProcessTest, LongTrainingIsCancelledAndTheTrainerGoesOn) {
  auto trainer = Start();
  ASSERT_NE(trainer, nullptr);
  const auto params = InitialWeights(trainer->manifest(), 1);
  const pid_t pid = trainer->pid();
  EpochsPlan epochs = epochs_;
  epochs.epochs = kMaxLocalEpochs;
  DpSgdPlan dp_sgd = dp_sgd_;
  dp_sgd.steps = kMaxLocalSteps;
  trainer->Cancel();  // of nothing
  for (const LocalPlan& plan : {LocalPlan(epochs), LocalPlan(dp_sgd)}) {
    std::atomic<bool> over = false;
    absl::Status status;
    std::thread training([&] {
      status = trainer->Train(params, plan).status();
      over = true;
    });
    while (!over) {
      trainer->Cancel();
      std::this_thread::yield();
    }
    training.join();
    EXPECT_EQ(status.code(), absl::StatusCode::kCancelled) << status;
  }
  trainer->Cancel();
  EXPECT_TRUE(trainer->Train(params, epochs_).ok());
  EXPECT_TRUE(trainer->Train(params, plan_).ok());
  EXPECT_EQ(trainer->pid(), pid);
}

TEST_F(TrainerProcessTest, AModelThatDivergesIsSaidWithTheRemedy) {
  auto trainer = Start();
  ASSERT_NE(trainer, nullptr);
  auto params = InitialWeights(trainer->manifest(), 1);
  params[0] = std::numeric_limits<float>::quiet_NaN();
  const pid_t pid = trainer->pid();
  absl::Status status = trainer->Train(params, epochs_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("lower local.learning_rate"));
  EXPECT_EQ(trainer->pid(), pid);
  // Under dp_sgd there is an answer all the same.
  EXPECT_EQ(Change(trainer->Train(params, dp_sgd_)),
            DpSgdNoiseAlone(dp_sgd_, params.size(), 1).value());
}

TEST_F(TrainerProcessTest, ATrainerEndsWithItsClient) {
  // The client is a process of its own that ends without a word; its trainer becomes ours to wait
  // for.
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
  int report[2];
  ASSERT_EQ(pipe(report), 0);
  const pid_t client = fork();
  if (client == 0) {
    auto trainer = TrainerProcess::Start(options_);
    const pid_t pid = trainer.ok() ? (*trainer)->pid() : -1;
    _exit(write(report[1], &pid, sizeof(pid)) == sizeof(pid) ? 0 : 1);
  }
  pid_t trainer = -1;
  ASSERT_EQ(read(report[0], &trainer, sizeof(trainer)), static_cast<ssize_t>(sizeof(trainer)));
  ASSERT_GT(trainer, 0);
  int status = -1;
  EXPECT_EQ(waitpid(client, &status, 0), client);
  EXPECT_EQ(waitpid(trainer, &status, 0), trainer);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(TrainerProcessTest, BadRequestsAreRefusedWithoutHarm) {
  auto trainer = Start();
  ASSERT_NE(trainer, nullptr);
  const auto params = InitialWeights(trainer->manifest(), 1);
  const pid_t pid = trainer->pid();
  auto refused = [&](const LocalPlan& plan) {
    return trainer->Train(params, plan).status().code() == absl::StatusCode::kInvalidArgument;
  };
  EXPECT_TRUE(refused(GradientPlan{.records = {kRecords}, .clip_norm = 1, .scale_log2 = 14}));
  EXPECT_TRUE(refused(GradientPlan{.records = {3, 3}, .clip_norm = 1, .scale_log2 = 14}));
  EXPECT_TRUE(refused(GradientPlan{.records = {3, 2}, .clip_norm = 1, .scale_log2 = 14}));
  EXPECT_TRUE(refused(GradientPlan{.records = {3}, .clip_norm = 0, .scale_log2 = 14}));
  EXPECT_TRUE(refused(GradientPlan{.records = {3}, .clip_norm = 1, .scale_log2 = 99}));
  EXPECT_TRUE(refused(EpochsPlan{.epochs = 0, .batch_size = 32, .learning_rate = 0.1}));
  EXPECT_TRUE(refused(DpSgdPlan{}));
  EXPECT_EQ(trainer->Train(std::vector<float>(5), plan_).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(trainer->Evaluate(std::vector<float>(5)).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(trainer->pid(), pid);
  EXPECT_TRUE(trainer->Train(params, plan_).ok());
}

TEST_F(TrainerProcessTest, DataThatDoesNotFitTheModelIsRefused) {
  labels_[17] = 10;
  Write();
  ExpectNoStart(absl::StatusCode::kFailedPrecondition,
                "record 17 has label 10, the model has 10 classes");
  labels_[17] = 1;
  options_.model.mutable_input()->set_shape(1, 27);
  Write();
  ExpectNoStart(absl::StatusCode::kFailedPrecondition,
                "shape 28 x 28, the model takes 1 x 27 x 28");
}

TEST_F(TrainerProcessTest, DataThatIsNotIdxIsRefused) {
  ASSERT_TRUE(WriteFileAtomic(folder_ + "/images-idx3-ubyte", "not IDX").ok());
  ExpectNoStart(absl::StatusCode::kInvalidArgument, "images-idx3-ubyte is not an IDX file");
  options_.data_folder = folder_ + "/nowhere";
  ExpectNoStart(absl::StatusCode::kNotFound, "there is no folder");
}

TEST_F(TrainerProcessTest, AProgramThatIsNoTrainerIsUnavailable) {
  options_.program = folder_ + "/none";
  ExpectNoStart(absl::StatusCode::kUnavailable, "cannot run the trainer");
  options_.program = "/bin/true";
  ExpectNoStart(absl::StatusCode::kUnavailable, "ended by itself, with exit code 0");
}

}  // namespace
}  // namespace dure
