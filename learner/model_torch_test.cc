// The kernels against LibTorch's autograd, and TorchScript there and back.
#include "learner/model_torch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <random>

#include "base/file.h"
#include "learner/data/dataset.h"
#include "learner/initial_weights.h"
#include "learner/kernel_check.h"
#include "learner/per_example.h"
#include "learner/script_torch.h"

namespace dure {
namespace {

using ::testing::HasSubstr;

struct Case {
  std::string name;
  std::vector<uint32_t> shape;
};

class ModelTorchTest : public ::testing::TestWithParam<Case> {
 protected:
  ModelTorchTest()
      : architecture_(MakeArchitecture(GetParam().name, GetParam().shape, 10).value()),
        network_(architecture_),
        model_(architecture_) {
    const auto params = InitialWeights(network_.manifest(), 9);
    network_.SetParams(params);
    model_.SetParams(params);
  }

  std::vector<uint8_t> Record(uint32_t seed) {
    std::mt19937 random(seed);
    std::vector<uint8_t> record(architecture_.input().size());
    for (uint8_t& value : record) value = static_cast<uint8_t>(random());
    // A picture has an empty background, where windows of pooling tie.
    if (seed % 2 == 0) std::fill(record.begin(), record.begin() + record.size() / 2, 0);
    return record;
  }
  static std::vector<float> Floats(const std::vector<uint8_t>& record) {
    std::vector<float> floats(record.size());
    std::transform(record.begin(), record.end(), floats.begin(), ByteToFloat);
    return floats;
  }

