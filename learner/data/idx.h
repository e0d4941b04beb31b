// The IDX format of MNIST: two zero bytes, a type byte (8: unsigned bytes, the only one here), the
// number of dimensions, each dimension as 4 big-endian bytes, then the bytes row by row. Plain or
// gzip (RFC 1952), told apart by their first bytes. Thread-safe: pure functions.
#ifndef DURE_LEARNER_DATA_IDX_H_
#define DURE_LEARNER_DATA_IDX_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace dure {

inline constexpr uint32_t kMaxIdxDimensions = 4;

struct IdxArray {
  std::vector<uint32_t> dims;  // the first is the number of records
  std::vector<uint8_t> bytes;  // product of dims
};

// Reads from offset 0 of `fd` to its end; the descriptor's own offset is neither used nor moved.
// `name` is for messages. InvalidArgument: not IDX of unsigned bytes, between 1 and
// kMaxIdxDimensions dimensions, none of them 0 but the first; damaged gzip; fewer or more bytes
// than the dimensions say, with both numbers. ResourceExhausted: more than `max_bytes`, decided
// from the header before memory is taken.
absl::StatusOr<IdxArray> ReadIdx(int fd, std::string_view name, uint64_t max_bytes);

// The same for bytes in memory.
absl::StatusOr<IdxArray> DecodeIdx(std::string_view bytes, std::string_view name,
                                   uint64_t max_bytes);

// The plain file. bytes.size() == product of dims, or 0 for its header alone.
std::string EncodeIdx(std::span<const uint32_t> dims, std::span<const uint8_t> bytes);

}  // namespace dure

#endif  // DURE_LEARNER_DATA_IDX_H_
