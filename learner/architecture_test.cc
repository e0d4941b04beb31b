#include "learner/architecture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dure {
namespace {

using ::testing::HasSubstr;

ModelSection Model(ModelSection::Architecture kind, std::vector<uint32_t> shape, uint32_t classes) {
  ModelSection model;
  model.set_architecture(kind);
  for (uint32_t dim : shape) model.mutable_input()->add_shape(dim);
  model.mutable_input()->set_classes(classes);
  return model;
}

void ExpectRefused(const ModelSection& model, absl::StatusCode code, const std::string& text) {
  auto architecture = MakeArchitecture(model);
  ASSERT_FALSE(architecture.ok()) << text;
  EXPECT_EQ(architecture.status().code(), code) << architecture.status();
  EXPECT_THAT(std::string(architecture.status().message()), HasSubstr(text));
}

TEST(ArchitectureTest, CnnForSmallPicturesHas26010Parameters) {
  auto cnn = MakeArchitecture("cnn", {1, 28, 28}, 10);
  ASSERT_TRUE(cnn.ok()) << cnn.status();
  EXPECT_EQ(ManifestOf(*cnn).dim(), 26'010u);
  EXPECT_EQ(cnn->extents.back(), Extent{.channels = 10});
}

TEST(ArchitectureTest, LayersHaveTheParametersThatTheCoordinatorDerives) {
  ModelSection deep = Model(ModelSection::MLP, {30}, 2);
  for (uint32_t size : {64, 32, 16}) deep.add_hidden(size);
  for (const ModelSection& model :
       {Model(ModelSection::CNN, {1, 28, 28}, 10), Model(ModelSection::CNN, {3, 32, 40}, 7),
        Model(ModelSection::CNN, {1, 14, 15}, 2), Model(ModelSection::MLP, {1, 28, 28}, 10),
        Model(ModelSection::CNN_MCMAHAN, {1, 28, 28}, 10),
        Model(ModelSection::CNN_MCMAHAN, {3, 5, 7}, 3), deep,
        Model(ModelSection::LOGISTIC_REGRESSION, {30}, 3),
        Model(ModelSection::LOGISTIC_REGRESSION, {2, 5}, 3)}) {
    auto architecture = MakeArchitecture(model);
    ASSERT_TRUE(architecture.ok()) << architecture.status();
    ASSERT_TRUE(architecture->has_kernels());
    std::vector<uint32_t> shape = architecture->shape;
    // Without a picture's layers the record is a row of numbers.
    if (!std::holds_alternative<Conv2dLayer>(architecture->layers[0])) {
      shape = {static_cast<uint32_t>(architecture->input().size())};
    }
    auto of_layers = ArchitectureOfLayers("chain", shape, architecture->layers);
    ASSERT_TRUE(of_layers.ok()) << of_layers.status();
    EXPECT_TRUE(of_layers->manifest == architecture->manifest) << model.ShortDebugString();
    EXPECT_EQ(of_layers->classes, model.input().classes());
  }
}

TEST(ArchitectureTest, WhatLibTorchRunsHasNoKernels) {
  for (const char* name : {"resnet18", "gru", "lstm"}) {
    const bool text = name[0] != 'r';
    const auto shape = text ? std::vector<uint32_t>{80} : std::vector<uint32_t>{1, 28, 28};
    auto architecture = MakeArchitecture(name, shape, 10);
    ASSERT_TRUE(architecture.ok()) << architecture.status();
    EXPECT_FALSE(architecture->has_kernels());
    EXPECT_EQ(architecture->loss, text ? ModelSection::NEXT_TOKEN : ModelSection::CROSS_ENTROPY);
    EXPECT_GE(DescribeLayers(*architecture).size(), 3u);
  }
}

TEST(ArchitectureTest, WhatDoesNotFitIsRefused) {
  using enum absl::StatusCode;
  ExpectRefused(Model(ModelSection::CNN, {28, 28}, 10), kFailedPrecondition,
                "[channels, height, width]");
  ExpectRefused(Model(ModelSection::CNN, {1, 13, 28}, 10), kFailedPrecondition, "at least 14x14");
  ExpectRefused(Model(ModelSection::MLP, {0}, 10), kFailedPrecondition, "1 to 16777216 numbers");
  ExpectRefused(Model(ModelSection::MLP, {1u << 24}, 10), kFailedPrecondition, "parameters, limit");
  ExpectRefused(Model(ModelSection::MLP, {1, 1, 1, 1}, 10), kFailedPrecondition, "1 to 3 sizes");
  ExpectRefused(Model(ModelSection::MLP, {4}, 1), kFailedPrecondition, "2 to 4096");
  EXPECT_EQ(MakeArchitecture("vit", {4}, 2).status().code(), kInvalidArgument);
}

TEST(ArchitectureTest, EveryListedOneCanBeMade) {
  for (const ArchitectureInfo& info : BuiltInArchitectures()) {
    const bool text = info.name == "gru" || info.name == "lstm";
    const auto shape = text ? std::vector<uint32_t>{80} : std::vector<uint32_t>{1, 28, 28};
    EXPECT_TRUE(MakeArchitecture(info.name, shape, 10).ok()) << info.name;
  }
}

}  // namespace
}  // namespace dure
