// A file without a name: it is written once, from its beginning on, read at any place, and gone
// when its last reference ends, however the process ends. For what is too much for the memory.
#ifndef DURE_BASE_NAMELESS_FILE_H_
#define DURE_BASE_NAMELESS_FILE_H_

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/byte_source.h"
#include "base/file.h"

namespace dure {

// Appended to by one thread; then Read() is thread-safe.
class NamelessFile final : public ByteSource {
 public:
  // On the disk of `folder`. Errors, here and below, name it.
  static absl::StatusOr<NamelessFile> Create(const std::string& folder);

  // ResourceExhausted if the disk is full.
  absl::Status Append(std::span<const uint8_t> bytes);

  uint64_t size() const override { return size_; }
  absl::Status Read(uint64_t offset, std::span<uint8_t> out) const override;

 private:
  NamelessFile(FileDescriptor file, std::string folder)
      : file_(std::move(file)), folder_(std::move(folder)) {}

  FileDescriptor file_;
  std::string folder_;
  uint64_t size_ = 0;
};

}  // namespace dure

#endif  // DURE_BASE_NAMELESS_FILE_H_
