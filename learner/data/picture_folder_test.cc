#include "learner/data/picture_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <png.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "learner/data/dataset.h"

namespace dure {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PictureFolderTest : public ::testing::Test {
 protected:
  PictureFolderTest() { std::filesystem::remove_all(root_); }
  ~PictureFolderTest() override { std::filesystem::remove_all(root_); }

  // A picture of one shade; grey, or colour with another green.
  void Draw(const std::string& name, uint8_t shade, uint32_t height = 2, uint32_t width = 3,
            bool colour = false) {
    png_image image = {};
    image.version = PNG_IMAGE_VERSION;
    image.format = colour ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
    image.width = width;
    image.height = height;
    std::vector<uint8_t> pixels(PNG_IMAGE_SIZE(image), shade);
    for (size_t i = 1; colour && i < pixels.size(); i += 3) pixels[i] = 7;
    const std::string path = Path(name);
    ASSERT_TRUE(MakeFolder(std::filesystem::path(path).parent_path().string()).ok());
    ASSERT_TRUE(png_image_write_to_file(&image, path.c_str(), 0, pixels.data(), 0, nullptr));
  }
  void Write(const std::string& name, const std::string& bytes) {
    ASSERT_TRUE(WriteFileAtomic(Path(name), bytes).ok());
  }
  std::string Path(const std::string& name) const { return absl::StrCat(root_, "/in/", name); }
  absl::StatusOr<PackReport> Pack(const PackOptions& options = {}) {
    return PackPictures(root_ + "/in", options, root_ + "/out");
  }
  void ExpectFault(const std::string& words, const PackOptions& options = {}) {
    const absl::Status status = Pack(options).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(words));
    EXPECT_TRUE(FileIsMissing(root_ + "/out"));
  }
  absl::StatusOr<Dataset> Packed(DataPart part = DataPart::kTraining) {
    return ReadDataFolder(root_ + "/out", part);
  }

  const std::string root_ = ::testing::TempDir() + "/picture_folder_test";
};

TEST_F(PictureFolderTest, ClassesAndPicturesAreInTheOrderOfTheirNames) {
  Draw("dog/b.png", 4);
  Draw("dog/a.png", 3);
  Draw("cat/z.png", 1);
  Write("cat/.hidden", "no picture");
  const auto report = Pack({.threads = 2});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->classes, ElementsAre("cat", "dog"));
  const auto data = Packed();
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_THAT(data->shape, ElementsAre(2, 3));
  EXPECT_THAT(data->labels, ElementsAre(0, 1, 1));
  EXPECT_EQ(data->features[0], 1);
  EXPECT_EQ(data->features[6], 3);
  EXPECT_EQ(data->features[12], 4);
  EXPECT_EQ(ReadFile(root_ + "/out/classes.txt", 100).value(), "cat\ndog\n");
}

TEST_F(PictureFolderTest, ColourHasThreeChannels) {
  Draw("a/1.png", 200, 1, 2, true);
  Draw("b/1.png", 100, 1, 2, true);
  ASSERT_TRUE(Pack().ok());
  const auto data = Packed();
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_THAT(data->shape, ElementsAre(3, 1, 2));
  EXPECT_EQ(data->features,
            (std::vector<uint8_t>{200, 200, 7, 7, 200, 200, 100, 100, 7, 7, 100, 100}));
}

TEST_F(PictureFolderTest, NamedClassesFixTheNumbers) {
  Draw("dog/1.png", 1);
  ASSERT_TRUE(Pack({.classes = {"zebra", "cat", "dog"}}).ok());
  EXPECT_THAT(Packed()->labels, ElementsAre(2));
  EXPECT_EQ(ReadFile(root_ + "/out/classes.txt", 100).value(), "zebra\ncat\ndog\n");
}

TEST_F(PictureFolderTest, TheHeldOutPartIsEvenOverEachClass) {
  for (const char* name : {"a", "b"}) {
    for (int i = 0; i < 8; ++i) Draw(absl::StrCat(name, "/", i, ".png"), static_cast<uint8_t>(i));
  }
  const auto report = Pack({.held_out = 0.25});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->records, 12u);
  EXPECT_EQ(report->held_out, 4u);
  const auto held_out = Packed(DataPart::kHeldOut);
  ASSERT_TRUE(held_out.ok()) << held_out.status();
  EXPECT_THAT(held_out->labels, ElementsAre(0, 0, 1, 1));
  EXPECT_EQ(held_out->features[0], 3);
  EXPECT_EQ(held_out->features[6], 7);
}

TEST_F(PictureFolderTest, SizesAndKindsAreBroughtTogetherWhenAsked) {
  Draw("a/1.png", 9, 4, 4);
  Draw("b/1.png", 8, 2, 6, true);
  ExpectFault("in/b/1.png is 2 x 6 pixels (height x width), ");
  ExpectFault("in/b/1.png is in colour, ", {.height = 2, .width = 2});
  ASSERT_TRUE(Pack({.height = 2, .width = 2, .channels = 1}).ok());
  const auto data = Packed();
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_THAT(data->shape, ElementsAre(2, 2));
  // 0.299 * 8 + 0.587 * 7 + 0.114 * 8 = 7.4.
  EXPECT_EQ(data->features, (std::vector<uint8_t>{9, 9, 9, 9, 7, 7, 7, 7}));
}

TEST_F(PictureFolderTest, WhatIsOutOfPlaceIsNamed) {
  ASSERT_TRUE(MakeFolder(root_ + "/in").ok());
  ExpectFault("is empty: it needs a folder of pictures for each class");
  Draw("only/1.png", 1);
  ExpectFault("has one class folder, only: with --classes say which classes there are");
  ASSERT_TRUE(MakeFolder(Path("bare")).ok());
  ExpectFault("in/bare holds no picture: fill it, or remove it");
  Write("bare/note.txt", "hello");
  ExpectFault("in/bare/note.txt: no picture: neither PNG nor JPEG");
  Write("bare/note.txt", "\x89PNG\r\n\x1a\n");
  ExpectFault("in/bare/note.txt: not a sound PNG file");
  std::filesystem::remove(Path("bare/note.txt"));
  ASSERT_TRUE(MakeFolder(Path("bare/deep")).ok());
  ExpectFault("in/bare/deep is a folder inside a class folder");
  ExpectFault("in/bare is the folder of no class: the classes are only", {.classes = {"only"}});
  Draw("loose.png", 1);
  ExpectFault("in/loose.png lies beside the class folders");
}

}  // namespace
}  // namespace dure
