#include "learner/model_commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <png.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "learner/data/idx.h"
#include "learner/initial_weights.h"

namespace dure {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kFederation[] = R"([federation]
name = "fashion"
purpose = "Classify clothing photographs"
license = "Apache-2.0"
address = "coordinator.example.org:7443"
[model]
architecture = "cnn"
[model.input]
shape = [1, 28, 28]
classes = 10
[rounds]
count = 300
cohort = 10
minimum = 8
[local]
mode = "gradient"
sampling_rate = 0.01
[privacy]
unit = "record"
clip_norm = 1.0
noise_multiplier = 1.0
delta = 1e-5
max_epsilon = 4.0
total_records = 60000
max_records_per_member = 15000
)";

class ModelCommandsTest : public ::testing::Test {
 protected:
  ModelCommandsTest() {
    folder_ = ::testing::TempDir() + "dure_model_commands_test";
    std::filesystem::remove_all(folder_);
    EXPECT_TRUE(MakeFolder(folder_).ok());
    model_ = folder_ + "/model.safetensors";
    Architecture architecture = MakeArchitecture("cnn", {1, 28, 28}, 10).value();
    ModelFile file{.manifest = ManifestOf(architecture),
                   .params = InitialWeights(ManifestOf(architecture), 1),
                   .metadata = ArchitectureMetadata(architecture)};
    file.metadata["dure.license"] = "Apache-2.0";
    file.metadata["dure.epsilon"] = "1.64";
    EXPECT_TRUE(WriteFileAtomic(model_, EncodeSafetensors(file)).ok());

    std::mt19937 random(1);
    std::vector<uint8_t> features(20 * 784), labels(20);
    for (uint8_t& value : features) value = static_cast<uint8_t>(random());
    for (uint8_t& label : labels) label = static_cast<uint8_t>(random() % 10);
    const std::vector<uint32_t> dims = {20, 28, 28};
    images_ = folder_ + "/images-idx3-ubyte";
    labels_ = folder_ + "/labels-idx1-ubyte";
    EXPECT_TRUE(WriteFileAtomic(images_, EncodeIdx(dims, features)).ok());
    EXPECT_TRUE(WriteFileAtomic(labels_, EncodeIdx(std::span(dims).first(1), labels)).ok());
  }
  ~ModelCommandsTest() override { std::filesystem::remove_all(folder_); }

  std::string Predict(const PredictCommand& command, bool json = false) {
    std::ostringstream out;
    absl::Status status = RunPredict(command, json, out);
    return status.ok() ? out.str() : std::string(status.message());
  }
  std::string Read(const std::string& name) {
    return ReadFile(folder_ + "/" + name, 1 << 20).value_or("");
  }

  std::string folder_, model_, images_, labels_;
};

TEST_F(ModelCommandsTest, InitWritesTheWeightsOfTheSeed) {
  ASSERT_TRUE(WriteFileAtomic(folder_ + "/federation.toml", kFederation).ok());
  const InitCommand command{.federation = folder_ + "/federation.toml",
                            .out = folder_ + "/new/initial.safetensors",
                            .seed = 5};
  std::ostringstream out;
  absl::Status status = RunInit(command, true, out);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(nlohmann::json::parse(out.str())["parameters"], 26'010);
  auto file = ReadModelFile(command.out);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->params, InitialWeights(file->manifest, 5));
  EXPECT_EQ(RunInit(command, true, out).code(), absl::StatusCode::kAlreadyExists);
}

TEST_F(ModelCommandsTest, EveryFormatPredictsTheSame) {
  std::ostringstream out;
  ASSERT_TRUE(
      RunExport({.model = model_, .out = folder_ + "/m.pt", .format = ModelFormat::kTorchScript},
                false, out)
          .ok());
  ASSERT_TRUE(RunExport({.model = model_,
                         .out = folder_ + "/hf",
                         .format = ModelFormat::kHuggingFace,
                         .metadata = {"dure.delta=1e-5", "dure.federation=fashion"}},
                        false, out)
                  .ok());
  PredictCommand command{.model = model_, .inputs = {images_}, .labels = labels_, .count = 20};
  const std::string want = Predict(command);
  EXPECT_THAT(want, AllOf(HasSubstr("[19]: "), HasSubstr("accuracy 0.")));
  command.model = folder_ + "/m.pt";
  EXPECT_EQ(Predict(command), want);
  command.model = folder_ + "/hf/model.safetensors";
  EXPECT_EQ(Predict(command), want);
  EXPECT_THAT(Read("hf/README.md"), AllOf(HasSubstr("license: \"Apache-2.0\""),
                                          HasSubstr("epsilon = 1.64 at delta = 1e-5")));
  EXPECT_EQ(nlohmann::json::parse(Read("hf/config.json"))["num_labels"], 10);
}

