#include "learner/personalize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "learner/data/idx.h"
#include "learner/initial_weights.h"
#include "learner/model_commands.h"

namespace dure {
namespace {

using ::testing::HasSubstr;

// Pictures of 4 x 4 whose left half is bright for label 1 and dark for label 0; a released model
// that knows nothing yet.
class PersonalizeTest : public ::testing::Test {
 protected:
  PersonalizeTest() {
    folder_ = ::testing::TempDir() + "dure_personalize_test";
    std::filesystem::remove_all(folder_);
    EXPECT_TRUE(MakeFolder(folder_).ok());
    model_ = folder_ + "/model.safetensors";
    const Architecture architecture = MakeArchitecture("mlp", {1, 4, 4}, 2).value();
    ModelFile file{.manifest = ManifestOf(architecture),
                   .params = InitialWeights(ManifestOf(architecture), 1),
                   .metadata = ArchitectureMetadata(architecture)};
    file.metadata["dure.epsilon"] = "1.64";
    EXPECT_TRUE(WriteFileAtomic(model_, EncodeSafetensors(file)).ok());
    WriteRecords("train-", 40);
    WriteRecords("t10k-", 10);
  }
  ~PersonalizeTest() override { std::filesystem::remove_all(folder_); }

  void WriteRecords(const std::string& prefix, uint32_t records) {
    std::vector<uint8_t> features, labels;
    for (uint32_t i = 0; i < records; ++i) {
      labels.push_back(i % 2);
      for (uint32_t pixel = 0; pixel < 16; ++pixel) {
        features.push_back(static_cast<uint8_t>((pixel % 4 < 2) == (i % 2 == 1) ? 200 + i : i));
      }
    }
    const std::vector<uint32_t> dims = {records, 4, 4};
    EXPECT_TRUE(
        WriteFileAtomic(folder_ + "/" + prefix + "images-idx3-ubyte", EncodeIdx(dims, features))
            .ok());
    EXPECT_TRUE(WriteFileAtomic(folder_ + "/" + prefix + "labels-idx1-ubyte",
                                EncodeIdx(std::span(dims).first(1), labels))
                    .ok());
  }

  PersonalizeCommand Command(std::vector<std::string> only = {}) const {
    return {.model = model_,
            .folder = folder_,
            .out = folder_ + "/mine.safetensors",
            .epochs = 20,
            .learning_rate = 0.1,
            .batch_size = 8,
            .only = std::move(only)};
  }

  std::string folder_, model_;
};

TEST_F(PersonalizeTest, TunesAndSaysSo) {
  std::ostringstream out;
  const absl::Status status = RunPersonalize(Command(), /*json=*/true, out);
  ASSERT_TRUE(status.ok()) << status;
  const auto json = nlohmann::json::parse(out.str());
  EXPECT_EQ(json["measured_on"], "held-out");
  EXPECT_EQ(json["records"], 40);
  EXPECT_EQ(json["before"]["records"], 10);
  EXPECT_LT(json["after"]["loss"], 0.1 * json["before"]["loss"].get<double>());
  EXPECT_EQ(json["after"]["accuracy"], 1.0);
  const auto mine = ReadModelFile(folder_ + "/mine.safetensors");
  ASSERT_TRUE(mine.ok()) << mine.status();
  EXPECT_EQ(mine->metadata.at("dure.personalized"), "true");
  EXPECT_EQ(mine->metadata.at("dure.personalized_records"), "40");
  // What was promised about the released model is not promised about this one.
  EXPECT_FALSE(mine->metadata.contains("dure.epsilon"));
  EXPECT_EQ(mine->metadata.at("dure.epsilon_before_personalizing"), "1.64");
  // It measures as an evaluation of its own does.
  std::ostringstream evaluated;
  ASSERT_TRUE(
      RunEvaluate(
          {.model = folder_ + "/mine.safetensors", .folder = folder_, .part = DataPart::kHeldOut},
          /*json=*/true, evaluated)
          .ok());
  EXPECT_NEAR(nlohmann::json::parse(evaluated.str())["loss"].get<double>(),
              json["after"]["loss"].get<double>(), 1e-5);
}

TEST_F(PersonalizeTest, OnlyWhatIsNamedMoves) {
  std::ostringstream out;
  ASSERT_TRUE(RunPersonalize(Command({"fc3.*", "fc1.bias"}), /*json=*/false, out).ok());
  EXPECT_THAT(out.str(), HasSubstr("602 of 44002 parameters tuned on 40 records"));
  const auto before = ReadModelFile(model_), after = ReadModelFile(folder_ + "/mine.safetensors");
  ASSERT_TRUE(before.ok() && after.ok());
  size_t first = 0;
  for (const ParamEntry& param : before->manifest.params) {
    const bool tuned = param.name == "fc1.bias" || param.name.starts_with("fc3.");
    const bool same =
        std::equal(before->params.begin() + first, before->params.begin() + first + param.size(),
                   after->params.begin() + first);
    EXPECT_EQ(same, !tuned) << param.name;
    first += param.size();
  }
}

TEST_F(PersonalizeTest, SaysWhereThereIsNoHeldOutPart) {
  std::filesystem::remove(folder_ + "/t10k-images-idx3-ubyte");
  std::filesystem::remove(folder_ + "/t10k-labels-idx1-ubyte");
  std::ostringstream out;
  ASSERT_TRUE(RunPersonalize(Command(), /*json=*/false, out).ok());
  EXPECT_THAT(out.str(), HasSubstr("has no held-out part"));
}

TEST_F(PersonalizeTest, RefusesWhatCannotBe) {
  const auto message = [](const PersonalizeCommand& command) {
    std::ostringstream out;
    return std::string(RunPersonalize(command, false, out).message());
  };
  EXPECT_THAT(message(Command({"fc9.*"})),
              HasSubstr("--only fc9.* matches no parameter; there are fc1.weight, fc1.bias"));
  PersonalizeCommand command = Command();
  command.learning_rate = 1e9;
  EXPECT_THAT(message(command), HasSubstr("learning_rate"));
  EXPECT_FALSE(FileExists(command.out));
  command = Command();
  command.out = model_;
  EXPECT_THAT(message(command), HasSubstr("is there already"));
  command = Command();
  command.folder = folder_ + "/nothing";
  EXPECT_THAT(message(command), HasSubstr("nothing"));
}

}  // namespace
}  // namespace dure
