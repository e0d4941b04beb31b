// Bytes that are somewhere else than in the memory of who needs them: in a file, or encrypted in
// one. Whether calls may come from several threads says each implementation.
#ifndef DURE_BASE_BYTE_SOURCE_H_
#define DURE_BASE_BYTE_SOURCE_H_

#include <cstdint>
#include <span>

#include "absl/status/status.h"

namespace dure {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual uint64_t size() const = 0;
  // Fills `out` with the bytes from `offset` on, all of which are below size() (DURE_CHECK). An
  // error says that they cannot be had any more, and is named by its file.
  virtual absl::Status Read(uint64_t offset, std::span<uint8_t> out) const = 0;
};

}  // namespace dure

#endif  // DURE_BASE_BYTE_SOURCE_H_
