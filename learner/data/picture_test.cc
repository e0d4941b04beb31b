#include "learner/data/picture.h"

// jpeglib.h needs these two.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <jpeglib.h>
#include <png.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace dure {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

std::string Png(uint32_t format, uint32_t width, uint32_t height,
                const std::vector<uint8_t>& pixels) {
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  image.format = format;
  image.width = width;
  image.height = height;
  png_alloc_size_t size = 0;
  EXPECT_TRUE(png_image_write_to_memory(&image, nullptr, &size, 0, pixels.data(), 0, nullptr));
  std::string bytes(size, '\0');
  EXPECT_TRUE(png_image_write_to_memory(&image, bytes.data(), &size, 0, pixels.data(), 0, nullptr));
  bytes.resize(size);
  return bytes;
}

std::string Jpeg(int channels, uint32_t width, uint32_t height, const std::vector<uint8_t>& pixels,
                 J_COLOR_SPACE space) {
  jpeg_compress_struct jpeg = {};
  jpeg_error_mgr error;
  jpeg.err = jpeg_std_error(&error);
  jpeg_create_compress(&jpeg);
  unsigned char* out = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &out, &size);
  jpeg.image_width = width;
  jpeg.image_height = height;
  jpeg.input_components = channels;
  jpeg.in_color_space = space;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, 100, TRUE);
  jpeg_start_compress(&jpeg, TRUE);
  for (uint32_t y = 0; y < height; ++y) {
    auto* row = const_cast<JSAMPROW>(pixels.data() + size_t{y} * width * channels);
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  std::string bytes(reinterpret_cast<char*>(out), size);
  std::free(out);
  return bytes;
}

void ExpectRefused(const std::string& bytes, const std::string& text) {
  auto picture = DecodePicture(bytes, "x");
  EXPECT_EQ(picture.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(picture.status().message()), HasSubstr("x: "));
  EXPECT_THAT(std::string(picture.status().message()), HasSubstr(text));
}

TEST(PictureTest, GreyPixelsAreReadAsTheyAre) {
  const std::vector<uint8_t> pixels = {0, 1, 127, 128, 254, 255};
  const std::string bytes = Png(PNG_FORMAT_GRAY, 3, 2, pixels);
  EXPECT_TRUE(LooksLikePng(bytes));
  auto picture = DecodePicture(bytes, "x");
  ASSERT_TRUE(picture.ok()) << picture.status();
  EXPECT_EQ(picture->channels, 1u);
  EXPECT_EQ(picture->width, 3u);
  EXPECT_EQ(picture->height, 2u);
  EXPECT_THAT(picture->pixels, ElementsAreArray(pixels));
}

TEST(PictureTest, ColoursAreReadChannelAfterChannel) {
  auto picture = DecodePicture(Png(PNG_FORMAT_RGB, 2, 1, {1, 2, 3, 4, 5, 6}), "x");
  ASSERT_TRUE(picture.ok()) << picture.status();
  EXPECT_EQ(picture->channels, 3u);
  EXPECT_THAT(picture->pixels, ElementsAre(1, 4, 2, 5, 3, 6));
}

TEST(PictureTest, OpaqueAlphaIsDroppedAndOtherAlphaIsRefused) {
  auto picture = DecodePicture(Png(PNG_FORMAT_RGBA, 1, 1, {1, 2, 3, 255}), "x");
  ASSERT_TRUE(picture.ok()) << picture.status();
  EXPECT_THAT(picture->pixels, ElementsAre(1, 2, 3));
  ExpectRefused(Png(PNG_FORMAT_GA, 2, 1, {1, 255, 9, 254}),
                "the pixel in row 1, column 2 is not opaque");
}

