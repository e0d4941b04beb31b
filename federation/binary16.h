// Numbers as they travel to members: IEEE 754 binary32, or binary16, half the bytes
// (communication.download). Thread-safe: pure functions.
#ifndef DURE_FEDERATION_BINARY16_H_
#define DURE_FEDERATION_BINARY16_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/federation.pb.h"

namespace dure {

// The largest finite number of binary16.
inline constexpr float kMaxBinary16 = 65504;

// The nearest number of binary16, of two as near the even one; but what is finite stays finite:
// beyond kMaxBinary16 it becomes that. What is infinite or no number stays so.
uint16_t ToBinary16(float value);
// Exact.
float FromBinary16(uint16_t bits);

// Bytes of one number.
uint64_t BytesOfNumber(CommunicationSection::Download download);

// Little-endian, number after number. FP32: the bytes of ParamsToBytes.
std::string NumbersToBytes(std::span<const float> numbers, CommunicationSection::Download download);
// InvalidArgument unless there are `count` finite numbers and nothing else.
absl::StatusOr<std::vector<float>> NumbersFromBytes(std::string_view bytes, uint64_t count,
                                                    CommunicationSection::Download download);

// How many of `numbers` are finite and beyond kMaxBinary16 once rounded.
uint64_t BeyondBinary16(std::span<const float> numbers);

}  // namespace dure

#endif  // DURE_FEDERATION_BINARY16_H_
