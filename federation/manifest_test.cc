#include "federation/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dure {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ModelSection Model(ModelSection::Architecture architecture, const std::vector<uint32_t>& shape,
                   uint32_t classes) {
  ModelSection model;
  model.set_architecture(architecture);
  model.mutable_input()->mutable_shape()->Assign(shape.begin(), shape.end());
  model.mutable_input()->set_classes(classes);
  return model;
}

void ExpectRefused(const ModelSection& model, const char* text) {
  absl::StatusOr<ParamManifest> manifest = BuiltInManifest(model);
  EXPECT_EQ(manifest.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(manifest.status().message()), HasSubstr(text));
}

TEST(ManifestTest, CnnOf28By28) {
  absl::StatusOr<ParamManifest> manifest =
      BuiltInManifest(Model(ModelSection::CNN, {1, 28, 28}, 10));
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->dim(), 26'010u);
  EXPECT_THAT(
      manifest->params,
      ElementsAre(ParamEntry{"conv1.weight", {16, 1, 8, 8}}, ParamEntry{"conv1.bias", {16}},
                  ParamEntry{"conv2.weight", {32, 16, 4, 4}}, ParamEntry{"conv2.bias", {32}},
                  ParamEntry{"fc1.weight", {32, 512}}, ParamEntry{"fc1.bias", {32}},
                  ParamEntry{"fc2.weight", {10, 32}}, ParamEntry{"fc2.bias", {10}}));
}

TEST(ManifestTest, CnnOfOtherPictures) {
  absl::StatusOr<ParamManifest> manifest =
      BuiltInManifest(Model(ModelSection::CNN, {3, 32, 28}, 7));
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->params[0].shape, (std::vector<uint64_t>{16, 3, 8, 8}));
  EXPECT_EQ(manifest->params[4].shape, (std::vector<uint64_t>{32, 32 * 5 * 4}));
  EXPECT_EQ(manifest->params[6].shape, (std::vector<uint64_t>{7, 32}));
}

TEST(ManifestTest, CnnNeedsPicturesThatAreLargeEnough) {
  EXPECT_TRUE(BuiltInManifest(Model(ModelSection::CNN, {1, 14, 14}, 2)).ok());
  ExpectRefused(Model(ModelSection::CNN, {1, 13, 28}, 2), "model.input.shape is [1, 13, 28]");
  ExpectRefused(Model(ModelSection::CNN, {1, 28, 13}, 2), "at least 14x14");
  ExpectRefused(Model(ModelSection::CNN, {1, 1, 1}, 2), "0x0");
  ExpectRefused(Model(ModelSection::CNN, {784}, 2), "[channels, height, width]");
}

TEST(ManifestTest, Mlp) {
  absl::StatusOr<ParamManifest> manifest =
      BuiltInManifest(Model(ModelSection::MLP, {1, 28, 28}, 10));
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->dim(), 199'210u);
  EXPECT_EQ(manifest->params[0], (ParamEntry{"fc1.weight", {200, 784}}));
  EXPECT_EQ(manifest->params[5], (ParamEntry{"fc3.bias", {10}}));
}

TEST(ManifestTest, MlpOfOtherSizes) {
  ModelSection model = Model(ModelSection::MLP, {30}, 2);
  for (uint32_t size : {64, 16, 8}) model.add_hidden(size);
  absl::StatusOr<ParamManifest> manifest = BuiltInManifest(model);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->dim(), 30u * 64 + 64 + 64 * 16 + 16 + 16 * 8 + 8 + 8 * 2 + 2);
  EXPECT_EQ(manifest->params[6], (ParamEntry{"fc4.weight", {2, 8}}));
}

// The figure of McMahan et al. 2017, section 3.
TEST(ManifestTest, CnnOfMcMahan) {
  EXPECT_EQ(BuiltInManifest(Model(ModelSection::CNN_MCMAHAN, {1, 28, 28}, 10))->dim(), 1'663'370u);
  EXPECT_TRUE(BuiltInManifest(Model(ModelSection::CNN_MCMAHAN, {1, 4, 4}, 10)).ok());
  ExpectRefused(Model(ModelSection::CNN_MCMAHAN, {1, 3, 28}, 2), "at least 4x4");
  ExpectRefused(Model(ModelSection::CNN_MCMAHAN, {784}, 2), "[channels, height, width]");
}