TEST(PictureTest, DamageAndOtherFilesAreRefused) {
  ExpectRefused("", "an empty file");
  ExpectRefused("GIF89a", "neither PNG nor JPEG");
  const std::string png = Png(PNG_FORMAT_GRAY, 3, 2, {0, 1, 127, 128, 254, 255});
  ExpectRefused(png.substr(0, png.size() / 2), "not a sound PNG");
  std::vector<uint8_t> pixels(64 * 64);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(i * 7);
  const std::string jpeg = Jpeg(1, 64, 64, pixels, JCS_GRAYSCALE);
  ExpectRefused(jpeg.substr(0, jpeg.size() / 2), "not a sound JPEG");
  ExpectRefused(jpeg.substr(0, jpeg.size() - 2), "not a sound JPEG");
  ExpectRefused(jpeg.substr(0, 10), "not a sound JPEG");
  ExpectRefused(
      Png(PNG_FORMAT_GRAY, kMaxPictureSide + 1, 1, std::vector<uint8_t>(kMaxPictureSide + 1)),
      "limit 16384");
  ExpectRefused(Jpeg(4, 8, 8, std::vector<uint8_t>(8 * 8 * 4), JCS_CMYK), "neither grey nor red");
}

TEST(PictureTest, SixteenBitsAreRefused) {
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  image.format = PNG_FORMAT_LINEAR_Y;
  image.width = image.height = 1;
  const uint16_t pixel = 40000;
  std::string bytes(1000, '\0');
  png_alloc_size_t size = bytes.size();
  ASSERT_TRUE(png_image_write_to_memory(&image, bytes.data(), &size, 0, &pixel, 0, nullptr));
  ExpectRefused(bytes.substr(0, size), "16 bits a sample, limit 8");
}

// A flat picture has no frequencies to lose: JPEG keeps it up to rounding.
TEST(PictureTest, JpegIsReadGreyAndInColour) {
  auto grey = DecodePicture(Jpeg(1, 9, 5, std::vector<uint8_t>(45, 200), JCS_GRAYSCALE), "x");
  ASSERT_TRUE(grey.ok()) << grey.status();
  EXPECT_EQ(grey->channels, 1u);
  EXPECT_EQ(grey->height, 5u);
  EXPECT_EQ(grey->width, 9u);
  for (uint8_t value : grey->pixels) EXPECT_NEAR(value, 200, 1);
  std::vector<uint8_t> pixels;
  for (int i = 0; i < 64; ++i) pixels.insert(pixels.end(), {200, 100, 50});
  auto colour = DecodePicture(Jpeg(3, 8, 8, pixels, JCS_RGB), "x");
  ASSERT_TRUE(colour.ok()) << colour.status();
  ASSERT_EQ(colour->channels, 3u);
  EXPECT_NEAR(colour->pixels[0], 200, 2);
  EXPECT_NEAR(colour->pixels[64], 100, 2);
  EXPECT_NEAR(colour->pixels[128], 50, 2);
}

TEST(PictureTest, ChannelsAreConvertedByTheStatedWeights) {
  const Picture colour{.channels = 3, .height = 1, .width = 2, .pixels = {255, 10, 0, 20, 0, 30}};
  // 0.299 * 255 = 76.2; 2.99 + 11.74 + 3.42 = 18.15.
  EXPECT_THAT(WithChannels(colour, 1).pixels, ElementsAre(76, 18));
  const Picture grey{.channels = 1, .height = 1, .width = 2, .pixels = {7, 8}};
  EXPECT_THAT(WithChannels(grey, 3).pixels, ElementsAre(7, 8, 7, 8, 7, 8));
}

TEST(PictureTest, ShrinkingTakesTheMeanOfAnArea) {
  const Picture picture{
      .channels = 1, .height = 2, .width = 4, .pixels = {0, 10, 20, 30, 40, 50, 60, 70}};
  EXPECT_THAT(Resized(picture, 1, 2).pixels, ElementsAre(25, 45));
  // Of three into two: one and a half each. (0 + 10 / 2) / 1.5 and (10 / 2 + 50) / 1.5.
  const Picture three{.channels = 1, .height = 1, .width = 3, .pixels = {0, 10, 50}};
  EXPECT_THAT(Resized(three, 1, 2).pixels, ElementsAre(3, 37));
}

TEST(PictureTest, GrowingIsLinearBetweenCentres) {
  const Picture picture{.channels = 1, .height = 1, .width = 2, .pixels = {0, 100}};
  EXPECT_THAT(Resized(picture, 2, 4).pixels, ElementsAre(0, 25, 75, 100, 0, 25, 75, 100));
  EXPECT_THAT(Resized(picture, 1, 2).pixels, ElementsAre(0, 100));
}

}  // namespace
}  // namespace dure
