#include "simulation/tf_record.h"

#include <array>
#include <bit>
#include <cstddef>

namespace dure::simulation {
namespace {

// Of each byte, lowest bit first; the polynomial's bits are in reverse order accordingly.
constexpr std::array<uint32_t, 256> MakeTable() {
  std::array<uint32_t, 256> table = {};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t rest = byte;
    for (int bit = 0; bit < 8; ++bit) rest = (rest >> 1) ^ (rest & 1 ? 0x82f63b78u : 0u);
    table[byte] = rest;
  }
  return table;
}
constexpr std::array<uint32_t, 256> kTable = MakeTable();

void AppendLittleEndian(uint64_t value, size_t bytes, std::string& out) {
  for (size_t i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

void AppendMaskedCrc(std::string_view data, std::string& out) {
  AppendLittleEndian(std::rotr(Crc32c(data), 15) + 0xa282ead8u, 4, out);
}

}  // namespace

uint32_t Crc32c(std::string_view data) {
  uint32_t crc = ~0u;
  for (const char c : data) crc = kTable[(crc ^ static_cast<uint8_t>(c)) & 0xff] ^ (crc >> 8);
  return ~crc;
}

std::string TfRecord(std::string_view data) {
  std::string record;
  record.reserve(data.size() + 16);
  AppendLittleEndian(data.size(), 8, record);
  AppendMaskedCrc(record, record);
  record.append(data);
  AppendMaskedCrc(data, record);
  return record;
}

}  // namespace dure::simulation
