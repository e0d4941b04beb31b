#include "learner/data/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "learner/data/idx.h"

namespace dure {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class DatasetTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "dure_dataset_test_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void Write(const std::string& name, std::vector<uint32_t> dims, std::vector<uint8_t> bytes) {
    ASSERT_TRUE(WriteFileAtomic(folder_ + "/" + name, EncodeIdx(dims, bytes)).ok());
  }
  void WritePictures(const std::string& prefix) {
    Write(prefix + "images-idx3-ubyte", {3, 1, 2}, {1, 2, 3, 4, 5, 6});
    Write(prefix + "labels-idx1-ubyte", {3}, {0, 2, 2});
  }

  std::string folder_;
};

ModelSection Model(std::vector<uint32_t> shape, uint32_t classes) {
  ModelSection model;
  for (uint32_t dim : shape) model.mutable_input()->add_shape(dim);
  model.mutable_input()->set_classes(classes);
  return model;
}

void ExpectStatus(const absl::Status& status, absl::StatusCode code, const std::string& text) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(text));
}

TEST_F(DatasetTest, FolderIsReadAndPreviewed) {
  WritePictures("");
  auto data = ReadDataFolder(folder_);
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(data->records(), 3u);
  EXPECT_THAT(data->shape, ElementsAre(1, 2));
  EXPECT_THAT(data->Record(1).ToFloats(), ElementsAre(ByteToFloat(3), ByteToFloat(4)));
  EXPECT_THAT(data->Select(std::vector<uint32_t>{2, 0}).features, ElementsAre(5, 6, 1, 2));

  auto preview = PreviewDataFolder(folder_);
  ASSERT_TRUE(preview.ok()) << preview.status();
  EXPECT_THAT(preview->label_counts, ElementsAre(1, 0, 2));
  EXPECT_EQ(preview->images_path, folder_ + "/images-idx3-ubyte");
}

TEST_F(DatasetTest, MnistNamesAndTheHeldOutPartAreFound) {
  WritePictures("train-");
  EXPECT_TRUE(ReadDataFolder(folder_).ok());
  ExpectStatus(ReadDataFolder(folder_, DataPart::kHeldOut).status(), absl::StatusCode::kNotFound,
               "t10k-images-idx3-ubyte");
  WritePictures("t10k-");
  EXPECT_TRUE(ReadDataFolder(folder_, DataPart::kHeldOut).ok());
}

TEST_F(DatasetTest, MissingFilesAreNamed) {
  ExpectStatus(ReadDataFolder(folder_).status(), absl::StatusCode::kNotFound,
               "holds no images-idx3-ubyte and no train-images-idx3-ubyte");
  Write("images-idx3-ubyte", {1, 1, 1}, {7});
  ExpectStatus(ReadDataFolder(folder_).status(), absl::StatusCode::kFailedPrecondition,
               "labels-idx1-ubyte is missing");
}

TEST_F(DatasetTest, ImagesAndLabelsMustMatch) {
  Write("images-idx3-ubyte", {2, 1, 1}, {7, 8});
  Write("labels-idx1-ubyte", {3}, {0, 1, 2});
  ExpectStatus(ReadDataFolder(folder_).status(), absl::StatusCode::kInvalidArgument,
               "has 2 records");
  Write("labels-idx1-ubyte", {2, 1}, {0, 1});
  ExpectStatus(ReadDataFolder(folder_).status(), absl::StatusCode::kInvalidArgument,
               "labels have 1 dimension");
  Write("images-idx3-ubyte", {2}, {0, 1});
  Write("labels-idx1-ubyte", {2}, {0, 1});
  ExpectStatus(ReadDataFolder(folder_).status(), absl::StatusCode::kInvalidArgument,
               "2 dimensions or more");
}

TEST_F(DatasetTest, ReadingTwiceFromTheSameDescriptorsWorks) {
  WritePictures("");
  auto files = OpenDataFolder(folder_);
  ASSERT_TRUE(files.ok());
  EXPECT_TRUE(ReadDataset(*files).ok());
  EXPECT_TRUE(ReadDataset(*files).ok());
}

TEST(CheckDatasetTest, ShapeMayLeaveOutOneChannelOrBeFlat) {
  Dataset data{.shape = {2, 3}, .features = std::vector<uint8_t>(6), .labels = {1}};
  EXPECT_TRUE(CheckDataset(data, Model({1, 2, 3}, 2), "d").ok());
  EXPECT_TRUE(CheckDataset(data, Model({2, 3}, 2), "d").ok());
  EXPECT_TRUE(CheckDataset(data, Model({6}, 2), "d").ok());
  ExpectStatus(CheckDataset(data, Model({1, 3, 2}, 2), "d"), absl::StatusCode::kFailedPrecondition,
               "shape 2 x 3, the model takes 1 x 3 x 2");
}

