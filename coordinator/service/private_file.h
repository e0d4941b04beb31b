// A file without a name that only this process can read: its bytes are encrypted under a key that
// is nowhere but in this process's memory (AES-256-CTR). Where inputs of members wait that are too
// much for the memory: no update of a member is ever on a disk for anybody to read.
#ifndef DURE_COORDINATOR_SERVICE_PRIVATE_FILE_H_
#define DURE_COORDINATOR_SERVICE_PRIVATE_FILE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/byte_source.h"
#include "base/nameless_file.h"
#include "crypto/random.h"
#include "crypto/secret_bytes.h"

namespace dure {

// Appended to by one thread; then Read() is thread-safe.
class PrivateFile final : public ByteSource {
 public:
  // On the disk of `folder`. `random` gives the key.
  static absl::StatusOr<std::shared_ptr<PrivateFile>> Create(const std::string& folder,
                                                             Random& random);

  // As NamelessFile.
  absl::Status Append(std::span<const uint8_t> bytes);
  uint64_t size() const override { return file_.size(); }
  absl::Status Read(uint64_t offset, std::span<uint8_t> out) const override;

 private:
  PrivateFile(NamelessFile file, SecretBytes key) : file_(std::move(file)), key_(std::move(key)) {}
  // XORs `bytes` with the stream at `offset`.
  void Apply(uint64_t offset, std::span<uint8_t> bytes) const;

  NamelessFile file_;
  const SecretBytes key_;  // and the initial counter block
};

}  // namespace dure

#endif  // DURE_COORDINATOR_SERVICE_PRIVATE_FILE_H_
