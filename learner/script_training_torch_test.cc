// TorchScript modules as models to train; made here, without Python.
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/api/module.h>

#include <cmath>
#include <sstream>

#include "learner/confined.h"
#include "learner/initial_weights.h"
#include "learner/model_torch.h"
#include "learner/per_example.h"
#include "learner/script_torch.h"
#include "learner/torch_models.h"

namespace dure {
namespace {

using ::testing::HasSubstr;

at::Tensor Param(std::vector<int64_t> sizes, bool trained = true) {
  const at::Tensor values = at::rand(sizes);
  return values.sub_(0.5).mul_(0.4).requires_grad_(trained);
}

std::string Save(const torch::jit::Module& module) {
  std::ostringstream bytes;
  module.save(bytes);
  return bytes.str();
}

// "w" [3, 4] and "b" [3] with `forward` as its body, which gives y for x.
std::string Module(const std::string& body, bool base_trained = true) {
  torch::jit::Module module("M");
  module.register_parameter("base", Param({4, 4}, base_trained), false);
  module.register_parameter("w", Param({3, 4}), false);
  module.register_parameter("b", Param({3}), false);
  module.register_buffer("scale", at::ones({1}));
  module.define("def forward(self, x):\n" + body + "    return y\n");
  return Save(module);
}

ModelSection Section(uint64_t parameters, Loss loss = ModelSection::CROSS_ENTROPY) {
  ModelSection section;
  section.set_architecture(ModelSection::TORCHSCRIPT);
  section.mutable_input()->add_shape(4);
  section.mutable_input()->set_classes(3);
  section.set_loss(loss);
  section.set_torchscript_parameters(parameters);
  return section;
}

absl::StatusOr<ScriptTraining> Make(const std::string& bytes, const ModelSection& section) {
  auto module = ScriptModule::Parse(bytes, "m.pt");
  if (!module.ok()) return module.status();
  return MakeScriptTraining(*std::move(module), section, "m.pt");
}

void ExpectRefused(const std::string& body, const std::string& text) {
  auto training = Make(Module(body), Section(31));
  ASSERT_FALSE(training.ok()) << text;
  EXPECT_THAT(std::string(training.status().message()), HasSubstr(text));
}

constexpr char kChain[] =
    "    y = torch.linear(torch.relu(torch.linear(x, self.base)), self.w, self.b)\n";
constexpr char kSlow[] =
    "    y = torch.linear(torch.sigmoid(torch.linear(x, self.base)), self.w, self.b)\n";

TEST(ScriptTrainingTest, AChainRunsOnTheKernelsWithoutANote) {
  auto training = Make(Module(kChain), Section(31));
  ASSERT_TRUE(training.ok()) << training.status();
  EXPECT_EQ(training->model->dim(), 31u);
  EXPECT_EQ(training->model->manifest().params[1], (ParamEntry{"w", {3, 4}}));
  for (const std::string& note : training->notes) EXPECT_THAT(note, HasSubstr("in buffers stay"));
}

TEST(ScriptTrainingTest, OtherLayersAreSlowAndTheMemberIsTold) {
  auto training = Make(Module(kSlow), Section(31));
  ASSERT_TRUE(training.ok()) << training.status();
  EXPECT_THAT(training->notes.back(), HasSubstr("records a second"));
}

// The gradient of the last layer by hand: softmax less the label, times what goes in.
TEST(ScriptTrainingTest, DirectionsAreThoseByHand) {
  for (const char* body : {kChain, kSlow}) {
    auto training = Make(Module(body, /*base_trained=*/false), Section(15));
    ASSERT_TRUE(training.ok()) << training.status();
    TrainableModel& model = *training->model;
    std::vector<float> params(15);
    for (size_t i = 0; i < 15; ++i) params[i] = 0.1f * static_cast<float>(i) - 0.6f;
    model.SetParams(params);
    const auto workspace = model.MakeWorkspace();
    const std::vector<float> record = {0.5f, -1, 2, 0.25f};
    const auto outputs = model.Outputs(record, *workspace);
    std::vector<double> shares(outputs.begin(), outputs.end());
    double sum = 0;
    for (double& share : shares) sum += share = std::exp(share);
    const auto direction = model.Direction(record, 1, *workspace);
    ASSERT_EQ(direction.size(), 15u);
    for (size_t row = 0; row < 3; ++row) {
      const double expected = (row == 1 ? 1 : 0) - shares[row] / sum;
      EXPECT_NEAR(direction[12 + row], expected, 1e-5) << body;
      // Each row of the weight's direction is that times one vector, the same for all rows.
      for (size_t k = 0; k < 4; ++k) {
        EXPECT_NEAR(direction[row * 4 + k] * direction[12], direction[k] * direction[12 + row],
                    1e-5);
      }
    }
  }
}

TEST(ScriptTrainingTest, BlocksAddUpWhatRecordsGive) {
  auto training = Make(Module(kSlow), Section(31));
  ASSERT_TRUE(training.ok()) << training.status();
  TrainableModel& model = *training->model;
  EXPECT_EQ(model.block_records(), 32u);
  Dataset data{.shape = {4}};
  for (int i = 0; i < 40; ++i) data.numbers.push_back(0.1f * static_cast<float>(i % 7));
  for (int i = 0; i < 10; ++i) data.labels.push_back(static_cast<float>(i % 3));
  const std::vector<uint32_t> records = {0, 3, 4, 9};
  const auto workspace = model.MakeWorkspace();
  std::vector<float> at_once(31), one_by_one(31);
  model.AddDirections(data, records, at_once, *workspace);
  model.TrainableModel::AddDirections(data, records, one_by_one, *workspace);
  for (size_t i = 0; i < 31; ++i) EXPECT_NEAR(at_once[i], one_by_one[i], 1e-5);
}

TEST(ScriptTrainingTest, WhatOneRecordLeavesBehindDoesNotReachTheNext) {
  auto training = Make(Module("    self.scale += torch.abs(x).sum()\n"
                              "    y = torch.linear(x, self.w, self.b) * self.scale + "
                              "torch.linear(x, self.base).sum()\n"),
                       Section(31));
  ASSERT_TRUE(training.ok()) << training.status();
  EXPECT_THAT(training->notes.back(), HasSubstr("copied for each"));
  const auto workspace = training->model->MakeWorkspace();
  const std::vector<float> record = {1, 2, 3, 4}, other = {9, 9, 9, 9};
  const auto first = training->model->Direction(record, 1, *workspace);
  const std::vector<float> before(first.begin(), first.end());
  training->model->Direction(other, 0, *workspace);
  const auto again = training->model->Direction(record, 1, *workspace);
  EXPECT_EQ(before, std::vector<float>(again.begin(), again.end()));
}

TEST(ScriptTrainingTest, HostileModulesAreRefusedWithWhatTheyDid) {
  ExpectRefused("    y = torch.linear(x, self.w, self.b)[:, 0:2]\n",
                "gives [1, 2] where [1, 3] is needed");
  ExpectRefused(
      "    y = torch.linear(x, self.w, self.b)\n    assert bool(y.sum() > 1e9), \"not today\"\n",
      "not today");
  ExpectRefused("    y = torch.linear(x, self.w, self.b) + torch.rand([1])\n",
                "draws random numbers");
  ExpectRefused(
      "    y = torch.batch_norm(torch.linear(x, self.w, self.b), None, None, None, None, "
      "True, 0.1, 0.00001, False)\n",
      "use GroupNorm instead");
  EXPECT_THAT(std::string(Make(Module(kChain), Section(30)).status().message()),
              HasSubstr("31 numbers to train, the federation file says 30"));
  EXPECT_THAT(std::string(Make("PK\x03\x04 no", Section(31)).status().message()),
              HasSubstr("m.pt is not a TorchScript file"));
}

TEST(ScriptTrainingTest, BehindTheSandboxNothingIsWithinReach) {
  if (kSanitized) GTEST_SKIP() << "the sanitizer of this build needs more memory";
  WarmUpTorch();
  const auto behind = [](const std::string& body, absl::Duration timeout) {
    const std::string bytes = Module(body);
    return RunConfined("m.pt", {.timeout = timeout}, [&]() -> absl::StatusOr<std::string> {
      SetTorchThreads(1);
      auto training = Make(bytes, Section(31));
      if (!training.ok()) return training.status();
      return std::string("trained");
    });
  };
  EXPECT_EQ(behind(kSlow, absl::Minutes(1)).value_or("no"), "trained");
  EXPECT_THAT(std::string(behind("    y = torch.linear(x, self.w, self.b) + "
                                 "torch.zeros([100000000000]).sum()\n",
                                 absl::Minutes(1))
                              .status()
                              .message()),
              HasSubstr("memory"));
  EXPECT_THAT(std::string(behind("    y = torch.linear(x, self.w, self.b) + "
                                 "torch.from_file(\"/etc/passwd\", False, 1).sum()\n",
                                 absl::Minutes(1))
                              .status()
                              .message()),
              HasSubstr("/etc/passwd"));
  EXPECT_EQ(behind("    y = torch.linear(x, self.w, self.b)\n    while bool(y.sum() < 1e9):\n"
                   "        y = y * 1.0\n",
                   absl::Seconds(2))
                .status()
                .code(),
            absl::StatusCode::kDeadlineExceeded);
}

// A built-in network by autograd against the kernels, and each text as one and in a block.
TEST(TorchModelsTest, AgreeWithTheKernelsAndWithThemselves) {
  const Architecture architecture = MakeArchitecture("cnn_mcmahan", {1, 8, 8}, 4).value();
  Network network(architecture);
  const auto model = MakeTorchModel(architecture);
  const auto params = InitialWeights(network.manifest(), 3);
  network.SetParams(params);
  model->SetParams(params);
  std::vector<float> record(64), ours(network.dim());
  for (size_t i = 0; i < 64; ++i) record[i] = static_cast<float>(i % 9) / 9;
  const auto kernels = network.MakeWorkspace(), autograd = model->MakeWorkspace();
  network.ToManifestOrder(network.Direction(record, 2, *kernels), std::span(ours));
  const auto theirs = model->Direction(record, 2, *autograd);
  for (size_t i = 0; i < ours.size(); ++i) ASSERT_NEAR(ours[i], theirs[i], 1e-5);
}

TEST(TorchModelsTest, EveryOneTrainsAndAddsUp) {
  for (const char* name : {"resnet18", "gru", "lstm"}) {
    const bool text = name[0] != 'r';
    const auto shape = text ? std::vector<uint32_t>{6} : std::vector<uint32_t>{1, 8, 8};
    const auto model = MakeTorchModel(MakeArchitecture(name, shape, 5).value());
    model->SetParams(InitialWeights(model->manifest(), 1));
    const size_t size = text ? 7 : 64;
    Dataset data{.shape = {static_cast<uint32_t>(size)}};
    for (size_t i = 0; i < 3 * size; ++i) {
      data.numbers.push_back(static_cast<float>(text ? (i * 7) % 5 : (i % 11) / 11.0));
    }
    data.labels = {0, 1, 2};
    const auto workspace = model->MakeWorkspace();
    EXPECT_EQ(model->Outputs(data.Record(0), *workspace).size(), text ? 30u : 5u) << name;
    const std::vector<uint32_t> records = {0, 1, 2};
    std::vector<float> at_once(model->dim()), one_by_one(model->dim());
    model->AddDirections(data, records, at_once, *workspace);
    model->TrainableModel::AddDirections(data, records, one_by_one, *workspace);
    double norm = 0;
    for (size_t i = 0; i < at_once.size(); ++i) {
      ASSERT_NEAR(at_once[i], one_by_one[i], 1e-3) << name;
      norm += double{at_once[i]} * at_once[i];
    }
    EXPECT_GT(norm, 1e-6) << name;
    EXPECT_EQ(model->trouble(), "");
    // A token that is none: no number, and no end of the program.
    if (!text) continue;
    const std::vector<float> wrong = {0, 1, 9, 1, 0, 1, 2};
    EXPECT_TRUE(std::isnan(model->Direction(wrong, 0, *workspace)[0]));
    EXPECT_NE(model->trouble(), "");
  }
}

}  // namespace
}  // namespace dure
