// Bytes -> DecodePicture: PNG and JPEG files that a person hands to dure.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "learner/data/picture.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  auto picture = dure::DecodePicture(bytes, "fuzz");
  if (!picture.ok()) return 0;
  DURE_CHECK(dure::LooksLikePicture(bytes));
  const size_t pixels = size_t{picture->height} * picture->width;
  DURE_CHECK(pixels > 0 && pixels <= dure::kMaxPicturePixels);
  DURE_CHECK(picture->pixels.size() == pixels * picture->channels);
  const dure::Picture other = dure::WithChannels(*picture, picture->channels == 1 ? 3 : 1);
  DURE_CHECK(dure::Resized(other, 7, 5).pixels.size() == size_t{35} * other.channels);
  return 0;
}
