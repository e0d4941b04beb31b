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

TEST(ArchitectureTest, ParametersAreThoseThatTheCoordinatorDerives) {
  for (const ModelSection& model :
       {Model(ModelSection::CNN, {1, 28, 28}, 10), Model(ModelSection::CNN, {3, 32, 40}, 7),
        Model(ModelSection::CNN, {1, 14, 15}, 2), Model(ModelSection::MLP, {1, 28, 28}, 10),
        Model(ModelSection::MLP, {30}, 2), Model(ModelSection::LOGISTIC_REGRESSION, {30}, 3),
        Model(ModelSection::LOGISTIC_REGRESSION, {2, 5}, 3)}) {
    auto architecture = MakeArchitecture(model);
    auto manifest = BuiltInManifest(model);
    ASSERT_TRUE(architecture.ok()) << architecture.status();
    ASSERT_TRUE(manifest.ok()) << manifest.status();
    EXPECT_TRUE(ManifestOf(*architecture) == *manifest) << model.ShortDebugString();
  }
}

TEST(ArchitectureTest, WhatDoesNotFitIsRefused) {
  using enum absl::StatusCode;
  ExpectRefused(Model(ModelSection::CNN, {28, 28}, 10), kFailedPrecondition,
                "[channels, height, width]");
  ExpectRefused(Model(ModelSection::CNN, {1, 13, 28}, 10), kFailedPrecondition, "too small for");
  ExpectRefused(Model(ModelSection::MLP, {0}, 10), kFailedPrecondition, "at least 1");
  ExpectRefused(Model(ModelSection::MLP, {1u << 31, 1u << 31}, 10), kFailedPrecondition,
                "at most 16777216");
  ExpectRefused(Model(ModelSection::MLP, {1u << 22}, 10), kFailedPrecondition, "parameters, limit");
  ExpectRefused(Model(ModelSection::MLP, {}, 10), kInvalidArgument, "1 to 3 sizes");
  ExpectRefused(Model(ModelSection::MLP, {1, 1, 1, 1}, 10), kInvalidArgument, "1 to 3 sizes");
  ExpectRefused(Model(ModelSection::MLP, {4}, 1), kInvalidArgument, "1 classes (2 to");
  ExpectRefused(Model(ModelSection::ARCHITECTURE_UNSPECIFIED, {4}, 2), kInvalidArgument,
                "no built-in model");
}

TEST(ArchitectureTest, EveryListedOneCanBeMade) {
  for (const ArchitectureInfo& info : BuiltInArchitectures()) {
    EXPECT_TRUE(MakeArchitecture(info.name, {1, 28, 28}, 10).ok()) << info.name;
  }
}

}  // namespace
}  // namespace dure
