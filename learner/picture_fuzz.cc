// Bytes -> DecodeGreyPng: pictures that a person hands to `dure-model`.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "learner/picture.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto picture = dure::DecodeGreyPng(bytes, "fuzz.png");
  if (!picture.ok()) return 0;
  DURE_CHECK(dure::LooksLikePng(bytes));
  DURE_CHECK(picture->pixels.size() == size_t{picture->height} * picture->width);
  return 0;
}
