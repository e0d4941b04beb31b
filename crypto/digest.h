// SHA-256 and the project's one way to hash and sign structured data:
//   M(label, x...) = "FLSA-v1/" || label || 0x00 || (u32be(len) || x)*,  H = SHA-256(M)
// (docs/secure-aggregation.md section 1.1). Thread-safe.
#ifndef DURE_CRYPTO_DIGEST_H_
#define DURE_CRYPTO_DIGEST_H_

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dure {

using ByteView = std::span<const uint8_t>;
// A SHA-256 value.
using Digest = std::array<uint8_t, 32>;

// "OpenSSL 3.0.x ...": what the crypto room runs on.
std::string CryptoLibraryVersion();

// FIPS 180-4.
Digest Sha256(ByteView data);

// The same of bytes that come piece by piece. Not thread-safe.
class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  Sha256Stream(const Sha256Stream&) = delete;
  Sha256Stream& operator=(const Sha256Stream&) = delete;

  void Add(ByteView data);
  // Of all that was added. Once, and last.
  Digest Finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// The bytes of a string, and the other way round. No copy in AsBytes.
inline ByteView AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline std::string ToString(ByteView bytes) {
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}
// Lower-case hexadecimal.
std::string ToHex(ByteView bytes);
// The digest in `bytes`, if it has 32 of them.
std::optional<Digest> DigestFromBytes(std::string_view bytes);

// Builds M(label, x...). Integers are big-endian, each its own element.
class Transcript {
 public:
  explicit Transcript(std::string_view label);
  Transcript& Add(ByteView element);
  Transcript& Add(std::string_view element) { return Add(AsBytes(element)); }
  Transcript& AddU32(uint32_t value);
  Transcript& AddU64(uint64_t value);
  // IEEE 754 binary64, big-endian.
  Transcript& AddF64(double value);

  // M itself: what Ed25519 signs and what is the info of HKDF.
  const std::vector<uint8_t>& bytes() const { return bytes_; }
  // H: its SHA-256.
  Digest Hash() const { return Sha256(bytes_); }
  // H(label, x..., secret): the last element is hashed where it lies and copied nowhere.
  Digest HashWithSecret(ByteView secret) const;

 private:
  std::vector<uint8_t> bytes_;
};

}  // namespace dure

#endif  // DURE_CRYPTO_DIGEST_H_
