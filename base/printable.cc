#include "base/printable.h"

#include <cstdint>

namespace dure {
namespace {

struct CodePoint {
  uint32_t value = 0;
  size_t bytes = 0;  // 0: not UTF-8
};

// The first code point of `text`, which is not empty (RFC 3629).
CodePoint Decode(std::string_view text) {
  const auto lead = static_cast<uint8_t>(text[0]);
  if (lead < 0x80) return {lead, 1};
  const size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 0;
  if (bytes == 0 || lead > 0xF4 || text.size() < bytes) return {};
  uint32_t value = lead & (0x7Fu >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    const auto next = static_cast<uint8_t>(text[i]);
    if ((next & 0xC0) != 0x80) return {};
    value = value << 6 | (next & 0x3F);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kLeast[bytes] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return {};
  return {value, bytes};
}

bool Moves(uint32_t value) {
  return value < 0x20 || (value >= 0x7F && value < 0xA0) || (value >= 0x202A && value <= 0x202E) ||
         (value >= 0x2066 && value <= 0x2069);
}

}  // namespace

std::string Printable(std::string_view text, size_t max_bytes) {
  std::string safe;
  while (!text.empty()) {
    const CodePoint point = Decode(text);
    const bool keep = point.bytes > 0 && !Moves(point.value);
    const size_t written = keep ? point.bytes : 1;
    if (safe.size() + written > max_bytes) break;
    if (keep) {
      safe.append(text.substr(0, point.bytes));
    } else {
      safe.push_back('?');
    }
    text.remove_prefix(point.bytes > 0 ? point.bytes : 1);
  }
  return safe;
}

}  // namespace dure
