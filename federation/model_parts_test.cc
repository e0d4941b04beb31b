#include "federation/model_parts.h"

#include <numeric>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dure {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ParamManifest SmallManifest() {
  return {.params = {{"conv.weight", {2, 1}},
                     {"bn1.weight", {2}},
                     {"bn1.bias", {1}},
                     {"fc.weight", {1, 3}},
                     {"fc.bias", {1}}}};
}

absl::StatusOr<ModelParts> Create(const std::vector<std::string>& patterns) {
  ModelSection model;
  for (const std::string& pattern : patterns) model.add_personal(pattern);
  return ModelParts::Create(SmallManifest(), model);
}

TEST(ModelPartsTest, AStarStandsForAnyCharacters) {
  EXPECT_TRUE(MatchesPattern("fc2.*", "fc2.weight"));
  EXPECT_TRUE(MatchesPattern("fc2.weight", "fc2.weight"));
  EXPECT_TRUE(MatchesPattern("*", ""));
  EXPECT_TRUE(MatchesPattern("*bn*.weight", "layer1.0.bn2.weight"));
  EXPECT_TRUE(MatchesPattern("a*b*c", "aXbXbc"));
  EXPECT_TRUE(MatchesPattern("**", "x"));
  EXPECT_FALSE(MatchesPattern("fc2.*", "fc22.weight"));
  EXPECT_FALSE(MatchesPattern("fc", "fc.weight"));
  EXPECT_FALSE(MatchesPattern("*.bias", "fc.bias2"));
  EXPECT_FALSE(MatchesPattern("", "x"));
}

TEST(ModelPartsTest, WithoutPatternsEverythingTravels) {
  const absl::StatusOr<ModelParts> parts = Create({});
  ASSERT_TRUE(parts.ok());
  EXPECT_FALSE(parts->has_personal());
  EXPECT_EQ(parts->travelling(), SmallManifest());
  EXPECT_EQ(ModelParts(SmallManifest()).travelling(), SmallManifest());
}

TEST(ModelPartsTest, PartsAreTakenOutAndPutTogetherAgain) {
  const absl::StatusOr<ModelParts> parts = Create({"bn*", "fc.bias"});
  ASSERT_TRUE(parts.ok()) << parts.status();
  std::vector<float> whole(9);
  std::iota(whole.begin(), whole.end(), 0.0f);
  EXPECT_EQ(parts->travelling().dim(), 5u);
  EXPECT_THAT(parts->Travelling(whole), ElementsAre(0, 1, 5, 6, 7));
  EXPECT_THAT(parts->Personal(whole), ElementsAre(2, 3, 4, 8));
  EXPECT_EQ(parts->Join(parts->Travelling(whole), parts->Personal(whole)), whole);
}

TEST(ModelPartsTest, RefusesPatternsThatMatchNothingOrEverything) {
  EXPECT_THAT(std::string(Create({"bn*", "head.*"}).status().message()),
              HasSubstr("\"head.*\" matches no parameter; there are conv.weight, bn1.weight, "
                        "bn1.bias, fc.weight, fc.bias"));
  EXPECT_THAT(std::string(Create({"*"}).status().message()),
              HasSubstr("nothing would travel: leave some out of conv.weight"));
}

TEST(ModelPartsTest, OfAFederationsModel) {
  ModelSection model;
  model.set_architecture(ModelSection::CNN);
  for (const uint32_t side : {1, 28, 28}) model.mutable_input()->add_shape(side);
  model.mutable_input()->set_classes(10);
  model.add_personal("fc2.*");
  const absl::StatusOr<ModelParts> parts = PartsOf(model);
  ASSERT_TRUE(parts.ok()) << parts.status();
  EXPECT_EQ(parts->whole().dim(), 26010u);
  EXPECT_EQ(parts->personal().dim(), 330u);
  EXPECT_EQ(parts->travelling().dim(), 25680u);
}

}  // namespace
}  // namespace dure
