// One picture from a PNG or JPEG file. Thread-safe: pure functions.
#ifndef DURE_LEARNER_DATA_PICTURE_H_
#define DURE_LEARNER_DATA_PICTURE_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace dure {

inline constexpr uint32_t kMaxPictureSide = 16384;
inline constexpr uint64_t kMaxPicturePixels = uint64_t{1} << 25;
inline constexpr uint64_t kMaxPictureFileBytes = uint64_t{64} << 20;

struct Picture {
  uint32_t channels = 1;  // 1 grey, 3 red, green, blue
  uint32_t height = 0;
  uint32_t width = 0;
  std::vector<uint8_t> pixels;  // channel after channel, row by row, 0 dark to 255 bright
};

// By its first bytes.
bool LooksLikePng(std::string_view bytes);
bool LooksLikePicture(std::string_view bytes);  // PNG or JPEG

// Grey stays grey and colour colour; palettes and 1, 2 or 4 bits a sample become 8.
// InvalidArgument, naming `file`, for anything but a sound, complete PNG or JPEG file of 8 bits a
// sample or fewer; for a picture above the limits; and for one with a pixel that is not opaque.
// Turning by EXIF is not done.
absl::StatusOr<Picture> DecodePicture(std::string_view bytes, std::string_view file);

// With 1 or 3 channels. Grey is 0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601), rounded;
// colour of a grey picture is three times its grey.
Picture WithChannels(Picture picture, uint32_t channels);
// Each pixel the mean of the area that it covers in `picture`, or where the picture grows, linear
// between the centres of its neighbours; height and width each by itself. Rounded.
Picture Resized(const Picture& picture, uint32_t height, uint32_t width);

}  // namespace dure

#endif  // DURE_LEARNER_DATA_PICTURE_H_