TEST(CheckDatasetTest, LabelsOutOfRangeAreNamed) {
  Dataset data{.shape = {1}, .features = {1, 2, 3}, .labels = {0, 10, 11}};
  ExpectStatus(CheckDataset(data, Model({1}, 10), "clinic-1"),
               absl::StatusCode::kFailedPrecondition,
               "clinic-1: record 1 has label 10, the model has 10 classes (0 to 9)");
}

TEST(CheckDatasetTest, TheLossSaysWhichLabelsThereAre) {
  constexpr auto kCode = absl::StatusCode::kFailedPrecondition;
  Dataset data{.shape = {1}, .features = {1, 2}, .labels = {0, 2.5f}};
  ExpectStatus(
      CheckDataset(data, Model({1}, 10), "d"), kCode,
      "record 1 has label 2.5, the model has 10 classes (0 to 9); a number to predict goes "
      "with model.loss = \"mse\"");
  ModelSection model = Model({1}, 1);
  model.set_loss(ModelSection::MSE);
  EXPECT_TRUE(CheckDataset(data, model, "d").ok());
  data.labels[0] = std::numeric_limits<float>::infinity();
  ExpectStatus(CheckDataset(data, model, "d"), kCode, "record 0 has label inf");
  model.set_loss(ModelSection::BCE_WITH_LOGITS);
  data.labels = {1, 0};
  EXPECT_TRUE(CheckDataset(data, model, "d").ok());
  data.labels = {1, 2};
  ExpectStatus(CheckDataset(data, model, "d"), kCode,
               "record 1 has label 2, the loss bce_with_logits takes 0 and 1");
}

TEST(CheckDatasetTest, TextHasOneTokenMoreThanTheModelSees) {
  constexpr auto kCode = absl::StatusCode::kFailedPrecondition;
  ModelSection model = Model({2}, 5);
  model.set_loss(ModelSection::NEXT_TOKEN);
  Dataset data{.shape = {3}, .features = {}, .labels = {0, 0}, .numbers = {0, 1, 2, 2, 3, 4}};
  EXPECT_TRUE(CheckDataset(data, model, "d").ok());
  data.numbers[4] = 5;
  ExpectStatus(CheckDataset(data, model, "d"), kCode, "record 1 has the token 5, the model has 5");
  data.numbers[4] = 0.5f;
  ExpectStatus(CheckDataset(data, model, "d"), kCode, "record 1 has the token 0.5");
  data.shape = {2};
  ExpectStatus(CheckDataset(data, model, "d"), kCode, "the model takes texts in records of 3");
}

TEST_F(DatasetTest, TextAndTensorsAreFoundByTheirNames) {
  ASSERT_TRUE(WriteFileAtomic(folder_ + "/records.pt", "PK").ok());
  auto files = OpenDataFolder(folder_);
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_TRUE(IsTorchFile(*files));
  ExpectStatus(ReadDataset(*files).status(), absl::StatusCode::kFailedPrecondition,
               "which only the trainer reads");
  ASSERT_TRUE(WriteFileAtomic(folder_ + "/records.txt", "dure schema 1").ok());
  files = OpenDataFolder(folder_);
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_TRUE(IsText(*files));
  EXPECT_EQ(OpenDataFolder(folder_, DataPart::kHeldOut).status().code(),
            absl::StatusCode::kNotFound);
}

TEST(CheckDatasetTest, NoRecordIsRefused) {
  ExpectStatus(CheckDataset(Dataset{.shape = {1}}, Model({1}, 10), "d"),
               absl::StatusCode::kFailedPrecondition, "holds no record");
}

TEST(DataViewTest, AllRecordsOrThoseAtItsPlaces) {
  const Dataset data{.shape = {2}, .features = {1, 2, 3, 4, 5, 6}, .labels = {7, 8, 9}};
  const DataView all(data);
  ASSERT_EQ(all.records(), 3u);
  EXPECT_EQ(all.place(2), 2u);
  EXPECT_EQ(all.label(2), 9);
  const std::vector<uint32_t> places = {2, 0, 2, 1};
  const DataView some(data, places);
  ASSERT_EQ(some.records(), 4u);
  EXPECT_EQ(some.place(3), 1u);
  EXPECT_EQ(some.label(2), 9);
  EXPECT_EQ(some.Record(1)[1], ByteToFloat(2));
  EXPECT_EQ(&some.dataset(), &data);
  EXPECT_EQ(DataView(data, std::span<const uint32_t>()).records(), 0u);
}

}  // namespace
}  // namespace dure
