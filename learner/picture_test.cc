#include "learner/picture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <png.h>

#include <string>

namespace dure {
namespace {

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

void ExpectRefused(const std::string& bytes, const std::string& text) {
  auto picture = DecodeGreyPng(bytes, "x.png");
  EXPECT_EQ(picture.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(picture.status().message()), HasSubstr("x.png: "));
  EXPECT_THAT(std::string(picture.status().message()), HasSubstr(text));
}

TEST(PictureTest, GreyPixelsAreReadAsTheyAre) {
  const std::vector<uint8_t> pixels = {0, 1, 127, 128, 254, 255};
  const std::string bytes = Png(PNG_FORMAT_GRAY, 3, 2, pixels);
  EXPECT_TRUE(LooksLikePng(bytes));
  auto picture = DecodeGreyPng(bytes, "x.png");
  ASSERT_TRUE(picture.ok()) << picture.status();
  EXPECT_EQ(picture->width, 3u);
  EXPECT_EQ(picture->height, 2u);
  EXPECT_THAT(picture->pixels, ElementsAreArray(pixels));
}

TEST(PictureTest, OtherKindsAndDamageAreRefused) {
  ExpectRefused(Png(PNG_FORMAT_RGB, 1, 1, {1, 2, 3}), "not an 8-bit grey picture");
  ExpectRefused(Png(PNG_FORMAT_GA, 1, 1, {1, 2}), "not an 8-bit grey picture");
  ExpectRefused("", "not a sound PNG");
  const std::string bytes = Png(PNG_FORMAT_GRAY, 3, 2, {0, 1, 127, 128, 254, 255});
  ExpectRefused(bytes.substr(0, bytes.size() / 2), "not a sound PNG");
  ExpectRefused(
      Png(PNG_FORMAT_GRAY, kMaxPictureSide + 1, 1, std::vector<uint8_t>(kMaxPictureSide + 1)),
      "limit 4096");
}

}  // namespace
}  // namespace dure
