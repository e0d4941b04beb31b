// TorchScript modules and tensors in the real dure-trainer, behind its sandbox.
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/pickle.h>

#include <filesystem>
#include <sstream>

#include "base/file.h"
#include "learner/gradient_sum.h"
#include "learner/initial_weights.h"
#include "learner/model_torch.h"
#include "learner/per_example.h"
#include "learner/sandbox.h"
#include "learner/tensor_data_torch.h"
#include "learner/trainer_process.h"

namespace dure {
namespace {

using ::testing::HasSubstr;

class ScriptProcessTest : public ::testing::Test {
 protected:
  ScriptProcessTest() {
    folder_ = ::testing::TempDir() + "dure_script_process_test";
    std::filesystem::remove_all(folder_);
    EXPECT_TRUE(MakeFolder(folder_).ok());
    options_.program = DURE_BINARY_DIR "/libexec/dure/dure-trainer";
    options_.data_folder = folder_;
    options_.module_file = folder_ + "/model.pt";
    options_.model.set_architecture(ModelSection::TORCHSCRIPT);
    options_.model.set_torchscript("model.pt");
    options_.model.set_loss(ModelSection::CROSS_ENTROPY);
    options_.model.mutable_input()->add_shape(4);
    options_.model.mutable_input()->set_classes(3);
    std::vector<float> numbers;
    for (int i = 0; i < 40; ++i) numbers.push_back(static_cast<float>(i % 7) / 7);
    at::Tensor records = at::zeros({10, 4}), labels = at::zeros({10}, at::kLong);
    std::copy(numbers.begin(), numbers.end(), records.data_ptr<float>());
    for (int64_t i = 0; i < 10; ++i) labels.data_ptr<int64_t>()[i] = i % 3;
    Write("records.pt", c10::ivalue::Tuple::create({records, labels}));
  }
  ~ScriptProcessTest() override { std::filesystem::remove_all(folder_); }

  void Write(const std::string& name, const c10::IValue& value) {
    const std::vector<char> bytes = torch::jit::pickle_save(value);
    EXPECT_TRUE(WriteFileAtomic(folder_ + "/" + name, {bytes.data(), bytes.size()}).ok());
  }
  // A module of 15 numbers whose forward is `body`, which gives y for x.
  void WriteModule(const std::string& body) {
    torch::jit::Module module("M");
    module.register_parameter("w", at::zeros({3, 4}).requires_grad_(true), false);
    module.register_parameter("b", at::zeros({3}).requires_grad_(true), false);
    module.define("def forward(self, x):\n    y = torch.linear(x, self.w, self.b)\n" + body +
                  "    return y\n");
    std::ostringstream bytes;
    module.save(bytes);
    EXPECT_TRUE(WriteFileAtomic(options_.module_file, bytes.str()).ok());
    options_.model.set_torchscript_parameters(15);
  }
  void ExpectNoStart(const std::string& text) {
    auto trainer = TrainerProcess::Start(options_);
    ASSERT_FALSE(trainer.ok()) << text;
    EXPECT_THAT(std::string(trainer.status().message()), HasSubstr(text));
  }

  std::string folder_;
  TrainerOptions options_;
};

TEST_F(ScriptProcessTest, AModuleOfKnownLayersTrainsAsTheKernelsDo) {
  const Architecture architecture = MakeArchitecture("mlp", {4}, 3).value();
  TorchModel torch_model(architecture);
  const auto params = InitialWeights(architecture.manifest, 2);
  torch_model.SetParams(params);
  ASSERT_TRUE(torch_model.SaveTorchScript(options_.module_file, {}).ok());
  options_.model.set_torchscript_parameters(params.size());
  auto trainer = TrainerProcess::Start(options_);
  ASSERT_TRUE(trainer.ok()) << trainer.status();
  EXPECT_EQ((*trainer)->data().records, 10u);
  EXPECT_EQ((*trainer)->manifest(), architecture.manifest);

  const GradientPlan plan{.records = {0, 3, 7}, .clip_norm = 1, .scale_log2 = 14};
  Network network(architecture);
  network.SetParams(params);
  const Dataset data =
      ReadTensors(ReadFile(folder_ + "/records.pt", 1 << 20).value(), "r", network.loss()).value();
  std::vector<int64_t> want(network.dim());
  ASSERT_TRUE(GradientSum(network, 1).Run(data, plan, want).ok());
  auto update = (*trainer)->Train(params, plan);
  ASSERT_TRUE(update.ok()) << update.status();
  EXPECT_EQ(std::get<std::vector<int64_t>>(*update), want);
}

TEST_F(ScriptProcessTest, TheNumberOfThreadsChangesNoBit) {
  WriteModule("    y = torch.sigmoid(y)\n");
  const EpochsPlan plan{.epochs = 2, .batch_size = 4, .learning_rate = 0.5, .seed = {1}};
  std::vector<LocalUpdate> updates;
  for (int threads : {1, 3}) {
    options_.threads = threads;
    auto trainer = TrainerProcess::Start(options_);
    ASSERT_TRUE(trainer.ok()) << trainer.status();
    auto update = (*trainer)->Train(std::vector<float>(15, 0.1f), plan);
    ASSERT_TRUE(update.ok()) << update.status();
    updates.push_back(*update);
  }
  EXPECT_EQ(updates[0], updates[1]);
}

TEST_F(ScriptProcessTest, HostileModulesAreSaidAndTheNodeLivesOn) {
  WriteModule("    y = y[:, 0:2]\n");
  ExpectNoStart("gives [1, 2] where [1, 3] is needed");
  WriteModule("    y = y + torch.from_file(\"/etc/passwd\", False, 1).sum()\n");
  ExpectNoStart("/etc/passwd");
  // What it writes goes nowhere, whether LibTorch complains of that or not.
  const std::string left = folder_ + "/left-behind";
  WriteModule("    torch.save(y, \"" + left + "\")\n");
  TrainerProcess::Start(options_).status().IgnoreError();
  EXPECT_FALSE(std::filesystem::exists(left));
  if (!kSanitized) {
    WriteModule("    y = y + torch.zeros([100000000000]).sum()\n");
    ExpectNoStart("memory");
  }
  options_.load_timeout = absl::Seconds(5);
  WriteModule("    while bool(y.sum() < 1e9):\n        y = y * 1.0\n");
  ExpectNoStart("the module model.pt may never end");
}

}  // namespace
}  // namespace dure