TEST_F(ModelCommandsTest, EvaluateAgreesWithPredict) {
  std::ostringstream out;
  absl::Status status = RunEvaluate({.model = model_, .folder = folder_}, true, out);
  ASSERT_TRUE(status.ok()) << status;
  const auto result = nlohmann::json::parse(out.str());
  EXPECT_EQ(result["records"], 20);
  const std::string predicted = Predict(
      {.model = model_, .inputs = {images_}, .labels = labels_, .count = 20}, /*json=*/true);
  const auto summary = nlohmann::json::parse(predicted.substr(predicted.rfind("{\"records\"")));
  EXPECT_EQ(summary["accuracy"], result["accuracy"]);
}

TEST_F(ModelCommandsTest, APngIsPredictedWithItsClassName) {
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  image.format = PNG_FORMAT_GRAY;
  image.width = image.height = 28;
  const std::vector<uint8_t> pixels(784, 100);
  const std::string png = folder_ + "/x.png";
  ASSERT_TRUE(png_image_write_to_file(&image, png.c_str(), 0, pixels.data(), 0, nullptr));
  ASSERT_TRUE(WriteFileAtomic(folder_ + "/names", "a\na\na\na\na\na\na\na\na\na\n").ok());
  EXPECT_THAT(Predict({.model = model_, .inputs = {png}, .classes = folder_ + "/names"}),
              AllOf(HasSubstr("x.png: "), HasSubstr(" (a), probability 0.")));
}

TEST_F(ModelCommandsTest, BadInputIsOneClearLine) {
  EXPECT_THAT(Predict({.model = folder_ + "/none", .inputs = {images_}}), HasSubstr("cannot open"));
  EXPECT_THAT(Predict({.model = images_, .inputs = {images_}}), HasSubstr(images_));
  EXPECT_THAT(Predict({.model = model_, .inputs = {images_}, .index = 20}),
              HasSubstr("has 20 records: --index 20 --count 1 is beyond its end"));
  EXPECT_THAT(Predict({.model = model_, .inputs = {images_}, .index = 1, .count = UINT64_MAX}),
              HasSubstr("beyond its end"));
  EXPECT_THAT(Predict({.model = model_, .inputs = {labels_}}), HasSubstr("holds labels"));
  EXPECT_THAT(Predict({.model = model_, .inputs = {model_}}), HasSubstr("is not an IDX file"));
  const std::vector<uint32_t> dims = {1, 27, 28};
  ASSERT_TRUE(WriteFileAtomic(images_, EncodeIdx(dims, std::vector<uint8_t>(27 * 28))).ok());
  EXPECT_THAT(Predict({.model = model_, .inputs = {images_}}),
              HasSubstr("27 x 28, the model takes 1 x 28 x 28"));
}

TEST_F(ModelCommandsTest, AModelThatIsNotWhatItSaysIsRefused) {
  ModelFile file = ReadModelFile(model_).value();
  auto rewrite = [&](const char* key, const char* value) {
    ModelFile changed = file;
    changed.metadata[key] = value;
    EXPECT_TRUE(WriteFileAtomic(model_, EncodeSafetensors(changed)).ok());
    return Predict({.model = model_, .inputs = {images_}});
  };
  EXPECT_THAT(rewrite("dure.architecture", "mlp"), HasSubstr("not those of the mlp"));
  EXPECT_THAT(rewrite("dure.architecture", "vit"), HasSubstr("no built-in model"));
  EXPECT_THAT(rewrite("dure.classes", "11"), HasSubstr("not those of the cnn"));
  EXPECT_THAT(rewrite("dure.classes", "x"), HasSubstr("does not say what model it is"));
  EXPECT_THAT(rewrite("dure.input", "1,,28"), HasSubstr("does not say what model it is"));
}

TEST_F(ModelCommandsTest, ListAndDescribe) {
  std::ostringstream out;
  ASSERT_TRUE(RunList({}, true, out).ok());
  EXPECT_THAT(out.str(), HasSubstr("{\"name\":\"cnn\""));
  ASSERT_TRUE(RunDescribe({.model = "cnn"}, false, out).ok());
  EXPECT_THAT(out.str(), HasSubstr("26010 parameters"));
  ASSERT_TRUE(RunDescribe({.model = model_}, false, out).ok());
  EXPECT_THAT(out.str(), HasSubstr("dure.epsilon = 1.64"));
  EXPECT_EQ(RunDescribe({.model = "vit"}, false, out).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace dure
