// Bytes -> CutText and Vocabulary: up to the first zero byte a vocabulary, then a text. What comes
// out is records of numbers that the model has.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "learner/data/text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string_view first = bytes.substr(0, bytes.find('\0'));
  const std::string_view text = bytes.substr(std::min(size, first.size() + 1));
  const auto words = dure::Vocabulary::Parse(first, "words");
  for (const dure::Vocabulary* vocabulary :
       {words.ok() ? &*words : nullptr, static_cast<const dure::Vocabulary*>(nullptr)}) {
    const auto cut = dure::CutText(text, {.length = 3, .vocabulary = vocabulary}, "text");
    if (!cut.ok()) continue;
    const float classes = vocabulary == nullptr ? 256 : static_cast<float>(vocabulary->size() + 1);
    DURE_CHECK(cut->records() > 0 && cut->numbers.size() == 4 * cut->records());
    for (float token : cut->numbers) DURE_CHECK(token >= 0 && token < classes);
  }
  return 0;
}
