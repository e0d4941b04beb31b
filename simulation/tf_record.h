// Records as TensorFlow frames them in a file (TFRecord): the length and the data, each with a
// CRC-32C of its own. Thread-safe: pure functions.
#ifndef DURE_SIMULATION_TF_RECORD_H_
#define DURE_SIMULATION_TF_RECORD_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace dure::simulation {

// The CRC of RFC 3720, Castagnoli's polynomial 0x1EDC6F41. zlib's is another.
uint32_t Crc32c(std::string_view data);

// u64 length | u32 masked CRC of the length | data | u32 masked CRC of the data, little-endian.
// Masked: rotated right by 15 bits, plus 0xa282ead8.
std::string TfRecord(std::string_view data);

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_TF_RECORD_H_
