#include "learner/picture.h"

#include <png.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace dure {

bool LooksLikePng(std::string_view bytes) {
  return bytes.substr(0, 8) == std::string_view("\x89PNG\r\n\x1a\n", 8);
}

absl::StatusOr<Picture> DecodeGreyPng(std::string_view bytes, std::string_view file) {
  const std::string name(file);
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  auto fault = [&](const std::string& why) {
    png_image_free(&image);
    return absl::InvalidArgumentError(absl::StrCat(name, ": ", why));
  };
  if (!png_image_begin_read_from_memory(&image, bytes.data(), bytes.size())) {
    return fault(absl::StrCat("not a sound PNG file: ", image.message));
  }
  // The format of the file itself: no colour, no alpha, no 16-bit samples, no palette.
  if (image.format != PNG_FORMAT_GRAY) {
    return fault("not an 8-bit grey picture without transparency; convert it first");
  }
  if (image.width > kMaxPictureSide || image.height > kMaxPictureSide) {
    return fault(absl::StrCat(image.width, " x ", image.height, " pixels, limit ", kMaxPictureSide,
                              " a side"));
  }
  Picture picture{.height = image.height, .width = image.width};
  picture.pixels.resize(PNG_IMAGE_SIZE(image));
  if (!png_image_finish_read(&image, nullptr, picture.pixels.data(), 0, nullptr)) {
    return fault(absl::StrCat("not a sound PNG file: ", image.message));
  }
  return picture;
}

}  // namespace dure
