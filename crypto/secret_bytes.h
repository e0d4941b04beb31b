// Bytes that must not be seen: move-only, wiped when they end, compared in constant time, never
// printed. Not thread-safe.
#ifndef DURE_CRYPTO_SECRET_BYTES_H_
#define DURE_CRYPTO_SECRET_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace dure {

// Overwrites bytes that hold a secret outside SecretBytes (OPENSSL_cleanse).
void WipeBytes(std::span<uint8_t> bytes);

class SecretBytes {
 public:
  SecretBytes() = default;
  explicit SecretBytes(size_t size) : bytes_(size) {}
  explicit SecretBytes(std::span<const uint8_t> bytes) : bytes_(bytes.begin(), bytes.end()) {}
  SecretBytes(SecretBytes&& other) noexcept;
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  ~SecretBytes() { Wipe(); }

  // The one way to a second copy, easy to find when reviewing.
  SecretBytes Clone() const { return SecretBytes(view()); }
  std::span<const uint8_t> view() const { return bytes_; }
  std::span<uint8_t> mutable_view() { return bytes_; }
  size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  // In constant time for equal sizes (CRYPTO_memcmp).
  bool Equals(std::span<const uint8_t> other) const;
  // Overwrites (OPENSSL_cleanse) and empties.
  void Wipe();

 private:
  std::vector<uint8_t> bytes_;
};

}  // namespace dure

#endif  // DURE_CRYPTO_SECRET_BYTES_H_
