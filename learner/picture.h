// One picture from a PNG file. Thread-safe: pure functions.
#ifndef DURE_LEARNER_PICTURE_H_
#define DURE_LEARNER_PICTURE_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace dure {

inline constexpr uint32_t kMaxPictureSide = 4096;

struct Picture {
  uint32_t height = 0;
  uint32_t width = 0;
  std::vector<uint8_t> pixels;  // row by row, 0 black to 255 white
};

bool LooksLikePng(std::string_view bytes);

// InvalidArgument, naming `file`, for anything but a sound 8-bit grey PNG without transparency,
// with sides of at most kMaxPictureSide.
absl::StatusOr<Picture> DecodeGreyPng(std::string_view bytes, std::string_view file);

}  // namespace dure

#endif  // DURE_LEARNER_PICTURE_H_
