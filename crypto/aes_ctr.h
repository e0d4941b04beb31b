// The keystream of AES-256-CTR (NIST SP 800-38A) over OpenSSL EVP. Not thread-safe.
#ifndef DURE_CRYPTO_AES_CTR_H_
#define DURE_CRYPTO_AES_CTR_H_

#include <cstdint>
#include <memory>
#include <span>

#include "crypto/digest.h"

namespace dure {

class AesCtr {
 public:
  static constexpr size_t kBlockBytes = 16;

  // `key_and_iv` is key (32 bytes) || initial counter block (16 bytes) (DURE_CHECK). The stream
  // begins `first_block` blocks of 16 bytes after the counter block's, so that parts of one stream
  // can be made side by side.
  explicit AesCtr(ByteView key_and_iv, uint64_t first_block = 0);

  // Overwrites `out` with the next bytes of the stream.
  void Generate(std::span<uint8_t> out);
  // XORs the next bytes of the stream into `data`.
  void Apply(std::span<uint8_t> data);

 private:
  // The next bytes of the stream XOR `in`, which has as many as `out`, at most 2^30.
  void Update(const uint8_t* in, std::span<uint8_t> out);

  struct Free {
    void operator()(void* context) const;
  };
  std::unique_ptr<void, Free> context_;
};

}  // namespace dure

#endif  // DURE_CRYPTO_AES_CTR_H_