  Architecture architecture_;
  Network network_;
  TorchModel model_;
};

TEST_P(ModelTorchTest, PerExampleGradientsAreThoseOfAutograd) {
  const auto workspace = network_.MakeWorkspace();
  std::vector<float> ours(network_.dim());
  for (uint32_t seed = 0; seed < 20; ++seed) {
    const auto record = Record(seed);
    network_.ToManifestOrder(network_.Direction(record, seed % 10, *workspace), std::span(ours));
    auto theirs = model_.Direction(Floats(record), seed % 10);
    ASSERT_TRUE(theirs.ok()) << theirs.status();
    ASSERT_EQ(theirs->size(), ours.size());
    float difference = 0;
    for (size_t i = 0; i < ours.size(); ++i) {
      difference = std::max(difference, std::abs(ours[i] - (*theirs)[i]));
    }
    EXPECT_LE(difference, 1e-5f) << "record " << seed;
  }
}

TEST_P(ModelTorchTest, TheCheckAtTheTrainersStartPasses) {
  EXPECT_TRUE(CheckKernels(architecture_).ok());
}

TEST_P(ModelTorchTest, LogitsAgreeWithTheKernels) {
  const auto workspace = network_.MakeWorkspace();
  std::vector<float> batch;
  for (uint32_t seed = 0; seed < 5; ++seed) {
    for (float value : Floats(Record(seed))) batch.push_back(value);
  }
  auto logits = model_.Logits(batch, 5);
  ASSERT_TRUE(logits.ok()) << logits.status();
  ASSERT_EQ(logits->size(), 50u);
  for (uint32_t seed = 0; seed < 5; ++seed) {
    const auto ours = network_.Outputs(Record(seed), *workspace);
    for (size_t i = 0; i < 10; ++i) EXPECT_NEAR(ours[i], (*logits)[seed * 10 + i], 1e-5);
  }
}

TEST_P(ModelTorchTest, TorchScriptGivesTheSameLogits) {
  const std::string path = ::testing::TempDir() + "dure_" + GetParam().name + ".pt";
  ASSERT_TRUE(model_.SaveTorchScript(path, {{"dure.classes", "10"}}).ok());
  auto script =
      ScriptModule::Parse(ReadFile(path, 1 << 24).value(), path, {"dure.classes", "dure.none"});
  ASSERT_TRUE(script.ok()) << script.status();
  EXPECT_EQ(script->metadata(), (std::map<std::string, std::string>{{"dure.classes", "10"}}));
  std::vector<float> batch = Floats(Record(1));
  for (float value : Floats(Record(2))) batch.push_back(value);
  auto logits = script->Outputs(batch, 2, GetParam().shape, ModelSection::CROSS_ENTROPY);
  ASSERT_TRUE(logits.ok()) << logits.status();
  EXPECT_EQ(*logits, model_.Logits(batch, 2).value());
  std::filesystem::remove(path);
}

INSTANTIATE_TEST_SUITE_P(
    Architectures, ModelTorchTest,
    ::testing::Values(Case{"cnn", {1, 28, 28}}, Case{"cnn", {3, 16, 21}}, Case{"mlp", {1, 28, 28}},
                      Case{"cnn_mcmahan", {3, 9, 12}}, Case{"logistic_regression", {30}}),
    [](const auto& info) { return info.param.name + std::to_string(info.index); });

// Those that only LibTorch runs.
TEST(ModelTorchWithoutKernelsTest, TorchScriptGivesTheSameOutputs) {
  for (const char* name : {"resnet18", "gru", "lstm"}) {
    ModelSection section;
    const bool text = std::string(name) != "resnet18";
    section.set_architecture(!text                        ? ModelSection::RESNET18
                             : std::string(name) == "gru" ? ModelSection::GRU
                                                          : ModelSection::LSTM);
    section.set_loss(text ? ModelSection::NEXT_TOKEN : ModelSection::CROSS_ENTROPY);
    section.set_embedding(4);
    section.set_units(6);
    section.set_layers(2);
    const std::vector<uint32_t> shape =
        text ? std::vector<uint32_t>{5} : std::vector<uint32_t>{3, 16, 16};
    section.mutable_input()->mutable_shape()->Add(shape.begin(), shape.end());
    section.mutable_input()->set_classes(9);
    TorchModel model(MakeArchitecture(section).value());
    model.SetParams(InitialWeights(ManifestOf(model.architecture()), 1));
    const std::string path = ::testing::TempDir() + "dure_" + name + ".pt";
    ASSERT_TRUE(model.SaveTorchScript(path, {}).ok()) << name;
    auto script = ScriptModule::Parse(ReadFile(path, 1 << 28).value(), path);
    ASSERT_TRUE(script.ok()) << name << script.status();
    const size_t size = text ? 6 : 3 * 16 * 16;  // of a text with the token after
    std::vector<float> batch(2 * size);
    for (size_t i = 0; i < batch.size(); ++i) batch[i] = static_cast<float>(i * 7 % 9);
    const auto outputs = script->Outputs(batch, 2, shape, section.loss());
    ASSERT_TRUE(outputs.ok()) << name << outputs.status();
    EXPECT_EQ(*outputs, model.Logits(batch, 2).value()) << name;
    std::filesystem::remove(path);
  }
}

TEST(ScriptModuleTest, WhatIsNoTorchScriptIsRefused) {
  const std::string path = ::testing::TempDir() + "dure_not_a_model.pt";
  ASSERT_TRUE(WriteFileAtomic(path, "PK\x03\x04 and nothing that follows").ok());
  auto script = ScriptModule::Parse(ReadFile(path, 1 << 24).value(), path);
  EXPECT_EQ(script.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(script.status().message()), HasSubstr("is not a TorchScript file"));
  std::filesystem::remove(path);
}

TEST(ScriptModuleTest, RecordsOfAnotherShapeAreRefused) {
  const std::string path = ::testing::TempDir() + "dure_shape.pt";
  TorchModel model(MakeArchitecture("logistic_regression", {4}, 2).value());
  model.SetParams(InitialWeights(ManifestOf(model.architecture()), 1));
  ASSERT_TRUE(model.SaveTorchScript(path, {}).ok());
  auto script = ScriptModule::Parse(ReadFile(path, 1 << 24).value(), path);
  ASSERT_TRUE(script.ok()) << script.status();
  EXPECT_EQ(
      script->Outputs(std::vector<float>(5), 1, {5}, ModelSection::CROSS_ENTROPY).status().code(),
      absl::StatusCode::kInvalidArgument);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace dure