// What torchvision counts for ResNet-18 on ImageNet, and the usual count of its form for pictures
// of 32 x 32; normalising by group or by batch takes as many.
TEST(ManifestTest, ResNet18) {
  EXPECT_EQ(BuiltInManifest(Model(ModelSection::RESNET18, {3, 224, 224}, 1000))->dim(),
            11'689'512u);
  EXPECT_EQ(BuiltInManifest(Model(ModelSection::RESNET18, {3, 32, 32}, 10))->dim(), 11'173'962u);
  ExpectRefused(Model(ModelSection::RESNET18, {784}, 2), "[channels, height, width]");
}

TEST(ManifestTest, Recurrent) {
  ModelSection model = Model(ModelSection::LSTM, {80}, 86);
  model.set_units(256);
  model.set_layers(2);
  // The sizes of McMahan et al. 2017, section 3; PyTorch has two biases.
  EXPECT_EQ(BuiltInManifest(model)->dim(),
            86u * 8 + 4 * 256 * (8 + 256 + 2) + 4 * 256 * (256 + 256 + 2) + 86 * 256 + 86);
  model.set_architecture(ModelSection::GRU);
  absl::StatusOr<ParamManifest> manifest = BuiltInManifest(model);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->params[0], (ParamEntry{"embedding.weight", {86, 8}}));
  EXPECT_EQ(manifest->params[5], (ParamEntry{"rnn.weight_ih_l1", {768, 256}}));
  EXPECT_EQ(manifest->params.back(), (ParamEntry{"fc.bias", {86}}));
  ExpectRefused(Model(ModelSection::GRU, {8, 10}, 86), "one size, the tokens of a record");
  EXPECT_TRUE(BuiltInManifest(Model(ModelSection::GRU, {80}, 10'001)).ok());
}

TEST(ManifestTest, TorchScriptIsKnownByItsNumberOfParameters) {
  ModelSection model = Model(ModelSection::TORCHSCRIPT, {4}, 2);
  ExpectRefused(model, "model.torchscript_parameters is not set");
  model.set_torchscript_parameters(10);
  absl::StatusOr<ParamManifest> manifest = BuiltInManifest(model);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->dim(), 10u);
  const ParamManifest named{.params = {{"head.weight", {2, 4}}, {"head.bias", {2}}}};
  EXPECT_TRUE(FitsManifest(named, *manifest));
  EXPECT_FALSE(FitsManifest({.params = {{"head.weight", {2, 4}}}}, *manifest));
  EXPECT_FALSE(FitsManifest(*manifest, named));
  EXPECT_TRUE(FitsManifest(named, named));
}

TEST(ManifestTest, OneNumberWhereTheLossTakesOne) {
  ModelSection model = Model(ModelSection::LOGISTIC_REGRESSION, {30}, 1);
  model.set_loss(ModelSection::BCE_WITH_LOGITS);
  EXPECT_EQ(BuiltInManifest(model)->dim(), 31u);
  model.mutable_input()->set_classes(2);
  ExpectRefused(model, "with this loss it is 1");
}

TEST(ManifestTest, LogisticRegression) {
  absl::StatusOr<ParamManifest> manifest =
      BuiltInManifest(Model(ModelSection::LOGISTIC_REGRESSION, {30}, 2));
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_THAT(manifest->params,
              ElementsAre(ParamEntry{"fc.weight", {2, 30}}, ParamEntry{"fc.bias", {2}}));
}

TEST(ManifestTest, WhatCannotBeAModelIsRefused) {
  ExpectRefused(Model(ModelSection::MLP, {}, 2), "empty");
  ExpectRefused(Model(ModelSection::MLP, {3, 0}, 2), "a record must have 1 to");
  ExpectRefused(Model(ModelSection::MLP, {UINT32_MAX, UINT32_MAX, UINT32_MAX}, 2),
                "a record must have 1 to");
  ExpectRefused(Model(ModelSection::MLP, {4096, 4096}, 2), "parameters, limit 2147483648");
  ExpectRefused(Model(ModelSection::MLP, {65536, 4096}, 2), "a record must have 1 to 16777216");
  ExpectRefused(Model(ModelSection::MLP, {1, 1, 1, 1}, 2), "1 to 3 sizes");
  ExpectRefused(Model(ModelSection::MLP, {3}, 4097), "classes is 4097; it must be 2 to 4096");
  ExpectRefused(Model(ModelSection::MLP, {3}, 1), "classes is 1");
  ExpectRefused(Model(ModelSection::ARCHITECTURE_UNSPECIFIED, {3}, 2),
                "it must be cnn, mlp, logistic_regression");
}

}  // namespace
}  // namespace dure
